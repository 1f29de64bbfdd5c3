using System.Net;
using MailPipeline.Delivery.Routing;
using MailPipeline.Dns;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>
/// Names that DNS gives no answer for: they are asked about ever more rarely, and once that is known they hold up nobody whose hosts it knows.
/// </summary>
public sealed class DeadNamesTests : IAsyncDisposable
{
    private readonly Bench _bench = new(time: new FakeTimeProvider());

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private TimeSpan FailureTime => _bench.DnsOptions.FailureTime;

    [Fact]
    public async Task A_good_host_waits_for_a_better_one_only_the_first_time_that_DNS_says_nothing_about_it()
    {
        _bench.Dns.WithMx(Bench.Domain, (10, "dead"), (20, "good")).WithFailure("dead").WithAddress("good", "192.0.2.20");
        Assert.Equal("192.0.2.20", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));

        for (var attempt = 0; attempt < 3; attempt++)
        {
            _bench.Clock.Advance(8 * FailureTime);
            var answering = Silence("dead");
            var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
            _bench.Clock.Advance(HostLookUps.Patience);
            Assert.Equal("192.0.2.20", await FirstAsync(resolving));
            answering.SetResult();
        }
    }

    [Fact]
    public async Task What_was_passed_over_has_its_turn_when_nothing_else_is_left()
    {
        _bench.Dns.WithMx(Bench.Domain, (10, "slow"), (20, "gone")).WithFailure("slow").WithFailure("gone");
        Assert.Equal("4.4.3", (await _bench.Resolver.ResolveToAddressAsync(Bench.Domain)).Failure?.Status);

        _bench.Clock.Advance(FailureTime);
        _bench.Dns.WithAddress("slow", "192.0.2.10");
        var answering = Silence("slow");
        var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
        _bench.Clock.Advance(HostLookUps.Patience);
        Assert.False(resolving.IsCompleted);
        answering.SetResult();
        Assert.Equal("192.0.2.10", await FirstAsync(resolving));
    }

    [Fact]
    public async Task Of_hosts_that_failed_together_the_first_that_DNS_knows_again_is_used()
    {
        _bench.Dns.WithMx(Bench.Domain, (10, "dead"), (20, "back")).WithFailure("dead").WithFailure("back");
        Assert.Equal("4.4.3", (await _bench.Resolver.ResolveToAddressAsync(Bench.Domain)).Failure?.Status);

        _bench.Clock.Advance(FailureTime);
        Silence("dead");
        _bench.Dns.WithAddress("back", "192.0.2.20");
        var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
        _bench.Clock.Advance(HostLookUps.Patience);
        Assert.Equal("192.0.2.20", await FirstAsync(resolving));
    }

    [Fact]
    public async Task A_better_host_comes_first_again_as_soon_as_DNS_has_answered_for_it()
    {
        _bench.Dns.WithMx(Bench.Domain, (10, "dead"), (20, "good")).WithFailure("dead").WithAddress("good", "192.0.2.20");
        Assert.Equal("192.0.2.20", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));

        _bench.Clock.Advance(FailureTime);
        _bench.Dns.WithAddress("dead", "192.0.2.10");
        Assert.Equal("192.0.2.20", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));
        Assert.Equal("192.0.2.10", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));
    }

    [Fact]
    public async Task Addresses_of_one_family_wait_for_the_other_only_the_first_time_that_DNS_says_nothing_about_it()
    {
        _bench.Dns.TimeToLive = TimeSpan.FromSeconds(1);
        _bench.Dns.WithAddress("mx", "192.0.2.1").IPv6["mx"] = DnsAnswer.Failure<IPAddress>("timeout");
        Assert.Equal(["192.0.2.1"], await AddressesAsync());

        // Not asked again while it is left alone, and then not waited for.
        _bench.Clock.Advance(FailureTime / 2);
        Assert.Equal(["192.0.2.1"], await AddressesAsync());
        Assert.Equal(["A mx", "A mx", "AAAA mx"], _bench.Dns.Questions.Order());
        _bench.Clock.Advance(FailureTime);
        var answering = _bench.Dns.Silent["AAAA mx"] = new TaskCompletionSource();
        var briefly = AddressesAsync();
        _bench.Clock.Advance(HostLookUps.Patience);
        Assert.Equal(["192.0.2.1"], await briefly);

        _bench.Dns.WithAddress("mx", "192.0.2.1", "2001:db8::1");
        answering.SetResult();
        _bench.Clock.Advance(FailureTime);
        Assert.Equal(["192.0.2.1", "2001:db8::1"], await AddressesAsync());
    }

    [Fact]
    public async Task Addresses_of_a_family_that_was_silent_once_are_used_when_they_come_a_moment_after_the_others()
    {
        _bench.Dns.TimeToLive = TimeSpan.FromSeconds(1);
        _bench.Dns.WithAddress("mx", "192.0.2.1", "2001:db8::1").IPv4["mx"] = DnsAnswer.Failure<IPAddress>("timeout");
        Assert.Equal(["2001:db8::1"], await AddressesAsync());

        _bench.Clock.Advance(FailureTime);
        _bench.Dns.WithAddress("mx", "192.0.2.1", "2001:db8::1");
        var answering = _bench.Dns.Silent["A mx"] = new TaskCompletionSource();
        var finding = AddressesAsync();
        _bench.Clock.Advance(HostLookUps.Patience / 2);
        answering.SetResult();
        Assert.Equal(["192.0.2.1", "2001:db8::1"], await finding);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(10)]
    public async Task While_a_host_that_nobody_has_asked_about_is_waited_for_the_others_are_asked(int step)
    {
        string[] dead = ["a", "b", "c", "d"];
        _bench.Dns.WithMx(Bench.Domain, [.. dead.Append("alive").Select((host, i) => (10 + (i * step), host))]).WithAddress("alive", "192.0.2.20");
        var silences = Array.ConvertAll(dead, Silence);
        var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
        // Equal ones at once, worse ones when it takes long.
        if (step > 0)
            _bench.Clock.Advance(HostLookUps.Patience);
        await Eventually.TrueAsync(() => Task.FromResult(_bench.Dns.Asked() >= 2 * 5), TimeSpan.FromSeconds(20), cancellation: Cancellation);
        foreach (var host in dead)
            _bench.Dns.WithFailure(host);
        // One time-out for all of them, of which the batch could not wait for three.
        _bench.Clock.Advance(TimeSpan.FromSeconds(6));
        foreach (var silence in silences)
            silence.SetResult();
        Assert.Equal("192.0.2.20", await FirstAsync(resolving));
    }

    /// <summary>It may be ourselves: then nobody behind it is to be used.</summary>
    [Fact]
    public async Task While_a_host_is_waited_for_a_better_one_that_failed_is_asked_about_before_worse_ones()
    {
        _bench.Dns.TimeToLive = TimeSpan.FromSeconds(1);
        string[] worse = ["b", "c", "d", "e"];
        _bench.Dns.WithMx(Bench.Domain, [(5, "better"), (10, "slow"), .. worse.Select((host, i) => (20 + i, host))]).WithFailure("better").WithAddress("slow", "192.0.2.10");
        Assert.Equal("192.0.2.10", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));

        _bench.Clock.Advance(FailureTime);
        _bench.Dns.Questions.Clear();
        var answering = Silence("slow");
        var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
        _bench.Clock.Advance(HostLookUps.Patience);
        // The MX, and both families of as many hosts as a batch may ask about.
        var questions = 1 + (2 * _bench.Options.MaxHosts);
        await Eventually.TrueAsync(() => Task.FromResult(_bench.Dns.Asked() >= questions), TimeSpan.FromSeconds(20), cancellation: Cancellation);
        Assert.Contains("A better", _bench.Dns.Questions);
        answering.SetResult();
        Assert.Equal("192.0.2.10", await FirstAsync(resolving));
    }

    [Fact]
    public async Task A_good_host_waits_for_any_number_of_equal_ones_that_were_silent_as_for_one()
    {
        string[] dead = ["a", "b", "c", "d"];
        _bench.Dns.WithMx(Bench.Domain, [.. dead.Append("good").Select(host => (10, host))]).WithAddress("good", "192.0.2.20");
        foreach (var host in dead)
            _bench.Dns.WithFailure(host);
        Assert.Equal("192.0.2.20", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));

        _bench.Clock.Advance(FailureTime);
        var silences = Array.ConvertAll(dead, Silence);
        var resolving = _bench.Resolver.ResolveToAddressAsync(Bench.Domain);
        _bench.Clock.Advance(HostLookUps.Patience);
        Assert.Equal("192.0.2.20", await FirstAsync(resolving));
        foreach (var silence in silences)
            silence.SetResult();
    }

    [Fact]
    public async Task A_question_that_this_machine_could_not_put_says_nothing_about_the_name()
    {
        var unable = DnsAnswer.Failure<IPAddress>("TooManyOpenSockets") with { IsOurFault = true };
        _bench.Dns.WithMx(Bench.Domain, (10, "mx"));
        _bench.Dns.IPv4["mx"] = _bench.Dns.IPv6["mx"] = unable;
        var exchanges = _bench.Dns.Mx[Bench.Domain];
        _bench.Dns.Mx[Bench.Domain] = DnsAnswer.Failure<MxRecord>("TooManyOpenSockets") with { IsOurFault = true };
        Assert.Equal("4.4.3", (await _bench.Resolver.ResolveToAddressAsync(Bench.Domain)).Failure?.Status);
        _bench.Dns.Mx[Bench.Domain] = exchanges;
        Assert.Equal("4.4.3", (await _bench.Resolver.ResolveToAddressAsync(Bench.Domain)).Failure?.Status);

        // No time has passed.
        _bench.Dns.WithAddress("mx", "192.0.2.1");
        Assert.Equal("192.0.2.1", await FirstAsync(_bench.Resolver.ResolveToAddressAsync(Bench.Domain)));
    }

    [Theory]
    [InlineData("MX")]
    [InlineData("A")]
    public async Task A_name_without_an_answer_is_asked_about_ever_more_rarely_up_to_a_bound(string type)
    {
        _bench.Dns.WithFailure("dead");
        Assert.Equal((int[])[0, 20, 60, 140, 300, 460], await AskedAtAsync(type, TimeSpan.FromMinutes(10)));

        // One answer, and it begins anew.
        _bench.Dns.TimeToLive = TimeSpan.Zero;
        _bench.Dns.WithMx("dead", (10, "mx")).WithAddress("dead", "192.0.2.1");
        _bench.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.NotEmpty(await AskedAtAsync(type, TimeSpan.FromSeconds(10)));
        _bench.Dns.WithFailure("dead");
        Assert.Equal((int[])[0, 20, 60], await AskedAtAsync(type, TimeSpan.FromSeconds(100)));
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    /// <summary>Neither address question about this name is answered before what is returned completes.</summary>
    private TaskCompletionSource Silence(string name) =>
        _bench.Dns.Silent[$"A {name}"] = _bench.Dns.Silent[$"AAAA {name}"] = new TaskCompletionSource();

    private static async Task<string?> FirstAsync(Task<Resolution> resolving) =>
        (await resolving.WaitAsync(TimeSpan.FromSeconds(20), TimeProvider.System, Cancellation)).First?.ToString();

    private async Task<string[]> AddressesAsync()
    {
        var found = await _bench.Resolver.AddressesAsync(new TargetHost("mx", 25)).WaitAsync(TimeSpan.FromSeconds(20), TimeProvider.System, Cancellation);
        return [.. found.Addresses.Select(address => address.ToString())];
    }

    /// <summary>The name is wanted every ten seconds; after how many of them a question went out.</summary>
    private async Task<int[]> AskedAtAsync(string type, TimeSpan duration)
    {
        var at = new List<int>();
        for (var seconds = 0; seconds < duration.TotalSeconds; seconds += 10)
        {
            _bench.Dns.Questions.Clear();
            if (type == "MX")
                await _bench.Resolver.ResolveAsync("dead");
            else
                await _bench.Resolver.AddressesAsync(new TargetHost("dead", 25));
            if (_bench.Dns.Questions.Contains($"{type} dead"))
                at.Add(seconds);
            _bench.Clock.Advance(TimeSpan.FromSeconds(10));
        }

        return [.. at];
    }
}
