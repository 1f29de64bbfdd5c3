using System.Net;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Dns.Tests;

/// <summary>What is remembered, for how long, in how much memory, and how often a question is asked meanwhile.</summary>
public sealed class DnsCacheTests
{
    private readonly FakeTimeProvider _clock = new();
    private readonly CountingDns _dns = new();

    [Fact]
    public async Task Each_type_of_a_name_is_asked_for_once_until_its_answer_has_died()
    {
        var cache = Cache(new DnsOptions { CacheTime = TimeSpan.FromMinutes(2) });
        for (var i = 0; i < 3; i++)
            await AskAllAsync(cache);
        Assert.Equal(
            ["A example.net", "AAAA example.net", "MX example.net", "PTR 192.0.2.1", "TLSA example.net", "TXT example.net"],
            _dns.Questions.Order(StringComparer.Ordinal));
        // The time to live is an hour, the bound two minutes.
        _clock.Advance(TimeSpan.FromMinutes(2));
        await AskAllAsync(cache);
        Assert.Equal(12, _dns.Questions.Count);
        Assert.Equal("v=spf1 -all", Assert.Single((await cache.TxtAsync("EXAMPLE.net")).Records).Text);
        Assert.Equal(12, _dns.Questions.Count);
    }

    [Fact]
    public async Task Who_gives_up_on_an_answer_does_not_take_it_from_those_who_wait()
    {
        var cache = Cache(new DnsOptions());
        _dns.Gate = new TaskCompletionSource();
        using var impatience = new CancellationTokenSource();
        var impatient = ((IDnsLookup)cache).TxtAsync("example.net", impatience.Token);
        var patient = ((IDnsLookup)cache).TxtAsync("example.net", CancellationToken.None);
        await impatience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => impatient);
        _dns.Gate.SetResult();
        Assert.Equal(DnsStatus.Found, (await patient).Status);
        Assert.Single(_dns.Questions);
    }

    [Fact]
    public async Task What_has_no_answer_is_left_alone_and_what_this_machine_cannot_ask_is_not_remembered()
    {
        var cache = Cache(new DnsOptions());
        _dns.Answer = DnsAnswer.Failure<TxtRecord>("SERVFAIL");
        for (var i = 0; i < 3; i++)
            Assert.Equal(DnsStatus.Failed, (await cache.TxtAsync("a.example")).Status);
        Assert.Single(_dns.Questions);
        _clock.Advance(TimeSpan.FromSeconds(20));
        _dns.Answer = _dns.Answer with { IsOurFault = true };
        await cache.TxtAsync("a.example");
        await cache.TxtAsync("a.example");
        Assert.Equal(3, _dns.Questions.Count);
    }

    [Fact]
    public async Task Texts_of_any_size_take_no_more_than_the_octets_they_may()
    {
        var cache = Cache(new DnsOptions { CacheBytes = 1_000_000 });
        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var i = 0; i < 300; i++)
        {
            _dns.Answer = new DnsAnswer<TxtRecord>(DnsStatus.Found, [new TxtRecord(new string('x', 30_000))], TimeSpan.FromHours(1));
            await cache.TxtAsync($"h{i}.example");
        }

        _dns.Answer = DnsAnswer.Failure<TxtRecord>("");
        Assert.InRange(GC.GetTotalMemory(forceFullCollection: true) - before, 100_000, 1_500_000);
        GC.KeepAlive(cache);
    }

    [Fact]
    public async Task The_cache_is_bounded()
    {
        var cache = new TtlCache<int>(100_000, TimeProvider.System);
        for (var i = 0; i < 1000; i++)
            Assert.Equal(i, await cache.GetAsync($"{i}", _ => Task.FromResult(new Remembered<int>(i, TimeSpan.FromHours(1), 0))));
        Assert.InRange(cache.Count, 200, 310);
    }

    [Fact]
    public async Task Large_answers_leave_room_in_the_cache_for_fewer()
    {
        var cache = new TtlCache<int>(100_000, _clock);
        for (var i = 0; i < 50; i++)
            await cache.GetAsync($"large {i}", _ => Task.FromResult(new Remembered<int>(i, TimeSpan.FromHours(1), 20_000)));
        Assert.InRange(cache.Count, 1, 5);
        _clock.Advance(TimeSpan.FromHours(2));
        for (var i = 0; i < 5; i++)
            await cache.GetAsync($"large {i}", _ => Task.FromResult(new Remembered<int>(0, TimeSpan.Zero, 0)));
        for (var i = 0; i < 200; i++)
            await cache.GetAsync($"small {i}", _ => Task.FromResult(new Remembered<int>(i, TimeSpan.FromHours(1), 100)));
        Assert.InRange(cache.Count, 200, 205);
    }

    [Theory]
    [InlineData(0, 0, 0)]
    [InlineData(20, 20, 160)]
    [InlineData(100, 100, 300)]
    [InlineData(600, 600, 600)]
    public void A_question_is_left_alone_for_the_time_set_and_up_to_eight_times_as_long(int setting, int first, int longest)
    {
        var unanswered = new UnansweredQuestions(Options.Create(new DnsOptions { FailureTime = TimeSpan.FromSeconds(setting) }), _clock);
        Assert.Equal(first, unanswered.Note("A mx").TotalSeconds);
        Assert.Equal(longest, Enumerable.Range(0, 50).Max(_ => unanswered.Note("A mx").TotalSeconds));
        Assert.Equal(longest, unanswered.Left("a MX")?.TotalSeconds);
        unanswered.Forget("A mx");
        Assert.Null(unanswered.Left("A mx"));
    }

    private static async Task AskAllAsync(DnsCache cache)
    {
        await cache.MxAsync("example.net");
        await cache.TxtAsync("example.net");
        await cache.TlsaAsync("example.net");
        await cache.IPv4Async("example.net");
        await cache.IPv6Async("example.net");
        await cache.PtrAsync(IPAddress.Parse("192.0.2.1"));
    }

    private DnsCache Cache(DnsOptions options) =>
        new(_dns, new UnansweredQuestions(Options.Create(options), _clock), Options.Create(options), _clock);

    private sealed class CountingDns : IDnsLookup
    {
        private static readonly TimeSpan s_hour = TimeSpan.FromHours(1);

        public List<string> Questions { get; } = [];

        public DnsAnswer<TxtRecord> Answer { get; set; } = new(DnsStatus.Found, [new TxtRecord("v=spf1 -all")], s_hour);

        /// <summary>No answer comes before.</summary>
        public TaskCompletionSource? Gate { get; set; }

        public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) =>
            AskedAsync($"MX {name}", new DnsAnswer<MxRecord>(DnsStatus.NoSuchName, [], s_hour));

        public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) => AskedAsync($"TXT {name}", Answer);

        public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) =>
            AskedAsync($"TLSA {name}", new DnsAnswer<TlsaRecord>(DnsStatus.NoData, [], s_hour));

        public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) =>
            AskedAsync($"CNAME {name}", new DnsAnswer<string>(DnsStatus.Found, ["host.example"], s_hour));

        public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) =>
            AskedAsync($"PTR {address}", new DnsAnswer<string>(DnsStatus.Found, ["host.example"], s_hour));

        public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) =>
            AskedAsync($"A {name}", new DnsAnswer<IPAddress>(DnsStatus.Found, [IPAddress.Loopback], s_hour));

        public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) =>
            AskedAsync($"AAAA {name}", new DnsAnswer<IPAddress>(DnsStatus.NoData, [], s_hour));

        private async Task<DnsAnswer<T>> AskedAsync<T>(string question, DnsAnswer<T> answer)
        {
            Questions.Add(question);
            await (Gate?.Task ?? Task.CompletedTask);
            return answer;
        }
    }
}
