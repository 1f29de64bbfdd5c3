namespace MailPipeline.Smtp.Tests;

/// <summary>MT-PRIORITY (RFC 6710).</summary>
public sealed class PriorityTests
{
    [Theory]
    [InlineData("MT-PRIORITY=0", 0)]
    [InlineData("mt-priority=9", 9)]
    [InlineData("MT-PRIORITY=1", 1)]
    [InlineData("MT-PRIORITY=-9", -9)]
    [InlineData("MT-PRIORITY=-1", -1)]
    public void A_priority_is_kept_as_it_is_said(string parameter, int priority)
    {
        var session = Session(ListenerKind.Submission);
        Assert.Null(session.Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}")).Reply);
        session.Answer(null);
        var timing = session.Transaction!.Timing!;
        Assert.Equal((priority, null, true), (timing.Priority, timing.Release, timing.IsHandedOn));
        Assert.Equal($"MT-PRIORITY={priority}", timing.ToText());
        Assert.Equal(timing, MailTiming.Parse(timing.ToText()));
    }

    [Theory]
    [InlineData("MT-PRIORITY")]
    [InlineData("MT-PRIORITY=")]
    [InlineData("MT-PRIORITY=-")]
    [InlineData("MT-PRIORITY=-0")]
    [InlineData("MT-PRIORITY=--1")]
    [InlineData("MT-PRIORITY=+1")]
    [InlineData("MT-PRIORITY=01")]
    [InlineData("MT-PRIORITY=10")]
    [InlineData("MT-PRIORITY=-10")]
    [InlineData("MT-PRIORITY=high")]
    [InlineData("MT-PRIORITY=1 MT-PRIORITY=1")]
    public void What_is_none_is_refused(string parameter) =>
        Assert.Equal(Replies.C501BadPriority, Session(ListenerKind.Submission).Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}")).Reply);

    [Theory]
    [InlineData(ListenerKind.Mx)]
    [InlineData(ListenerKind.Lmtp)]
    public void Strangers_have_none(ListenerKind kind) =>
        Assert.Equal(Replies.C555BadParameter, Session(kind).Read("MAIL FROM:<ann@example.com> MT-PRIORITY=1"u8).Reply);

    [Fact]
    public void It_stands_beside_a_time_and_is_told_to_hosts_that_know_of_it()
    {
        var timing = new MailTiming { Priority = -3, Release = new ReleaseRequest("for;60", DateTimeOffset.UnixEpoch) };
        Assert.Equal(timing, MailTiming.Parse(timing.ToText()));
        Assert.Equal("MT-PRIORITY=-3", timing.ParametersFor(EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "MT-PRIORITY MIXER")), DateTimeOffset.UnixEpoch));
        Assert.Equal("", timing.ParametersFor(EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "FUTURERELEASE 1 2030-01-01T00:00:00Z")), DateTimeOffset.UnixEpoch));
        Assert.Equal("", MailTiming.None.ParametersFor(EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "MT-PRIORITY")), DateTimeOffset.UnixEpoch));
    }

    private static SmtpSession Session(ListenerKind kind)
    {
        var session = new SmtpSession(new SmtpProfile { Kind = kind, HostName = "mx.example.com" });
        session.Read(kind == ListenerKind.Lmtp ? "LHLO client.example.net"u8 : "EHLO client.example.net"u8);
        return session;
    }
}
