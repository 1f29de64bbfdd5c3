using System.Net;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Which of many hosts and addresses are tried, and in which order.</summary>
public sealed class HostWalkTests
{
    private const string Taken =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING
        * MAIL
        * RCPT
        * DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken
        """;

    /// <summary>Nobody listens there on the port of the scripted server.</summary>
    private static readonly string[] s_dead = [.. Enumerable.Range(1, 6).Select(i => $"127.0.1.{i}")];

    [Fact]
    public async Task The_dead_addresses_of_the_best_host_leave_the_next_host_its_share()
    {
        await using var server = new ScriptedServer(Taken);
        await using var bench = new Bench(options => options.Port = server.Port);
        bench.Dns.WithMx(Bench.Domain, (10, "best.example.net"), (20, "next.example.net"))
            .WithAddress("best.example.net", s_dead).WithAddress("next.example.net", "127.0.0.1");

        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Fact]
    public async Task An_attempt_that_got_no_connection_began_when_the_first_host_was_asked()
    {
        await using var bench = new Bench();
        bench.RouteTo($"127.0.1.1:{FreePorts.Next()}");

        var result = Assert.Single((await bench.RunAsync(bench.Message("one\r\n"))).Results);
        Assert.Equal(AttemptOutcome.Deferred, result.Outcome);
        Assert.True(result.StartedAt < result.FinishedAt, "it took no time");
        Assert.EndsWith($": no host could be spoken to, 1 recipient(s) wait: {result.Reply}", Unreachable(bench), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Recipients_of_a_domain_that_is_none_do_not_wait()
    {
        await using var bench = new Bench();

        Assert.Equal(["Failed 5.1.2"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("example.net: no host could be spoken to, 1 recipient(s) fail: Domain not found", Unreachable(bench));
    }

    [Fact]
    public async Task A_later_attempt_begins_with_what_did_not_fail_before()
    {
        await using var server = new ScriptedServer(Taken);
        await using var bench = new Bench(options =>
        {
            options.Port = server.Port;
            options.MaxHosts = 1;
        });
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", [.. s_dead, "127.0.0.1"]);

        // Seven addresses, one a time: each attempt tries another.
        var outcomes = new List<string>();
        while (outcomes.Count < 7 && !outcomes.Contains("Delivered 2.0.0"))
            outcomes.AddRange(Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("Delivered 2.0.0", outcomes[^1]);
    }

    /// <summary>Its time-out is paid once, and not by each connection; after a while it is the best host again.</summary>
    [Fact]
    public async Task A_best_host_that_did_not_answer_comes_after_the_others_for_some_minutes()
    {
        await using var next = new ScriptedServer([Taken, Taken]);
        await using var bench = new Bench(options => options.Port = next.Port, new FakeTimeProvider(DateTimeOffset.UnixEpoch));
        bench.Dns.WithMx(Bench.Domain, (10, "best.example.net"), (20, "next.example.net"))
            .WithAddress("best.example.net", "127.0.1.1").WithAddress("next.example.net", "127.0.0.1");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));

        // It is back, and nobody has asked yet.
        await using var best = new ScriptedServer([Taken], address: IPAddress.Parse("127.0.1.1"), port: next.Port);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal((2, 0), (next.Connections, best.Connections));
        bench.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal((2, 1), (next.Connections, best.Connections));
    }

    /// <summary>Where nothing else is left, nobody waits for the minutes to pass.</summary>
    [Fact]
    public async Task The_only_host_is_tried_again_at_once()
    {
        await using var bench = new Bench(options => options.Port = 1, new FakeTimeProvider(DateTimeOffset.UnixEpoch));
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.1.1");
        Assert.Equal(["Deferred 4.4.1"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        await using var server = new ScriptedServer([Taken], address: IPAddress.Parse("127.0.1.1"));
        bench.Options.Port = server.Port;
        bench.Clock.Advance(TimeSpan.FromSeconds(1));
        bench.RouteTo($"127.0.1.1:{server.Port}");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Fact]
    public async Task A_host_whose_name_leads_nowhere_comes_last_the_next_time()
    {
        await using var server = new ScriptedServer(Taken);
        await using var bench = new Bench(options =>
        {
            options.Port = server.Port;
            options.MaxHosts = 2;
        });
        bench.Dns.WithMx(Bench.Domain, (10, "a.example.net"), (20, "b.example.net"), (30, "c.example.net"))
            .WithFailure("a.example.net").WithFailure("b.example.net").WithAddress("c.example.net", "127.0.0.1");

        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    private static string Unreachable(Bench bench) => bench.Log.Collector.GetSnapshot().Single(record => record.Id.Id == 3002).Message;
}
