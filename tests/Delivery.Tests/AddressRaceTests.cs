using System.Net;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Several addresses of one host (RFC 8305), and hosts that were dead a moment ago.</summary>
public sealed class AddressRaceTests
{
    private static readonly TimeSpan s_delay = TimeSpan.FromMilliseconds(250);

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private readonly FakeTimeProvider _time = new();
    private readonly Dictionary<IPAddress, TaskCompletionSource<string>> _opening = [];
    private readonly List<string> _events = [];

    [Fact]
    public void IPv4_and_IPv6_take_turns_and_the_preferred_kind_begins()
    {
        Assert.Equal(
            ["192.0.2.1", "2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.3"],
            AddressRace.Interleave(Addresses("192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2")).Select(address => address.ToString()));
        Assert.Equal(["2001:db8::1", "192.0.2.1"], AddressRace.Interleave(Addresses("2001:db8::1", "192.0.2.1")).Select(address => address.ToString()));
    }

    [Fact]
    public async Task The_next_address_is_tried_after_a_while_and_the_first_that_answers_wins()
    {
        var race = RaceAsync("192.0.2.1", "2001:db8::1", "192.0.2.2");
        Assert.Equal(["begin 192.0.2.1"], _events);
        _time.Advance(s_delay);
        await SeenAsync("begin 2001:db8::1");
        Answer("2001:db8::1");
        var result = await race;
        Assert.Equal("2001:db8::1", result.Winner!.Value.Address.ToString());
        // The other has only lost: it was not begun, or was cancelled, and nobody takes it for dead.
        Assert.Empty(result.Failed);
        Assert.Equal(["begin 192.0.2.1", "begin 2001:db8::1", "lost 192.0.2.1"], _events);
    }

    [Fact]
    public async Task Nobody_waits_for_the_while_to_pass_after_a_failure()
    {
        var race = RaceAsync("192.0.2.1", "2001:db8::1");
        Fail("192.0.2.1");
        await SeenAsync("begin 2001:db8::1");
        Answer("2001:db8::1");
        var result = await race;
        Assert.Equal("2001:db8::1", result.Winner!.Value.Address.ToString());
        Assert.Equal("192.0.2.1", Assert.Single(result.Failed).Address.ToString());
    }

    [Fact]
    public async Task When_all_fail_each_is_told_of()
    {
        var race = RaceAsync("192.0.2.1", "2001:db8::1");
        Fail("192.0.2.1");
        await SeenAsync("begin 2001:db8::1");
        Fail("2001:db8::1");
        var result = await race;
        Assert.Null(result.Winner);
        Assert.Equal(2, result.Failed.Count);
    }

    /// <summary>Both are connected in the same moment: one of them is closed before anything is read from it.</summary>
    [Fact]
    public async Task What_is_connected_too_late_is_closed()
    {
        // Its cancellation comes too late: it is connected all the same.
        var late = new TaskCompletionSource<string>();
        var race = AddressRace.RunAsync(
            Addresses("192.0.2.1", "2001:db8::1"),
            (address, lost) =>
            {
                if (address.ToString() != "192.0.2.1")
                    return Task.FromResult("won");
                lost.Register(() => late.SetResult("late"));
                return late.Task;
            },
            s_delay, closed => _events.Add($"closed {closed}"), _time);
        _time.Advance(s_delay);
        Assert.Equal("won", (await race).Winner!.Value.Connection);
        Assert.Equal(["closed late"], _events);
    }

    [Fact]
    public async Task Where_there_may_be_one_connection_one_is_given_up_before_the_next_is_begun()
    {
        var race = AddressRace.RunOneByOneAsync(Addresses("192.0.2.1", "2001:db8::1"), OpenAsync, s_delay, _time);
        _time.Advance(s_delay);
        await SeenAsync("begin 2001:db8::1");
        _time.Advance(s_delay);
        // All were slow: each has its whole time now, one after the other.
        await Eventually.TrueAsync(() => _events.Count(one => one == "begin 192.0.2.1") == 2, s_patience, () => "the first is tried again", TestContext.Current.CancellationToken);
        _time.Advance(TimeSpan.FromSeconds(5));
        Answer("192.0.2.1");
        Assert.Equal("192.0.2.1", (await race).Winner!.Value.Address.ToString());
        Assert.Equal(["begin 192.0.2.1", "lost 192.0.2.1", "begin 2001:db8::1", "lost 2001:db8::1", "begin 192.0.2.1"], _events);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Mail_goes_to_the_other_kind_of_address_where_the_preferred_one_refuses(bool isCounted)
    {
        await using var four = new PeerSink();
        await using var bench = new Bench(options =>
        {
            options.Port = four.Port;
            options.Addresses = AddressPreference.IPv6First;
        });
        bench.Commanded = command => command with { EndsConnection = isCounted };
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net"), (20, "next.example.net"))
            .WithAddress("mx.example.net", "127.0.0.1", "::1").WithAddress("next.example.net", "127.0.1.1");
        var races = bench.Collect("mailpipeline.delivery.races");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(1, four.Connections);
        Assert.Equal("other", Assert.Single(races.GetMeasurementSnapshot()).Tags["winner"]);
        // The one that refused comes last from now on, and there is nobody to be raced with.
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Single(races.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task An_address_that_only_lost_is_tried_when_the_winner_takes_no_mail()
    {
        await using var four = new PeerSink { Greeting = "421 4.3.2 Not now" };
        await using var six = new PeerSink("::1", four.Port);
        await using var bench = new Bench(options => options.Port = four.Port);
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1", "::1");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("::1", Assert.Single(six.Messages).Peer);
    }

    [Fact]
    public async Task Without_a_delay_addresses_are_tried_one_after_the_other_as_they_are_preferred()
    {
        await using var four = new PeerSink("127.0.0.3");
        await using var six = new PeerSink("::1", four.Port);
        await using var bench = new Bench(options => (options.Port, options.ConnectionAttemptDelay) = (four.Port, TimeSpan.Zero));
        bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.3", "::1");
        var races = bench.Collect("mailpipeline.delivery.races");
        await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal((1, 0), (four.Connections, six.Connections));
        Assert.Empty(races.GetMeasurementSnapshot());
    }

    [Fact]
    public void When_the_time_of_a_dead_address_is_over_one_connection_finds_out_for_all()
    {
        var options = Microsoft.Extensions.Options.Options.Create(new DeliveryOptions { DeadHostTime = TimeSpan.FromMinutes(2) });
        var failures = new HostFailures(options, _time);
        Assert.False(failures.TryProbe(IPAddress.Loopback));
        failures.Note(IPAddress.Loopback);
        Assert.True(failures.IsDead(IPAddress.Loopback));
        Assert.False(failures.TryProbe(IPAddress.Loopback));
        _time.Advance(TimeSpan.FromMinutes(2));
        Assert.False(failures.IsDead(IPAddress.Loopback));
        Assert.True(failures.TryProbe(IPAddress.Loopback));
        Assert.True(failures.IsDead(IPAddress.Loopback));
        Assert.False(failures.TryProbe(IPAddress.Loopback));
        failures.Forget(IPAddress.Loopback);
        Assert.False(failures.IsDead(IPAddress.Loopback));
    }

    private static IPAddress[] Addresses(params string[] texts) => [.. texts.Select(IPAddress.Parse)];

    private Task<RaceResult<string>> RaceAsync(params string[] addresses) =>
        AddressRace.RunAsync(Addresses(addresses), OpenAsync, s_delay, closed => _events.Add($"closed {closed}"), _time);

    private async Task<string> OpenAsync(IPAddress address, CancellationToken lost)
    {
        lock (_events)
            _events.Add($"begin {address}");
        var opening = _opening[address] = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        try
        {
            return await opening.Task.WaitAsync(lost);
        }
        catch (OperationCanceledException)
        {
            lock (_events)
                _events.Add($"lost {address}");
            throw;
        }
    }

    private void Answer(string address) => _opening[IPAddress.Parse(address)].SetResult(address);

    private void Fail(string address) => _opening[IPAddress.Parse(address)].SetException(new SmtpConnectionException("4.4.1", $"{address} refused"));

    private Task SeenAsync(string one) => Eventually.TrueAsync(
        () =>
        {
            lock (_events)
                return _events.Contains(one);
        },
        s_patience, () => one, TestContext.Current.CancellationToken);
}
