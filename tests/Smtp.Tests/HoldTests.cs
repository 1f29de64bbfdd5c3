namespace MailPipeline.Smtp.Tests;

/// <summary>FUTURERELEASE (RFC 4865): what is offered, and how HOLDFOR and HOLDUNTIL are read.</summary>
public sealed class HoldTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("HOLDFOR=1", "for;1", 1)]
    [InlineData("holdfor=3600", "for;3600", 3600)]
    [InlineData("HOLDFOR=604800", "for;604800", 604_800)]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00Z", "until;2030-01-02T13:00:00Z", 3600)]
    [InlineData("HOLDUNTIL=2030-01-02t13:00:00z", "until;2030-01-02t13:00:00z", 3600)]
    [InlineData("HOLDUNTIL=2030-01-02T14:30:00+01:30", "until;2030-01-02T14:30:00+01:30", 3600)]
    [InlineData("HOLDUNTIL=2030-01-02T08:00:00.25-05:00", "until;2030-01-02T08:00:00.25-05:00", 3600)]
    [InlineData("HOLDUNTIL=2030-01-02T23:59:60Z", "until;2030-01-02T23:59:60Z", 43_200)]
    [InlineData("HOLDUNTIL=2030-01-09T12:00:00Z", "until;2030-01-09T12:00:00Z", 604_800)]
    // A time that has passed: it leaves at once.
    [InlineData("HOLDUNTIL=2030-01-02T11:59:59Z", "until;2030-01-02T11:59:59Z", -1)]
    public void A_message_is_held_for_a_time_or_until_one(string parameter, string asked, int seconds)
    {
        var session = Session();
        Assert.Null(session.Read(Wire.Bytes($"MAIL FROM:<ann@example.com> SIZE=10 {parameter}")).Reply);
        session.Answer(null);
        var timing = session.Transaction!.Timing!;
        Assert.Equal(new ReleaseRequest(asked, s_noon.AddSeconds(seconds)), timing.Release);
        Assert.Equal(timing, MailTiming.Parse(timing.ToText()));
    }

    [Theory]
    [InlineData("HOLDFOR")]
    [InlineData("HOLDFOR=")]
    [InlineData("HOLDFOR=0")]
    [InlineData("HOLDFOR=01")]
    [InlineData("HOLDFOR=-1")]
    [InlineData("HOLDFOR=+1")]
    [InlineData("HOLDFOR=1s")]
    [InlineData("HOLDFOR=1000000000")]
    [InlineData("HOLDUNTIL")]
    [InlineData("HOLDUNTIL=")]
    [InlineData("HOLDUNTIL=2030-01-02")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00Z")]
    [InlineData("HOLDUNTIL=2030-02-30T13:00:00Z")]
    [InlineData("HOLDUNTIL=2030-13-01T13:00:00Z")]
    [InlineData("HOLDUNTIL=0000-01-01T13:00:00Z")]
    [InlineData("HOLDUNTIL=2030-01-02T24:00:00Z")]
    [InlineData("HOLDUNTIL=2030-01-02T13:60:00Z")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:61Z")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00.Z")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00.1")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00Z ")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00ZZ")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00+0100")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00+24:00")]
    [InlineData("HOLDUNTIL=1893592800")]
    [InlineData("HOLDFOR=60 HOLDFOR=60")]
    [InlineData("HOLDFOR=60 HOLDUNTIL=2030-01-02T13:00:00Z")]
    [InlineData("HOLDUNTIL=2030-01-02T13:00:00Z HOLDFOR=60")]
    // Over what EHLO says.
    [InlineData("HOLDFOR=604801")]
    [InlineData("HOLDFOR=999999999")]
    [InlineData("HOLDUNTIL=2030-01-09T12:00:01Z")]
    [InlineData("HOLDUNTIL=9999-12-31T23:59:60-23:59")]
    public void What_is_no_time_or_too_late_a_time_is_refused(string parameter)
    {
        var reply = Session().Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}X"[..^1])).Reply;
        if (parameter.EndsWith(' '))
            Assert.Null(reply);
        else
            Assert.Equal((501, "5.5.4"), (reply!.Code, reply.Status.ToString()));
    }

    [Fact]
    public void A_fraction_has_as_many_digits_as_anybody_needs_and_no_more()
    {
        Assert.Null(Session().Read(Wire.Bytes($"MAIL FROM:<ann@example.com> HOLDUNTIL=2030-01-02T13:00:00.{new string('1', 40)}Z")).Reply);
        Assert.Equal(501, Session().Read(Wire.Bytes($"MAIL FROM:<ann@example.com> HOLDUNTIL=2030-01-02T13:00:00.{new string('1', 50)}Z")).Reply!.Code);
    }

    [Fact]
    public void Ehlo_says_for_how_long_and_until_when_as_of_now()
    {
        var session = Session();
        Assert.Contains("FUTURERELEASE 604800 2030-01-09T12:00:00Z", session.Read("EHLO client.example.net"u8).Reply!.Lines);
        session.Now = s_noon.AddHours(1);
        Assert.Contains("FUTURERELEASE 604800 2030-01-09T13:00:00Z", session.Read("EHLO client.example.net"u8).Reply!.Lines);
    }

    [Theory]
    [InlineData(ListenerKind.Mx, 604_800)]
    [InlineData(ListenerKind.Lmtp, 604_800)]
    [InlineData(ListenerKind.Submission, 0)]
    public void Strangers_have_nothing_held_and_neither_has_anybody_where_the_bound_is_0(ListenerKind kind, int seconds)
    {
        var session = Session(kind, seconds);
        var hello = kind == ListenerKind.Lmtp ? "LHLO client.example.net"u8 : "EHLO client.example.net"u8;
        Assert.DoesNotContain(session.Read(hello).Reply!.Lines, line => line.StartsWith("FUTURERELEASE", StringComparison.Ordinal));
        foreach (var parameter in new[] { "HOLDFOR=60", "HOLDUNTIL=2030-01-02T13:00:00Z" })
            Assert.Equal(Replies.C555BadParameter, session.Read(Wire.Bytes($"MAIL FROM:<ann@example.com> {parameter}")).Reply);
    }

    [Fact]
    public void The_bound_is_named_to_whoever_asks_for_more() =>
        Assert.Equal(
            "501 5.5.4 A message is held for 604800 seconds at most",
            Session().Read("MAIL FROM:<ann@example.com> HOLDFOR=604801"u8).Reply!.ToString());

    [Theory]
    [InlineData("RELEASE")]
    [InlineData("RELEASE=soon,for;1")]
    [InlineData("ENVID=1")]
    public void What_is_no_text_of_ours_is_not_read(string text) => Assert.Throws<FormatException>(() => MailTiming.Parse(text));

    private static SmtpSession Session(ListenerKind kind = ListenerKind.Submission, int seconds = 604_800)
    {
        var session = new SmtpSession(new SmtpProfile { Kind = kind, HostName = "mx.example.com", MaxHoldTime = TimeSpan.FromSeconds(seconds) })
        {
            Now = s_noon,
        };
        session.Read("EHLO client.example.net"u8);
        return session;
    }
}
