using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>STARTTLS under each policy.</summary>
public sealed class TlsTests
{
    private const string Offer =
        """
        S: 220 mx.example.net
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250-PIPELINING
        S: 250 STARTTLS

        """;

    private const string Transaction =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken
        C: QUIT
        S: 221 Bye

        """;

    private const string SecondHello =
        """
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING

        """;

    private const string Secured = Offer + "C: STARTTLS\nS: 220 Go on\n! tls\n" + SecondHello + Transaction;

    private const string InClear = Offer + Transaction;

    [Fact]
    public async Task Opportunistic_takes_any_certificate()
    {
        var (report, tls) = await RunAsync(TlsPolicy.Opportunistic, Secured);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Contains(tls, value => value.StartsWith("Tls1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Opportunistic_goes_on_in_clear_when_TLS_is_not_available_now()
    {
        var (report, _) = await RunAsync(TlsPolicy.Opportunistic, Offer + "C: STARTTLS\nS: 454 Not now\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("C: STARTTLS\nS: 220 Go on\n! close")]
    [InlineData("C: STARTTLS\nS: 220 Go on\n! raw this is no TLS\\r\\n\n! close")]
    [InlineData("C: STARTTLS\nS: 220 Go on\n! bytes 100000\n! close")]
    [InlineData("C: STARTTLS\n! raw 220 Go on\\r\\n250 injected\\r\\n")]
    [InlineData("C: STARTTLS\nS: 220 Go on\n! tls\n! close")]
    public async Task Opportunistic_falls_back_to_clear_in_a_new_connection(string broken)
    {
        var (report, _) = await RunAsync(TlsPolicy.Opportunistic, Offer + broken, InClear);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task After_falling_back_a_demand_for_TLS_is_temporary()
    {
        var (report, _) = await RunAsync(
            TlsPolicy.Opportunistic, Offer + "C: STARTTLS\nS: 220 Go on\n! close",
            Offer + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user1@example.net>\nC: DATA\n"
            + "S: 530 5.7.0 Must issue STARTTLS first\nS: 530 5.7.0 Must issue STARTTLS first\nS: 530 5.7.0 Must issue STARTTLS first\nC: QUIT\nS: 221 Bye");
        Assert.Equal(["Deferred 4.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_demand_for_TLS_by_a_host_that_has_refused_it_is_temporary()
    {
        var (report, _) = await RunAsync(
            TlsPolicy.Opportunistic, Offer + "C: STARTTLS\nS: 454 Not now\nC: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user1@example.net>\nC: DATA\n"
            + "S: 530 5.7.0 Must issue STARTTLS first\nS: 530 5.7.0 Must issue STARTTLS first\nS: 530 5.7.0 Must issue STARTTLS first\nC: QUIT\nS: 221 Bye");
        Assert.Equal(["Deferred 4.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData(false, "C: STARTTLS\nS: 454 4.7.0 Not\u001b[31m now\n", @" refused STARTTLS: 454 4\.7\.0 Not\?\[31m now$")]
    [InlineData(true, "C: STARTTLS\nS: 220 Go on\n! close", " (closed|reset) the connection during the TLS handshake$")]
    [InlineData(true, "C: STARTTLS\nS: 220 Go on\n! tls\n! close", " (closed|reset) the connection without an answer to EHLO$")]
    public async Task Why_mail_goes_on_in_clear_is_said_once_an_hour_for_each_host(bool inNewConnection, string failing, string cause)
    {
        string[] once = inNewConnection ? [Offer + failing, InClear] : [Offer + failing + Transaction];
        string Nth(string script, int number) => script.Replace("user1@", $"user{number}@", StringComparison.Ordinal);
        await using var server = new ScriptedServer([.. Enumerable.Range(1, 3).SelectMany(number => once.Select(script => Nth(script, number)))]);
        await using var bench = new Bench(options => options.BrokenTlsTime = TimeSpan.Zero, new Microsoft.Extensions.Time.Testing.FakeTimeProvider());
        bench.RouteTo(server);
        string[] Lines() => [.. bench.ClearTextLines.Collector.GetSnapshot().Select(record => record.Message)];
        for (var number = 1; number <= 3; number++)
        {
            Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
            var line = Lines()[0];
            Assert.Matches($@"^relay=127\.0\.0\.1\[127\.0\.0\.1\]:{server.Port} tls=none mail goes on in clear text: 127\.0\.0\.1:{server.Port}{cause}", line);
            Assert.Single(Lines());
            if (number != 2)
                continue;
            bench.Clock.Advance(ClearTextLog.Window * 1.5);
            Assert.Equal([line, "relay=127.0.0.1 tls=none 1 times more, not shown one by one"], Lines());
            bench.ClearTextLines.Collector.Clear();
        }
    }

    [Theory]
    [InlineData(TlsPolicy.Opportunistic, "S: 220 mx\nC: EHLO client.example.com\nS: 250-mx\nS: 250 PIPELINING\n")]
    [InlineData(TlsPolicy.None, Offer)]
    public async Task Clear_text_without_an_offer_or_by_the_operators_will_is_no_news(TlsPolicy policy, string hello)
    {
        await using var server = new ScriptedServer(hello + Transaction);
        await using var bench = new Bench(options => options.Tls = policy);
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Empty(bench.ClearTextLines.Collector.GetSnapshot());
    }

    [Fact]
    public async Task None_never_asks()
    {
        var (report, _) = await RunAsync(TlsPolicy.None, InClear);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Required_is_content_with_a_certificate_of_its_own_making()
    {
        var (report, _) = await RunAsync(TlsPolicy.Required, Secured);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("C: STARTTLS\nS: 454 4.7.0 Not now\nC: QUIT\nS: 221 Bye", "Deferred 4.7.0")]
    [InlineData("C: STARTTLS\nS: 220 Go on\n! close", "Deferred 4.7.5")]
    public async Task Required_never_speaks_in_clear(string script, string outcome)
    {
        var (report, _) = await RunAsync(TlsPolicy.Required, Offer + script);
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
    }

    [Fact]
    public async Task Required_fails_where_STARTTLS_is_not_offered()
    {
        var (report, _) = await RunAsync(TlsPolicy.Required, "S: 220 mx\n* EHLO\nS: 250 mx");
        Assert.Equal(["Deferred 4.7.4"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Verified_refuses_a_certificate_of_its_own_making()
    {
        var (report, _) = await RunAsync(TlsPolicy.Verified, Offer + "C: STARTTLS\nS: 220 Go on\n! tls\n! close");
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_domain_may_have_a_policy_of_its_own()
    {
        await using var server = new ScriptedServer("S: 220 mx\n* EHLO\nS: 250 mx");
        await using var bench = new Bench(options => options.TlsDomains["EXAMPLE.net"] = nameof(TlsPolicy.Required));
        bench.RouteTo(server);
        Assert.Equal(["Deferred 4.7.4"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    private static async Task<(AttemptReport Report, string[] Tls)> RunAsync(TlsPolicy policy, params string[] scripts)
    {
        await using var server = new ScriptedServer(scripts);
        await using var bench = new Bench(options => options.Tls = policy);
        using var handshakes = bench.Collect("mailpipeline.delivery.handshakes");
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(scripts.Length, server.Connections);
        return (report, [.. handshakes.GetMeasurementSnapshot().Select(measurement => (string)measurement.Tags["tls"]!)]);
    }
}
