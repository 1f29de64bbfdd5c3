using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>What a far end announces that it takes in one session (RFC 9422 LIMITS), and what it offers and cannot do.</summary>
public sealed class FarEndLimitsTests
{
    private const string Data =
        """
        C: DATA
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken

        """;

    private const string Quit = "C: QUIT\nS: 221 Bye\n";

    /// <summary>The commands of a message that travel together, as they are sent.</summary>
    private const string Together =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA

        """;

    private static readonly string s_piped = Hello("PIPELINING");

    private static readonly string s_taken = Together + "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: one\nC: .\nS: 250 Taken\n";

    [Fact]
    public async Task A_message_with_more_recipients_than_RCPTMAX_goes_in_several_transactions()
    {
        await using var server = new ScriptedServer(Hello("LIMITS RCPTMAX=2") + Mail("a", "b") + Data + Mail("c", "d") + Data + Mail("e") + Data + Quit);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n", ["a@example.net", "b@example.net", "c@example.net", "d@example.net", "e@example.net"]));
        Assert.Equal(5, Bench.Outcomes(report).Count(outcome => outcome == "Delivered 2.0.0"));
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
    }

    [Fact]
    public async Task A_session_has_no_more_transactions_than_MAILMAX_and_the_rest_goes_over_another()
    {
        var hello = Hello("LIMITS MAILMAX=2");
        await using var server = new ScriptedServer([hello + Mail("user1") + Data + Mail("user2") + Data + Quit, hello + Mail("user3") + Data + Quit]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("one\r\n"), bench.Message("one\r\n"));
        Assert.Equal(3, Bench.Outcomes(report).Count(outcome => outcome == "Delivered 2.0.0"));
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
    }

    [Fact]
    public async Task A_kept_connection_takes_mail_of_no_more_domains_than_RCPTDOMAINMAX()
    {
        var hello = Hello("LIMITS RCPTDOMAINMAX=1");
        await using var server = new ScriptedServer([hello + Mail("user1") + Data + Mail("user2") + Data, hello + Mail("user3") + Data + Quit]);
        await using var bench = new Bench(time: new FakeTimeProvider());
        bench.RouteTo(server);
        foreach (var (batch, domain) in new[] { (77, Bench.Domain), (78, Bench.Domain), (79, "other.example") })
        {
            bench.Commanded = command => command with
            {
                BatchId = batch, Domain = domain, Site = $"127.0.0.1:{server.Port}", EndsConnection = true, MayKeep = true, KeptAfter = batch == 77 ? 0 : batch - 1,
            };
            Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
            Assert.Equal(domain == Bench.Domain ? 1 : 2, server.Connections);
        }

        bench.Clock.Advance(KeptConnection.Time);
        await server.FinishAsync();
    }

    [Theory]
    [InlineData("S: 250 Ok\nS: What was that\n! close")]
    [InlineData("S: 354 Go on\n! close")]
    public async Task A_far_end_that_breaks_over_commands_that_travel_together_gets_one_after_the_other(string breaks)
    {
        await using var server = new ScriptedServer([s_piped + Together + breaks, s_piped + Mail("user1") + Data + Quit, s_piped + Mail("user2") + Data + Quit]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        // And from now on.
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        await server.FinishAsync();
        Assert.Single(bench.Log.Collector.GetSnapshot(), record => record.Id.Id == 3028);
    }

    [Fact]
    public async Task A_far_end_that_hangs_over_them_gets_one_after_the_other_at_the_next_attempt_and_for_a_day()
    {
        await using var server = new ScriptedServer(
            [s_piped + Together + "S: 250 Ok\n! hang", s_piped + Mail("user1") + Data + Quit, s_piped + s_taken + Quit]);
        var clock = new ArmedClock();
        await using var bench = new Bench(time: clock);
        bench.Claims.Lease = TimeSpan.FromDays(3);
        bench.Options.Timeouts.Rcpt = TimeSpan.FromMinutes(4);
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        var running = bench.RunAsync(message);
        await server.Signal.Task;
        await Eventually.TrueAsync(() => clock.LastArmed == bench.Options.Timeouts.Rcpt && server.IsReadToEnd, TimeSpan.FromSeconds(30));
        bench.Clock.Advance(bench.Options.Timeouts.Rcpt);
        Assert.Equal(["Deferred 4.4.2"], Bench.Outcomes(await running));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(message)));
        bench.Clock.Advance(TimeSpan.FromDays(1));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(message)));
    }

    [Theory]
    [InlineData("! close")]
    [InlineData("S: 250 Ok\n! close")]
    [InlineData("S: 250 Ok\nS: 421 4.3.2 Later\n! close")]
    public async Task One_that_goes_away_or_says_so_is_no_reason(string ends)
    {
        await using var server = new ScriptedServer([s_piped + Together + ends, s_piped + s_taken + Quit]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        await server.FinishAsync();
    }

    private static string Hello(string offer) => $"S: 220 mx.example.net ESMTP\nC: EHLO client.example.com\nS: 250-mx.example.net\nS: 250 {offer}\n";

    /// <summary>One after the other.</summary>
    private static string Mail(params string[] users) =>
        "C: MAIL FROM:<sender@example.com>\nS: 250 Ok\n" + string.Concat(users.Select(user => $"C: RCPT TO:<{user}@example.net>\nS: 250 Ok\n"));
}
