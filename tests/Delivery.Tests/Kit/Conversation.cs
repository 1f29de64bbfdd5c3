using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>Pieces of conversations with a far end, and how one is held.</summary>
internal static class Conversation
{
    public const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net greets you
        S: 250-PIPELINING
        S: 250-SIZE 100000
        S: 250-8BITMIME
        S: 250 ENHANCEDSTATUSCODES

        """;

    public const string PlainHello =
        """
        S: 220 mx.example.net
        C: EHLO client.example.com
        S: 250 mx.example.net

        """;

    /// <summary>Up to the answer to DATA.</summary>
    public const string PlainCommands =
        """
        C: MAIL FROM:<sender@example.com>
        S: 250 Ok
        C: RCPT TO:<user1@example.net>
        S: 250 Ok
        C: DATA

        """;

    /// <summary>Three messages, of which the first two are refused.</summary>
    public const string Refusals =
        """
        C: MAIL FROM:<sender@example.com> SIZE=5
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 2.1.0 Ok
        S: 550 5.1.1 No such user
        S: 503 5.5.1 No recipients
        C: RSET
        C: MAIL FROM:<sender@example.com> SIZE=5
        C: RCPT TO:<user2@example.net>
        C: DATA
        S: 250 2.0.0 Reset
        S: 250 2.1.0 Ok
        S: 250 2.1.5 Ok
        S: 451 4.3.0 Out of order
        C: RSET
        C: MAIL FROM:<sender@example.com> SIZE=7
        C: RCPT TO:<user3@example.net>
        C: DATA
        S: 250 2.0.0 Reset
        S: 250 2.1.0 Ok
        S: 250 2.1.5 Ok
        S: 354 Go on
        C: three
        C: .
        S: 250 2.0.0 Taken
        """;

    public const string Quit =
        """

        C: QUIT
        S: 221 2.0.0 Bye
        """;

    /// <summary>Messages are handed to Delivery, and what it says and hears is the script, whole and to its end.</summary>
    public static async Task<AttemptReport> TalkAsync(Cut cut, string script, Func<Bench, Recipient[][]> messages)
    {
        await using var server = new ScriptedServer(script, cut);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(messages(bench));
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
        Assert.False(report.Unreachable);
        Assert.Equal(
            report.Results.Where(result => result.Outcome == AttemptOutcome.Delivered).Select(result => result.RecipientId).Order(),
            bench.Claims.Recorded.Select(result => result.RecipientId).Order());
        return report;
    }
}
