namespace MailPipeline.Smtp.Tests;

/// <summary>DELIVERBY (RFC 2852): how BY is read, and what hosts are told of it.</summary>
public sealed class DeliverByTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("BY=120;R", 120, "R")]
    [InlineData("by=+120;rt", 120, "RT")]
    [InlineData("BY=999999999;N", 999_999_999, "N")]
    [InlineData("BY=-999999999;NT", -999_999_999, "NT")]
    [InlineData("BY=0;N", 0, "N")]
    [InlineData("BY=007;n", 7, "N")]
    public void A_time_is_kept_as_one_of_our_clock(string parameter, long seconds, string mode)
    {
        foreach (var kind in new[] { ListenerKind.Mx, ListenerKind.Submission })
        {
            var session = Session(kind);
            Assert.Null(session.Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}")).Reply);
            session.Answer(null);
            var timing = session.Transaction!.Timing!;
            Assert.Equal((s_noon.AddSeconds(seconds), mode, true), (timing.By!.At, timing.By.Mode, timing.IsHandedOn));
            Assert.Equal(timing, MailTiming.Parse(timing.ToText()));
        }
    }

    [Theory]
    [InlineData("BY")]
    [InlineData("BY=")]
    [InlineData("BY=;R")]
    [InlineData("BY=120")]
    [InlineData("BY=120;")]
    [InlineData("BY=120;X")]
    [InlineData("BY=120;T")]
    [InlineData("BY=120;RR")]
    [InlineData("BY=120;RTT")]
    [InlineData("BY=120;TR")]
    [InlineData("BY=+;N")]
    [InlineData("BY=--1;N")]
    [InlineData("BY=1.5;N")]
    [InlineData("BY=1000000000;N")]
    [InlineData("BY=0000000001;N")]
    [InlineData("BY=1;N;T")]
    [InlineData("BY=1;N BY=1;N")]
    // What is to be returned needs a time that is left.
    [InlineData("BY=0;R")]
    [InlineData("BY=-1;RT")]
    // It would be late before it may leave.
    [InlineData("BY=60;R HOLDFOR=60")]
    [InlineData("HOLDFOR=61 BY=60;N")]
    public void What_is_none_is_refused(string parameter)
    {
        var reply = Session(ListenerKind.Submission).Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}")).Reply!;
        Assert.Equal((501, "5.5.4"), (reply.Code, reply.Status.ToString()));
    }

    [Fact]
    public void A_maildrops_listener_does_not_know_it() =>
        Assert.Equal(Replies.C555BadParameter, Session(ListenerKind.Lmtp).Read("MAIL FROM:<ann@example.com> BY=60;N"u8).Reply);

    [Fact]
    public void A_host_is_told_what_is_left_of_it()
    {
        var timing = new MailTiming { Priority = 2, By = new DeliverBy(s_noon, IsReturned: true, IsTraced: true) };
        var host = EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "DELIVERBY 30"));
        Assert.Equal((true, 30L), (host.DeliverBy, host.LeastDeliverBySeconds));
        Assert.Equal("BY=60;RT", timing.ParametersFor(host, s_noon.AddSeconds(-60)));
        Assert.Equal("BY=59;RT", timing.ParametersFor(host, s_noon.AddSeconds(-59.1).AddMilliseconds(1)));
        timing = timing with { By = timing.By with { IsReturned = false, IsTraced = false } };
        Assert.Equal("BY=-2;N", timing.ParametersFor(host, s_noon.AddSeconds(1.5)));
        Assert.Equal("BY=-999999999;N", timing.ParametersFor(host, s_noon.AddYears(100)));
        Assert.Equal("MT-PRIORITY=2 BY=1;N", timing.ParametersFor(
            EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "DELIVERBY", "MT-PRIORITY")), s_noon.AddSeconds(-1)));
        Assert.Equal("", timing.ParametersFor(EhloCapabilities.None, s_noon));
        Assert.Equal(0, EhloCapabilities.Parse(new SmtpReply(250, null, "mx.example.net", "DELIVERBY soon")).LeastDeliverBySeconds);
    }

    private static SmtpSession Session(ListenerKind kind)
    {
        var session = new SmtpSession(new SmtpProfile { Kind = kind, HostName = "mx.example.com", MaxHoldTime = TimeSpan.FromDays(7) }) { Now = s_noon };
        session.Read(kind == ListenerKind.Lmtp ? "LHLO client.example.net"u8 : "EHLO client.example.net"u8);
        return session;
    }
}
