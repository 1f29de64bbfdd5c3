using MailPipeline.Mail;
using MailPipeline.Smtp;
using static MailPipeline.Delivery.Tests.Conversation;

namespace MailPipeline.Delivery.Tests;

/// <summary>What a far end is asked for that offers an extension, line by line, and what is not sent to one that does not.</summary>
public sealed class ExtensionTranscriptTests
{
    [Fact]
    public async Task SMTPUTF8_is_asked_for_when_an_address_needs_it()
    {
        var report = await TalkAsync(Cut.Whole,
            """
            S: 220 mx.example.net
            C: EHLO client.example.com
            S: 250-mx.example.net
            S: 250-8BITMIME
            S: 250 SMTPUTF8
            C: MAIL FROM:<sender@example.com> SMTPUTF8
            S: 250 Ok
            C: RCPT TO:<jÃ¶rg@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n", ["jörg@example.net"])]);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    /// <summary>RFC 6152 §3, where the operator wants it kept: only what has 8-bit octets is returned, whatever it was called when it was handed in.</summary>
    [Fact]
    public async Task A_host_without_8BITMIME_gets_what_is_7_bit()
    {
        var report = await TalkAsync(Cut.Whole, PlainHello +
            """
            C: MAIL FROM:<sender@example.com>
            S: 250 Ok
            C: RCPT TO:<user2@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: two
            C: .
            S: 250 Taken
            """ + Quit,
            bench =>
            {
                bench.Options.EightBitMime = EightBitContent.Return;
                bench.Content.ChunkBytes = 1;
                return [bench.Message("é\r\n", body: BodyType.EightBitMime), bench.Message("two\r\n", body: BodyType.EightBitMime)];
            });
        Assert.Equal(["Failed 5.6.3", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.StartsWith("127.0.0.1", report.Results[0].RemoteHost, StringComparison.Ordinal);
    }

    /// <summary>RFC 6531 §3.2: who needs it is refused at once and told which host it was; a message that was sent with it and needs it not goes on.</summary>
    [Fact]
    public async Task A_host_without_SMTPUTF8_gets_what_does_not_need_it()
    {
        var report = await TalkAsync(Cut.Whole, PlainHello +
            """
            C: MAIL FROM:<sender@example.com>
            S: 250 Ok
            C: RCPT TO:<user1@example.net>
            S: 250 Ok
            C: RCPT TO:<user2@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            """ + Quit,
            bench =>
            [
                bench.Message("one\r\n", ["user1@example.net", "jörg@example.net", "user2@example.net"]),
                bench.Message("two\r\n", ["user3@example.net"], body: BodyType.SmtpUtf8),
                bench.Message("three\r\n", ["user4@example.net"], sender: "josé@example.com"),
            ]);
        Assert.Equal(["Delivered 2.0.0", "Failed 5.6.7", "Delivered 2.0.0", "Failed 5.6.7", "Failed 5.6.7"], Bench.Outcomes(report));
        Assert.All(report.Results.Where(result => result.Status == "5.6.7"), result => Assert.StartsWith("127.0.0.1", result.RemoteHost, StringComparison.Ordinal));
    }

    /// <summary>RFC 3461 §5.2.1: as the client said it; from the far end's 250 on it is the one to report.</summary>
    [Fact]
    public async Task A_far_end_that_offers_DSN_is_told_what_the_sender_wants_to_know()
    {
        var report = await TalkAsync(Cut.Whole, Hello.Replace("250-8BITMIME", "250-DSN", StringComparison.Ordinal) +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5 RET=HDRS ENVID=QQ+2B1
            C: RCPT TO:<user1@example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;sales@example.com
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [WithDsn(bench)]);
        Assert.All(report.Results, result => Assert.True(result is { Outcome: AttemptOutcome.Delivered, ReportsHandedOn: true }));
    }

    [Fact]
    public async Task A_far_end_without_DSN_is_told_nothing_of_it_and_reports_nothing()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user1@example.net>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [WithDsn(bench)]);
        Assert.All(report.Results, result => Assert.True(result is { Outcome: AttemptOutcome.Delivered, ReportsHandedOn: false }));
    }

    [Theory]
    [InlineData("250-MT-PRIORITY", " MT-PRIORITY=-3")]
    [InlineData("250-MT-PRIORITY MIXER", " MT-PRIORITY=-3")]
    [InlineData("250-8BITMIME", "")]
    public async Task A_far_end_that_offers_priorities_is_told_what_the_sender_said(string line, string parameter)
    {
        var report = await TalkAsync(Cut.Whole, Hello.Replace("250-8BITMIME", line, StringComparison.Ordinal) +
            $"""
            C: MAIL FROM:<sender@example.com> SIZE=5{parameter}
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench =>
            {
                var message = bench.Message("one\r\n", ["user1@example.net"], body: BodyType.Timing);
                bench.Content.Timings[message[0].MessageId] = new MailTiming { Priority = -3 };
                return [message];
            });
        Assert.Equal(AttemptOutcome.Delivered, Assert.Single(report.Results).Outcome);
    }

    [Theory]
    [InlineData("250-DELIVERBY", "R", " BY=3600;R", false)]
    [InlineData("250-DELIVERBY 3600", "RT", " BY=3600;RT", true)]
    [InlineData("250-DELIVERBY 7200", "N", " BY=3600;N", false)]
    [InlineData("250-DELIVERBY", "NT", " BY=3600;NT", true)]
    // It keeps to no time: its sender is told that it is out of our hands.
    [InlineData("250-8BITMIME", "N", "", true)]
    public async Task A_far_end_that_keeps_to_times_is_told_how_much_is_left(string line, string mode, string parameter, bool tellsOfRelay)
    {
        var report = await TalkAsync(Cut.Whole, Hello.Replace("250-8BITMIME", line, StringComparison.Ordinal) +
            $"""
            C: MAIL FROM:<sender@example.com> SIZE=5{parameter}
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [WithTime(bench, mode, seconds: 3600)]);
        Assert.Equal((AttemptOutcome.Delivered, tellsOfRelay), Assert.Single(report.Results) is var result ? (result.Outcome, result.TellsOfRelay) : default);
    }

    [Theory]
    [InlineData("250-8BITMIME", 3600, "5.3.3", "Its sender wants it returned after a time, and the far end does not offer DELIVERBY")]
    [InlineData("250-DELIVERBY 3601", 3600, "5.4.7", "The far end needs 3601 seconds to keep to a time, and 3600 are left")]
    [InlineData("250-DELIVERBY", 0, "5.4.7", "The time by which its sender wanted it delivered has passed")]
    public async Task What_is_to_be_returned_goes_to_nobody_who_would_not_return_it(string line, int seconds, string status, string text)
    {
        var report = await TalkAsync(Cut.Whole, Hello.Replace("250-8BITMIME", line, StringComparison.Ordinal) + Quit.TrimStart(), bench => [WithTime(bench, "R", seconds)]);
        Assert.Equal((AttemptOutcome.Failed, status, text), Assert.Single(report.Results) is var result ? (result.Outcome, result.Status, result.Reply) : default);
    }

    private static Recipient[] WithTime(Bench bench, string mode, int seconds)
    {
        var message = bench.Message("one\r\n", ["user1@example.net"], body: BodyType.Timing);
        bench.Content.Timings[message[0].MessageId] = new MailTiming
        {
            By = new DeliverBy(bench.Time.GetUtcNow().AddSeconds(seconds + 0.9), mode[0] == 'R', mode.EndsWith('T')),
        };
        return message;
    }

    private static Recipient[] WithDsn(Bench bench)
    {
        var message = bench.Message("one\r\n", ["user1@example.net", "user2@example.net"], body: BodyType.Dsn);
        bench.Content.Dsn[message[0].MessageId] = new MessageDsn(MailDsn.Parse("RET=HDRS ENVID=QQ+2B1"), new Dictionary<long, RcptDsn>
        {
            [message[0].RecipientId] = RcptDsn.Parse("NOTIFY=SUCCESS,DELAY ORCPT=rfc822;sales@example.com"),
            [message[1].RecipientId] = RcptDsn.None,
        });
        return message;
    }
}
