using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>From which addresses mail leaves. Linux lets a socket be bound to any address of 127.0.0.0/8.</summary>
public sealed class SourceTests : IDisposable
{
    private readonly TempFolder _folder = new("sources");

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Senders_and_destinations_have_pools_of_their_own_and_a_batch_one_connection_at_a_time()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, new
        {
            Pools = new[]
            {
                new { Name = "bulk", Sources = new[] { new { Address = "127.0.0.2", HostName = "bulk.example.com" } } },
                new { Name = "desk", Sources = new[] { new { Address = "127.0.0.3", HostName = "desk.example.com" } } },
            },
            Rules = new[]
            {
                new { From = "*@news.example.com", To = "", Pool = "bulk" },
                new { From = "vip@example.com", To = "*.example.org", Pool = "bulk" },
                new { From = "vip@example.com", To = Bench.Domain, Pool = "desk" },
            },
        });

        // The account that was logged in counts, too.
        Recipient[] OfAccount(Recipient[] message) => [.. message.Select(recipient => recipient with { Flow = "vip@example.com" })];
        var report = await bench.RunAsync(
            bench.Message("one\r\n", sender: "a@news.example.com"), bench.Message("one\r\n"), OfAccount(bench.Message("one\r\n", sender: "other@example.org")),
            bench.Message("one\r\n", sender: "b@news.example.com"));

        Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        Assert.Equal(
            [
                new("127.0.0.2", "bulk.example.com", "a@news.example.com"), new("127.0.0.2", "bulk.example.com", "b@news.example.com"),
                new("127.0.0.1", "client.example.com", "sender@example.com"), new("127.0.0.3", "desk.example.com", "other@example.org"),
            ],
            sink.Messages);
        // A site's permit is for one connection, whoever's mail is in the batch.
        Assert.Equal((3, 1), (sink.Connections, sink.Peak));
        Assert.Equal($"{Environment.MachineName}[127.0.0.2]", report.Results[0].Worker);
        Assert.Equal($"{Environment.MachineName}[127.0.0.3]", report.Results[2].Worker);
    }

    [Fact]
    public async Task A_kept_connection_is_not_used_for_mail_of_another_pool()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, TwoPools(), options => options.IdleTime = TimeSpan.FromSeconds(30));
        foreach (var sender in (string[])["a@bulk.example.com", "b@bulk.example.com", "c@desk.example.com", "d@example.com", "e@bulk.example.com"])
            Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n", sender: sender))));
        Assert.Equal(["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.1", "127.0.0.2"], sink.Messages.Select(message => message.Peer));
        Assert.Equal((4, 1), (sink.Connections, sink.Peak));
    }

    /// <summary>The next batch has the connection with its address, of which there may be no second one meanwhile.</summary>
    [Fact]
    public async Task A_counted_connection_is_handed_on_within_its_pool_alone()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, TwoPools(connections: 1), time: new FakeTimeProvider());
        foreach (var (batch, after, domain, sender) in new[] { (77, 0, "bulk", "a"), (78, 77, "bulk", "b"), (79, 78, "desk", "c"), (80, 79, "desk", "d"), (81, 80, "bulk", "e") })
        {
            bench.Commanded = command => command with
            {
                BatchId = batch, KeptAfter = after, Site = $"127.0.0.1:{sink.Port}", EndsConnection = true, MayKeep = true,
            };
            Assert.True(await bench.RunAsync(bench.Message("one\r\n", sender: $"{sender}@{domain}.example.com"))
                is { KeptBy.Length: > 0, Results: [{ Outcome: AttemptOutcome.Delivered }] });
            Assert.Equal(1, bench.Slots.Taken);
        }

        Assert.Equal(["127.0.0.2", "127.0.0.2", "127.0.0.3", "127.0.0.3", "127.0.0.2"], sink.Messages.Select(message => message.Peer));
        Assert.Equal((3, 1), (sink.Connections, sink.Peak));
    }

    [Fact]
    public async Task Addresses_of_a_pool_have_connections_by_their_weight()
    {
        await using var bench = BenchWith(Pool(
            new { Address = "127.0.0.2", Weight = 1 }, new { Address = "127.0.0.3", Weight = 3 }, new { Address = "127.0.0.4", Weight = 0 }));
        var taken = new Dictionary<string, int>();
        for (var i = 0; i < 4000; i++)
        {
            using var lease = await LeaseAsync(bench);
            taken[lease.Source.Name] = taken.GetValueOrDefault(lease.Source.Name) + 1;
        }

        Assert.Equal(["127.0.0.2", "127.0.0.3"], taken.Keys.Order());
        Assert.InRange(taken["127.0.0.3"], 2850, 3150);
    }

    [Fact]
    public async Task An_address_has_no_more_connections_than_it_may_and_who_waits_comes_in_turn()
    {
        await using var bench = BenchWith(Pool(new { Address = "127.0.0.2", Connections = 2 }));
        var (first, second) = (await LeaseAsync(bench), await LeaseAsync(bench));
        Assert.Equal(SourceLackKind.Busy, (await bench.Sources.TakeAsync("bulk", AddressFamily.InterNetwork, 1, mayWait: false, Cancellation)).Lack!.Kind);
        var third = bench.Sources.TakeAsync("bulk", AddressFamily.InterNetwork, 1, mayWait: true, Cancellation).AsTask();
        using var patience = new CancellationTokenSource();
        var impatient = bench.Sources.TakeAsync("bulk", AddressFamily.InterNetwork, 1, mayWait: true, patience.Token).AsTask();
        var fourth = bench.Sources.TakeAsync("bulk", AddressFamily.InterNetwork, 1, mayWait: true, Cancellation).AsTask();
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);
        Assert.False(third.IsCompleted);
        first.Dispose();
        first.Dispose();
        var lease = (await third).Lease!;
        Assert.False(fourth.IsCompleted);
        second.Dispose();
        (await fourth).Lease!.Dispose();
        lease.Dispose();
        // All of it is free again.
        using var one = await LeaseAsync(bench);
        using var two = await LeaseAsync(bench);
    }

    /// <summary>Two batches of one domain: the second waits for the first one's connection to end, and neither is put off.</summary>
    [Fact]
    public async Task A_batch_waits_for_an_address_without_a_place_among_the_connections()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, Pool(new { Address = "127.0.0.2", Connections = 1 }));
        var held = await LeaseAsync(bench);
        var running = bench.RunAsync(bench.Message("one\r\n"));
        await Eventually.TrueAsync(() => bench.Slots.Taken == 0 && bench.Claims.Begun.Count == 1, TimeSpan.FromSeconds(30), () => "the batch waits", Cancellation);
        Assert.Equal(0, sink.Connections);
        held.Dispose();
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await running));
    }

    [Fact]
    public async Task A_day_has_as_many_messages_as_its_plan_and_the_rest_goes_by_others_or_tomorrow()
    {
        await using var sink = new PeerSink();
        var day = new DateTimeOffset(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);
        await using var bench = BenchFor(sink, Pool(
            new { Address = "127.0.0.2", WarmUp = new { From = "2026-03-01", Days = "2, 4" } },
            new { Address = "127.0.0.3", WarmUp = new { From = "2026-02-28", Days = "9, 1, 9" } },
            new { Address = "127.0.0.4", WarmUp = new { From = "2026-03-09", Days = "5" } }), time: new FakeTimeProvider(day));

        var report = await bench.RunAsync([.. Enumerable.Range(0, 5).Select(_ => bench.Message("one\r\n"))]);
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0", "Delivered 2.0.0", "Deferred 4.4.5", "Deferred 4.4.5"], Bench.Outcomes(report));
        Assert.Equal(
            [("127.0.0.2", 2), ("127.0.0.3", 1)], sink.Messages.GroupBy(message => message.Peer).Select(peer => (peer.Key, peer.Count())).Order());
        Assert.Equal("The addresses of pool bulk have sent what their plan of today lets them; they go on tomorrow (UTC)", report.Results[4].Reply);
        Assert.InRange(report.Results[4].NotBefore!.Value, day.AddHours(12), day.AddHours(13));
        // It is nobody else's fault.
        Assert.Equal((false, SiteState.Answered), (report.Unreachable, report.SiteState));
        var spent = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal((false, SiteState.Unsaid), (spent.Unreachable, spent.SiteState));
        Assert.Equal(1, sink.Peak);

        bench.Clock.Advance(TimeSpan.FromHours(12));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        // After the last day there is no bound.
        bench.Clock.Advance(TimeSpan.FromDays(20));
        var many = await bench.RunAsync([.. Enumerable.Range(0, 30).Select(_ => bench.Message("one\r\n"))]);
        Assert.All(many.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
    }

    /// <summary>A process that is killed takes what it had of the plan with it; one that ends in order gives it back.</summary>
    [Fact]
    public async Task What_a_process_has_of_a_plan_is_given_back_at_its_end()
    {
        await using var bench = BenchWith(Pool(new { Address = "127.0.0.2", WarmUp = new { From = "2026-03-01", Days = "10" } }), time: new FakeTimeProvider(new(2026, 3, 1, 1, 0, 0, TimeSpan.Zero)));
        using (var lease = await LeaseAsync(bench, messages: 6))
        {
            lease.Allowance.Use();
            lease.Allowance.Use();
            lease.Allowance.Refund();
        }

        Assert.Equal(6, bench.SourceDays.Of("127.0.0.2"));
        // What it has left serves the next connection without a word to storage.
        using (var lease = await LeaseAsync(bench, messages: 5))
            lease.Allowance.Use();
        Assert.Equal(1, bench.SourceDays.Writes);
        // Two have been sent. Should it be killed now, another has what it had not taken, and never what it may have sent.
        var other = new SourcePlans(bench.SourceDays, bench.Time, new FakeLogger<SourcePlans>());
        var source = Assert.Single(bench.Sources.Table.Sources);
        Assert.Equal(4, (await other.TakeAsync(source, 100)).Left);
        Assert.True((await other.TakeAsync(source, 100)).IsSpent);
        Assert.True(other.IsExhausted(source));
        await bench.Plans.StopAsync(Cancellation);
        Assert.Equal(2 + 4, bench.SourceDays.Of("127.0.0.2"));
        // Others look again after a while.
        bench.Clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(4, (await other.TakeAsync(source, 100)).Left);
    }

    /// <summary>As a host composes it: the plan is in storage, and what is put off is told over the bus.</summary>
    [Fact]
    public async Task A_host_keeps_the_plan_in_storage()
    {
        await using var sink = new PeerSink();
        var today = DateOnly.FromDateTime(TimeProvider.System.GetUtcNow().UtcDateTime);
        await using var host = await DeliveryHost.StartAsync(new Dictionary<string, string?>
        {
            ["Delivery:Routes:*"] = $"127.0.0.1:{sink.Port}",
            ["Delivery:SourcesFile"] = Write("host.json", JsonSerializer.Serialize(Pool(
                new { Address = "127.0.0.2", WarmUp = new { From = today.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), Days = "1, 1" } }))),
        });
        var first = await host.DeliverAsync(await host.QueueAsync("one\r\n"u8.ToArray(), "ann@example.net"));
        var second = await host.DeliverAsync(await host.QueueAsync("two\r\n"u8.ToArray(), "bob@example.net"));
        Assert.Equal(["Delivered 2.0.0", "Deferred 4.4.5"], [.. Bench.Outcomes(first), .. Bench.Outcomes(second)]);
        Assert.Equal("127.0.0.2", Assert.Single(sink.Messages).Peer);
        Assert.True(second.Results[0].NotBefore > TimeProvider.System.GetUtcNow(), "it is due at once");
        Assert.Equal(0, await host.Get<SourceDayStore>().TakeAsync("127.0.0.2", today.DayNumber - DateOnly.FromDateTime(DateTime.UnixEpoch).DayNumber, wanted: 1, plan: 1));
    }

    [Fact]
    public async Task Mail_whose_addresses_are_on_other_machines_is_given_back_and_the_others_go()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, new
        {
            Pools = new[] { new { Name = "far", Sources = new[] { new { Address = MachineAddresses.Other(77) } } } },
            Rules = new[] { new { From = "*.example.com", Pool = "far" } },
        });
        var report = await bench.RunAsync(bench.Message("one\r\n", sender: "a@far.example.com"), bench.Message("one\r\n"));
        Assert.Equal(["NotAttempted 4.3.5", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.True(report.Results[0].NotBefore > TimeProvider.System.GetUtcNow(), "it comes again at once");
        Assert.False(report.Unreachable);
        Assert.Contains("has no address of pool far that can be used now", Assert.Single(bench.SourceLines.Collector.GetSnapshot()).Message, StringComparison.Ordinal);
        Assert.Equal("127.0.0.1", Assert.Single(sink.Messages).Peer);
    }

    [Fact]
    public async Task A_process_uses_only_the_addresses_that_are_its_own()
    {
        await using var bench = BenchWith(Pool(new { Address = "127.0.0.2" }, new { Address = "127.0.0.3" }), options => options.SourceAddresses = ["127.0.0.3"]);
        for (var i = 0; i < 20; i++)
        {
            using var lease = await LeaseAsync(bench);
            Assert.Equal("127.0.0.3", lease.Source.Name);
        }
    }

    [Fact]
    public async Task A_pool_without_an_address_of_the_hosts_kind_defers_its_own_mail_alone()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, new
        {
            Pools = new[] { new { Name = "six", Sources = new[] { new { Address = "::1" } } } },
            Rules = new[] { new { From = "six.example.com", Pool = "six" } },
        });
        var report = await bench.RunAsync(bench.Message("one\r\n", sender: "a@six.example.com"), bench.Message("one\r\n"));
        Assert.Equal(["Deferred 4.4.1", "Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal("Pool six has no IPv4 address, and 127.0.0.1 no other", report.Results[0].Reply);
        Assert.False((await bench.RunAsync(bench.Message("one\r\n", sender: "a@six.example.com"))).Unreachable);
    }

    [Fact]
    public async Task An_address_that_is_seen_otherwise_than_it_is_called_here_goes_by_the_name_that_is_seen()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, Pool(new { Address = "192.0.2.1", Bind = "127.0.0.6" }));
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal("127.0.0.6", Assert.Single(sink.Messages).Peer);
        Assert.Equal($"{Environment.MachineName}[192.0.2.1]", report.Results[0].Worker);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("mail:secret")]
    public async Task Mail_goes_through_a_SOCKS5_server(string? login)
    {
        await using var sink = new PeerSink();
        await using var egress = EgressServer.Socks5(login);
        var credentials = login is null ? "" : Write("login", login.Replace(':', '\n'));
        await using var bench = BenchFor(sink, Through($"socks5://127.0.0.1:{egress.Port}", credentials));
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Equal(new SeenMessage("127.0.0.9", "out.example.com", "sender@example.com"), Assert.Single(sink.Messages));
        Assert.Equal($"{Environment.MachineName}[127.0.0.9]", report.Results[0].Worker);
    }

    [Fact]
    public async Task Mail_goes_through_an_egress_that_is_told_by_the_PROXY_protocol()
    {
        await using var sink = new PeerSink();
        var seen = new List<(IPEndPoint From, IPEndPoint To)>();
        await using var egress = EgressServer.Proxy((from, to) => seen.Add((from, to)));
        await using var bench = BenchFor(sink, Through($"proxy://localhost:{egress.Port}"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("127.0.0.9", Assert.Single(sink.Messages).Peer);
        Assert.Equal((IPAddress.Parse("127.0.0.9"), new IPEndPoint(IPAddress.Loopback, sink.Port)), (Assert.Single(seen).From.Address, seen[0].To));
    }

    /// <summary>What the server says of itself is ours to bear; what it says of the host is the host's.</summary>
    [Theory]
    [InlineData(true, "48545450")]
    [InlineData(true, "05FF")]
    [InlineData(true, "0502")]
    [InlineData(true, "0400")]
    [InlineData(true, "05")]
    [InlineData(true, "")]
    [InlineData(true, "0500", "0501000100000000", "")]
    [InlineData(true, "0500", "0502000100000000", "")]
    [InlineData(true, "0500", "05000007")]
    [InlineData(true, "0500", "0400000100000000")]
    [InlineData(true, "0500", "05FE0001000000000000")]
    [InlineData(true, "0500", "05000003FF")]
    [InlineData(false, "0500", "05030001000000000000")]
    [InlineData(false, "0500", "05040001000000000000")]
    [InlineData(false, "0500", "05050001000000000000")]
    public async Task A_hostile_SOCKS5_server_costs_no_attempt(bool isOurs, params string[] replies)
    {
        await using var egress = EgressServer.Saying([.. replies.Select(Convert.FromHexString)]);
        await using var bench = BenchWith(Through($"socks5://127.0.0.1:{egress.Port}"));
        bench.RouteTo($"127.0.0.1:{FreePorts.Next()}");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([isOurs ? "NotAttempted 4.3.5" : "Deferred 4.4.1"], Bench.Outcomes(report));
        Assert.Equal((!isOurs, isOurs ? SiteState.Unsaid : SiteState.Unreachable), (report.Unreachable, report.SiteState));
        Assert.Equal(isOurs ? 2 : 0, bench.SourceLines.Collector.GetSnapshot().Count);
        Assert.DoesNotContain("secret", string.Concat(bench.SourceLines.Collector.GetSnapshot().Select(line => line.Message)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_login_that_the_egress_does_not_take_is_ours_to_mend()
    {
        await using var egress = EgressServer.Socks5("mail:secret");
        await using var bench = BenchWith(Through($"socks5://127.0.0.1:{egress.Port}", Write("login", "mail\nother-secret")));
        bench.RouteTo("127.0.0.1:25");
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal((AttemptOutcome.NotAttempted, $"The egress 127.0.0.1:{egress.Port} does not take our login"), (report.Results[0].Outcome, report.Results[0].Reply));
    }

    /// <summary>An egress that is away makes no host a dead one, and is used again when it is back.</summary>
    [Fact]
    public async Task Mail_waits_for_an_egress_that_is_away()
    {
        await using var sink = new PeerSink();
        var port = FreePorts.Next();
        await using var bench = BenchFor(sink, Through($"socks5://127.0.0.1:{port}"), time: new FakeTimeProvider(new(2026, 3, 1, 1, 0, 0, TimeSpan.Zero)));
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["NotAttempted 4.3.5"], Bench.Outcomes(report));
        Assert.Equal($"the egress 127.0.0.1:{port} refused the connection", report.Results[0].Reply);
        Assert.False(report.Unreachable);

        await using var egress = EgressServer.Socks5(port: port);
        Assert.Equal(["NotAttempted 4.3.5"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(0, egress.Connections);
        bench.Clock.Advance(SourceSlots.FaultTime);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Fact]
    public async Task The_other_addresses_of_a_pool_stand_in_for_one_that_is_out_of_order()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, Pool(
            new { Address = "192.0.2.1", Egress = $"socks5://127.0.0.1:{FreePorts.Next()}", Weight = 1_000_000 }, new { Address = "127.0.0.3" }));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("127.0.0.3", Assert.Single(sink.Messages).Peer);
    }

    [Fact]
    public async Task A_changed_file_counts_from_the_next_connection_on_and_a_wrong_one_does_not()
    {
        await using var sink = new PeerSink();
        await using var bench = BenchFor(sink, Pool(new { Address = "127.0.0.2" }));
        async Task<string> PeerAsync()
        {
            await bench.RunAsync(bench.Message("one\r\n"));
            return sink.Messages.Last().Peer;
        }

        Assert.Equal("127.0.0.2", await PeerAsync());
        File.WriteAllText(bench.Options.SourcesFile, JsonSerializer.Serialize(Pool(new { Address = "127.0.0.5" })));
        bench.SourcesFile.Look();
        Assert.Equal("127.0.0.5", await PeerAsync());
        File.WriteAllText(bench.Options.SourcesFile, JsonSerializer.Serialize(Pool(new { Address = "127.1" })));
        bench.SourcesFile.Look();
        Assert.Equal("127.0.0.5", await PeerAsync());
        File.WriteAllText(bench.Options.SourcesFile, "{}");
        bench.SourcesFile.Look();
        Assert.Equal("127.0.0.1", await PeerAsync());
    }

    [Theory]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"mx.example.com"}]}]}""", "Sources:Pools:0:Sources:0:Address is 'mx.example.com'; it must be an IP address")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1"},{"Address":"::1"}]}]}""", "Sources:Pools:0:Sources:1:Address is '::1', as that of a source before; an address belongs to one pool, once")]
    [InlineData("""{"Pools":[{"Name":"a b","Sources":[{"Address":"::1"}]}]}""", "Sources:Pools:0:Name is 'a b'; it must be 1 to 63 letters, digits, '-', '_' or '.'")]
    [InlineData("""{"Pools":[{"Name":"a"}]}""", "Sources:Pools:0:Sources has 0 entries; it must have 1 to 1000")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","Weight":-1}]}]}""", "Weight is -1; it must be 1 to 1000000, or 0 for an address that is no longer used")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","Bind":"10.0.0.1"}]}]}""", "Bind is '10.0.0.1'; it must be an IP address of this machine, of the kind (IPv4 or IPv6) of Address")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","HostName":"a_b!"}]}]}""", "HostName is 'a_b!'; it must be a domain name such as mx1.example.org, or an address in brackets")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","Connections":70000}]}]}""", "Connections is 70000; it must be 1 to 60000, or 0 for no bound")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","WarmUp":{"From":"1.3.2026","Days":"5"}}]}]}""", "WarmUp:From is '1.3.2026'; it must be a day such as 2026-03-01")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","WarmUp":{"From":"2026-03-01","Days":"5 many"}}]}]}""", "WarmUp:Days has 'many'; it must be numbers of messages from 0 to 1000000000, for example 50, 100, 200")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1","WarmUp":{"From":"2026-03-01"}}]}]}""", "WarmUp:Days has 0 entries; it must have 1 to 1000")]
    [InlineData("""{"Pools":[{"Name":"a","Egress":"http://proxy:80","Sources":[{"Address":"::1"}]}]}""", "Egress is 'http://proxy:80'; it must be socks5://HOST:PORT or proxy://HOST:PORT, for example socks5://egress.example.net:1080")]
    [InlineData("""{"Pools":[{"Name":"a","Egress":"socks5://proxy","Sources":[{"Address":"::1"}]}]}""", "Egress is 'socks5://proxy'; it must be")]
    [InlineData("""{"Pools":[{"Name":"a","Egress":"proxy://h:1","EgressCredentials":"/x","Sources":[{"Address":"::1"}]}]}""", "EgressCredentials is '/x', and Sources:Pools:0:Egress is no socks5://, which alone takes some")]
    [InlineData("""{"Pools":[{"Name":"a","Egress":"socks5://h:1","EgressCredentials":"/nowhere","Sources":[{"Address":"::1"}]}]}""", "EgressCredentials is '/nowhere'; it must be a file with a user name and a password in two lines")]
    [InlineData("""{"Pools":[{"Name":"a","Egress":"socks5://h:1","Sources":[{"Address":"::1"},{"Address":"::2"}]}]}""", "Sources:Pools:0:Sources:1 leaves through 'socks5://h:1', as a source before")]
    [InlineData("""{"Pools":[{"Name":"a","Sources":[{"Address":"::1"}]}],"Rules":[{"Pool":"b"}]}""", "Sources:Rules:0:Pool is 'b'; there is a")]
    [InlineData("""{"Rules":[{"From":"a b","Pool":""}]}""", "Sources:Rules:0:From is 'a b'; it must be an address, a domain")]
    [InlineData("""{"Rules":[{"To":"a b","Pool":""}]}""", "Sources:Rules:0:To is 'a b'; it must be a domain such as example.com")]
    [InlineData("""{"Pool":[]}""", "There is no setting 'Sources:Pool'; Sources has Pools, Rules")]
    [InlineData("""[""", "it is no JSON of settings")]
    public void A_wrong_file_is_told_of_in_one_line(string json, string expected)
    {
        var failures = new List<string>();
        SourcesFile.Validate("Delivery:SourcesFile", Write("wrong.json", json), failures);
        var line = Assert.Single(failures);
        Assert.StartsWith($"Delivery:SourcesFile is '{_folder["wrong.json"]}': ", line, StringComparison.Ordinal);
        Assert.Contains(expected, line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("*.example.com", "", "a@b.example.com", "", true)]
    [InlineData("*.example.com", "", "x.example.com@example.net", "", false)]
    [InlineData("*.example.com", "", "a@example.com", "", false)]
    [InlineData("example.com", "", "a@example.com", "", true)]
    [InlineData("A@EXAMPLE.com", "", "a@example.com", "", true)]
    [InlineData("*@example.com", "", "x@example.net", "boss@example.com", true)]
    [InlineData("<>", "", "", "", true)]
    [InlineData("<>", "", "a@example.com", "", false)]
    [InlineData("", "*.net", "", "", true)]
    [InlineData("", "example.org", "", "", false)]
    public void Rules_fit_by_sender_account_and_destination(string from, string to, string sender, string flow, bool fits)
    {
        var table = new SourceTable(new SourcesOptions
        {
            Pools = [new() { Name = "p", Sources = [new() { Address = "192.0.2.1" }] }], Rules = [new() { From = from, To = to, Pool = "P" }],
        });
        var recipient = new Recipient(1, "u@example.net", sender, 1, BodyType.SevenBit, 0, default, default, RecipientRoute.Remote, "", Flow: flow);
        Assert.Equal(fits ? "p" : "", table.PoolsTo("example.net")(recipient));
    }

    public void Dispose() => _folder.Dispose();

    private static object Pool(params object[] sources) => new { Pools = new[] { new { Name = "bulk", Sources = sources } }, Rules = new[] { new { Pool = "bulk" } } };

    private static object Through(string egress, string credentials = "") => new
    {
        Pools = new[]
        {
            new { Name = "bulk", Egress = egress, EgressCredentials = credentials, Sources = new[] { new { Address = "127.0.0.9", HostName = "out.example.com" } } },
        },
        Rules = new[] { new { Pool = "bulk" } },
    };

    private static object TwoPools(int connections = 0) => new
    {
        Pools = new[]
        {
            new { Name = "bulk", Sources = new[] { new { Address = "127.0.0.2", Connections = connections } } },
            new { Name = "desk", Sources = new[] { new { Address = "127.0.0.3", Connections = connections } } },
        },
        Rules = new[] { new { From = "bulk.example.com", Pool = "bulk" }, new { From = "desk.example.com", Pool = "desk" } },
    };

    private static async Task<SourceLease> LeaseAsync(Bench bench, int messages = 1) =>
        (await bench.Sources.TakeAsync("bulk", AddressFamily.InterNetwork, messages, mayWait: false, Cancellation)).Lease!;

    private Bench BenchFor(PeerSink sink, object sources, Action<DeliveryOptions>? configure = null, TimeProvider? time = null)
    {
        var bench = BenchWith(sources, configure, time);
        bench.RouteTo($"127.0.0.1:{sink.Port}");
        return bench;
    }

    private Bench BenchWith(object sources, Action<DeliveryOptions>? configure = null, TimeProvider? time = null) => new(
        options =>
        {
            options.SourcesFile = Write("sources.json", JsonSerializer.Serialize(sources));
            configure?.Invoke(options);
        },
        time);

    private string Write(string name, string text)
    {
        File.WriteAllText(_folder[name], text);
        return _folder[name];
    }
}
