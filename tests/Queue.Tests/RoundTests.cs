using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>What is done again and again: how often, how long, and beside what.</summary>
public sealed class RoundTests : IDisposable
{
    private readonly List<OutageLog> _outages = [];

    private static readonly string[] s_others =
        [nameof(IWardenGrain.RouteAsync), nameof(IWardenGrain.TakeBackAsync), nameof(IWardenGrain.MeasureAsync), nameof(IWardenGrain.CleanUpAsync)];

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Rounds_in_vain_take_their_share_of_the_time_and_useful_ones_all_they_need()
    {
        var round = new Round(TimeSpan.FromSeconds(1), _time, share: 0.2);
        var (runs, took, useful) = (0, TimeSpan.FromSeconds(2), false);
        Task<bool> RunAsync()
        {
            runs++;
            _time.Advance(took);
            return Task.FromResult(useful);
        }

        Assert.Equal(1, await RunsWithinAsync(8));
        Assert.Equal(1, await RunsWithinAsync(8));
        took = TimeSpan.FromHours(1);
        Assert.Equal(1, await RunsWithinAsync(1));
        took = TimeSpan.Zero;
        // Never less often than once a minute.
        Assert.Equal(0, await RunsWithinAsync(58));
        useful = true;
        Assert.Equal(1, await RunsWithinAsync(2));
        Assert.Equal(10, await RunsWithinAsync(10));

        async Task<int> RunsWithinAsync(int seconds)
        {
            var before = runs;
            for (var i = 0; i < seconds; i++)
            {
                await round.RunAsync(RunAsync);
                _time.Advance(TimeSpan.FromSeconds(1));
            }
            return runs - before;
        }
    }

    [Fact]
    public async Task Calls_that_come_while_a_round_goes_on_or_too_early_do_nothing()
    {
        var round = new Round(TimeSpan.FromSeconds(1), _time, share: 0.5);
        var (runs, end) = (0, new TaskCompletionSource<bool>());
        Task<bool> RunAsync()
        {
            runs++;
            return end.Task;
        }

        var running = round.RunAsync(RunAsync);
        _time.Advance(TimeSpan.FromSeconds(10));
        await round.RunAsync(RunAsync);
        end.SetResult(false);
        await running;
        Assert.Equal(1, runs);
        await round.RunAsync(RunAsync);
        Assert.Equal(1, runs);
        await round.RunAsync(RunAsync, atOnce: true);
        Assert.Equal(2, runs);

        end = new TaskCompletionSource<bool>();
        running = round.RunAsync(RunAsync, atOnce: true);
        await round.RunAsync(RunAsync, atOnce: true);
        Assert.Equal(3, runs);
        end.SetResult(false);
        await running;
        Assert.Equal(4, runs);
    }

    [Fact]
    public async Task A_round_of_waking_is_bounded_in_time_and_the_next_goes_on_behind_it()
    {
        var all = Enumerable.Range(0, 5000).Select(i => new DueDomain($"d{i:0000}.example.net", DateTimeOffset.UnixEpoch)).ToList();
        var woken = new List<DueDomain>();
        var waking = new Waking(
            (after, most) => Task.FromResult<IReadOnlyList<DueDomain>>([.. all.Where(domain => string.CompareOrdinal(domain.Domain, after.Domain) > 0).Take(most)]),
            async domain =>
            {
                woken.Add(domain);
                await Task.Delay(TimeSpan.FromSeconds(1), _time);
                return false;
            },
            _time);
        for (var round = 1; round <= 27; round++)
        {
            var running = waking.RoundAsync();
            var seconds = 0;
            for (; !running.IsCompleted; seconds++)
                _time.Advance(TimeSpan.FromSeconds(1));
            Assert.False(await running);
            Assert.InRange(seconds, 1, 3);
        }
        // Every one of them once, and then from the beginning.
        Assert.Equal(all, woken);
        var again = waking.RoundAsync();
        Assert.Equal(all[0], woken[5000]);
        Assert.False(again.IsCompleted);
    }

    [Fact]
    public async Task What_is_forgotten_is_routed_while_waking_waits_for_ever()
    {
        var warden = Warden.New();
        using var ticks = new WardenTicks(
            OneWarden.With(warden), new HandOutGate(), Options.Create(new QueueOptions()), Outages(), _time, NullLogger<WardenTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        await Until.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(s_others.All(method => warden.Calls(method) >= 5));
            },
            "all but waking goes on");
        Assert.Equal(1, warden.Calls(nameof(IWardenGrain.WakeAsync)));
        warden.End();
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Workers_that_come_back_are_given_work_at_once()
    {
        var warden = Warden.New();
        warden.End();
        var gate = new HandOutGate();
        gate.NoteConsumers(BusEndpoints.Store, 0);
        using var ticks = new WardenTicks(
            OneWarden.With(warden), gate, Options.Create(new QueueOptions { WardenInterval = TimeSpan.FromMinutes(10) }), Outages(), _time, NullLogger<WardenTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        gate.NoteConsumers(BusEndpoints.Store, 3);
        await Until.TrueAsync(() => Task.FromResult(warden.Calls(nameof(IWardenGrain.WakeAsync)) == 1), "the opening wakes");
        gate.NoteNotTaken(BusEndpoints.Deliver);
        gate.NoteTaken();
        await Until.TrueAsync(() => Task.FromResult(warden.Calls(nameof(IWardenGrain.WakeAsync)) == 2), "the next opening wakes");
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The next round of all may come much later.</summary>
    [Fact]
    public async Task Workers_that_come_back_are_given_work_at_once_even_if_the_warden_does_not_answer_the_first_time()
    {
        var warden = Warden.New();
        warden.FailWakes(2);
        var (gate, interval) = (new HandOutGate(), TimeSpan.FromMinutes(10));
        gate.NoteConsumers(BusEndpoints.Store, 0);
        using var ticks = new WardenTicks(
            OneWarden.With(warden), gate, Options.Create(new QueueOptions { WardenInterval = interval }), Outages(), _time, NullLogger<WardenTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        gate.NoteConsumers(BusEndpoints.Store, 1);
        await Until.TrueAsync(() => Task.FromResult(warden.Calls(Warden.WakeAtOnce) == 1), "the opening wakes");
        await Until.TrueAsync(
            () =>
            {
                _time.Advance(interval);
                return Task.FromResult(warden.Calls(Warden.WakeAtOnce) >= 3);
            },
            "it is asked for again until it is done");
        _time.Advance(interval);
        Assert.Equal(3, warden.Calls(Warden.WakeAtOnce));
        warden.End();
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Rounds_that_fail_again_and_again_have_one_trace_and_then_a_line_a_minute()
    {
        var warden = Warden.New();
        warden.FailAll();
        var log = new FakeLogCollector();
        var outages = new OutageLog(_time, new FakeLogger<OutageLog>(log));
        _outages.Add(outages);
        using var ticks = new WardenTicks(
            OneWarden.With(warden), new HandOutGate(), Options.Create(new QueueOptions()), outages, _time, new FakeLogger<WardenTicks>(log));
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        var seconds = 0;
        await EachSecondUntilAsync(() => ++seconds >= 200, "minutes are over");

        var lines = log.GetSnapshot();
        Assert.IsType<StorageUnavailableException>(lines[0].Exception);
        Assert.All(lines.Skip(1), line => Assert.Matches(@"^The failure of event 2052 \(StorageUnavailableException\) came \d+ times more", line.Message));
        Assert.InRange(lines.Count, 3, 4);
        Assert.InRange(warden.Failed, 10, int.MaxValue);

        // The next outage has its trace again.
        outages.End();
        await EachSecondUntilAsync(() => log.GetSnapshot().Count(line => line.Exception is not null) == 2, "the next failure is shown");
        await ticks.StopAsync(TestContext.Current.CancellationToken);

        Task EachSecondUntilAsync(Func<bool> isSo, string what) => Until.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(isSo());
            },
            what);
    }

    [Fact]
    public async Task A_round_that_was_asked_for_during_another_is_run_though_that_one_fails()
    {
        var round = new Round(TimeSpan.FromSeconds(1), _time, share: 0.5);
        var (runs, first) = (0, new TaskCompletionSource<bool>());
        Task<bool> RunAsync() => ++runs == 1 ? first.Task : Task.FromResult(true);

        var running = round.RunAsync(RunAsync);
        await round.RunAsync(RunAsync, atOnce: true);
        first.SetException(new InvalidOperationException("the store is away"));
        // And whoever began the first is told.
        await Assert.ThrowsAsync<InvalidOperationException>(() => running);
        Assert.Equal(2, runs);
    }

    [Fact]
    public async Task Overdue_hand_outs_of_many_domains_are_one_question()
    {
        var questions = new List<long[]>();
        var overdue = new OverdueClaims(
            claimIds =>
            {
                questions.Add([.. claimIds]);
                return Task.FromResult<IReadOnlySet<long>>(claimIds.Where(id => id % 2 == 0).ToHashSet());
            },
            _time);
        for (var round = 1; round <= 2; round++)
        {
            var asking = Enumerable.Range(1, 100).Select(id => overdue.FindHeldAsync([id])).ToList();
            await Until.TrueAsync(
                () =>
                {
                    _time.Advance(TimeSpan.FromMilliseconds(250));
                    return Task.FromResult(asking.TrueForAll(answer => answer.IsCompleted));
                },
                "all are answered");
            Assert.Equal(round, questions.Count);
            Assert.Equal(100, questions[^1].Length);
            Assert.True((await asking[1]).Contains(2));
            Assert.False((await asking[0]).Contains(1));
        }
    }

    [Fact]
    public void An_endpoint_is_open_when_somebody_consumes_it_and_the_bus_takes()
    {
        var gate = new HandOutGate();
        Assert.True(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.NoteConsumers(BusEndpoints.Store, 0));
        Assert.False(gate.NoteConsumers(BusEndpoints.Store, 0));
        gate.NoteNotTaken(BusEndpoints.Store);
        Assert.False(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.IsOpen(BusEndpoints.Deliver));

        // A broker that says nothing closes nothing.
        var opening = gate.OpeningAfter(0);
        Assert.True(gate.NoteConsumers(BusEndpoints.Store, null));
        Assert.False(gate.IsOpen(BusEndpoints.Store));
        Assert.True(gate.WaitsForBus);
        Assert.False(opening.IsCompleted);
        gate.NoteTaken();
        Assert.True(gate.IsOpen(BusEndpoints.Store));
        Assert.False(gate.WaitsForBus);
        Assert.True(opening.IsCompleted);
        Assert.Equal(1, gate.Openings);
        Assert.True(gate.OpeningAfter(0).IsCompleted);
        Assert.False(gate.OpeningAfter(1).IsCompleted);
    }

    /// <summary>Domains that fail have an endpoint of their own, and what becomes of it is not the others' affair.</summary>
    [Fact]
    public void What_becomes_of_one_endpoint_closes_and_opens_no_other()
    {
        var gate = new HandOutGate();
        gate.NoteNotTaken(BusEndpoints.DeliverRetry);
        Assert.False(gate.IsOpen(BusEndpoints.DeliverRetry));
        Assert.True(gate.IsOpen(BusEndpoints.Deliver));
        gate.NoteConsumers(BusEndpoints.Deliver, 0);
        gate.NoteTaken();
        Assert.True(gate.IsOpen(BusEndpoints.DeliverRetry));
        Assert.False(gate.IsOpen(BusEndpoints.Deliver));
        Assert.Equal([BusEndpoints.DeliverRetry], gate.OpenedAfter(0));
        gate.NoteConsumers(BusEndpoints.Deliver, 1);
        Assert.Equal([BusEndpoints.Deliver], gate.OpenedAfter(1));
        Assert.Equal(2, gate.OpenedAfter(0).Count);
    }

    public void Dispose() => _outages.ForEach(outages => outages.Dispose());

    private OutageLog Outages()
    {
        var outages = new OutageLog(_time, NullLogger<OutageLog>.Instance);
        _outages.Add(outages);
        return outages;
    }

    /// <summary>Counts its calls; waking does not end before it is told to. Made at run time, or Orleans would take it for a grain.</summary>
    public class Warden : DispatchProxy
    {
        private readonly TaskCompletionSource _end = new();
        private readonly ConcurrentDictionary<string, int> _calls = [];

        public static Warden New() => (Warden)(object)Create<IWardenGrain, Warden>();

        /// <summary>Those of <see cref="IWardenGrain.WakeAsync"/> that are to be at once.</summary>
        public const string WakeAtOnce = "at once";

        private int _failing;
        private bool _isFailing;
        private int _failed;

        /// <summary>Whatever it is called for fails.</summary>
        public void FailAll() => _isFailing = true;

        /// <summary>How many calls did, of all.</summary>
        public int Failed => Volatile.Read(ref _failed);

        /// <summary>So many wakes at once fail.</summary>
        public void FailWakes(int count) => _failing = count;

        public int Calls(string method) => _calls.GetValueOrDefault(method);

        public void End() => _end.TrySetResult();

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args)
        {
            _calls.AddOrUpdate(targetMethod!.Name, 1, (_, calls) => calls + 1);
            if (_isFailing)
            {
                Interlocked.Increment(ref _failed);
                return Task.FromException(new StorageUnavailableException(StorageFault.Unavailable, "The store is away."));
            }
            if (targetMethod.Name != nameof(IWardenGrain.WakeAsync))
                return Task.CompletedTask;
            if (args is not [true])
                return _end.Task;
            _calls.AddOrUpdate(WakeAtOnce, 1, (_, calls) => calls + 1);
            return _failing-- > 0 ? Task.FromException(new TimeoutException()) : _end.Task;
        }
    }

    /// <summary>Whatever grain is asked for, it is this warden.</summary>
    public class OneWarden : DispatchProxy
    {
        private object? _warden;

        internal static IGrainFactory With(Warden warden)
        {
            var grains = Create<IGrainFactory, OneWarden>();
            ((OneWarden)(object)grains)._warden = warden;
            return grains;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _warden;
    }
}
