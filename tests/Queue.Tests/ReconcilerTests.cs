using System.Collections.Concurrent;
using System.Reflection;
using MailPipeline.Contracts;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Reconciling;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Which duties there are, and that each is called for, whatever becomes of the others.</summary>
public sealed class ReconcilerTests : IDisposable
{
    private static readonly IDuty[] s_duties = [new NamedDuty("route"), new NamedDuty(DueDomains.DutyName), new NamedDuty("take_back")];

    private readonly List<OutageLog> _outages = [];

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Every_duty_has_its_rounds_and_its_measurements()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        using var rounds = new MetricCollector<double>(queue.Meters, QueueTelemetry.MeterName, "mailpipeline.queue.duty.duration");
        await queue.AcceptAsync(hint: false, "sender@example.org", "a@example.net");
        await Until.TrueAsync(
            () => Task.FromResult(Ended("route", "useful") && Ended("wake", "vain") && Ended("take_back", "vain") && Ended("report", "vain")), "they have rounds");
        await queue.ExecuteAsync("ALTER TABLE claims RENAME TO lost");
        await Until.TrueAsync(() => Task.FromResult(Ended("take_back", "failed")), "a round that failed is measured");

        bool Ended(string duty, string result) => rounds.GetMeasurementSnapshot().Any(m => Equals(m.Tags["duty"], duty) && Equals(m.Tags["result"], result));
    }

    [Fact]
    public async Task A_duty_that_waits_for_ever_holds_up_none_of_the_others()
    {
        var rounds = new Rounds();
        using var ticks = new ReconcilerTicks(
            Reconcilers.With(rounds), s_duties, new EndpointGate(), Options.Create(new QueueOptions()), Outages(), _time, NullLogger<ReconcilerTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        await Until.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromSeconds(1));
                return Task.FromResult(s_duties.All(duty => duty.Name == DueDomains.DutyName || rounds.Calls(duty.Name) >= 5));
            },
            "all but waking goes on");
        Assert.Equal(1, rounds.Calls(DueDomains.DutyName));
        rounds.End();
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Workers_that_come_back_are_given_work_at_once()
    {
        var rounds = new Rounds();
        rounds.End();
        var gate = new EndpointGate();
        gate.NoteConsumers(BusEndpoints.Store, 0);
        using var ticks = new ReconcilerTicks(
            Reconcilers.With(rounds), s_duties, gate, Options.Create(new QueueOptions { ReconcileInterval = TimeSpan.FromMinutes(10) }), Outages(), _time, NullLogger<ReconcilerTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        gate.NoteConsumers(BusEndpoints.Store, 3);
        await Until.TrueAsync(() => Task.FromResult(rounds.Calls(DueDomains.DutyName) == 1), "the opening wakes");
        gate.NoteNotTaken(BusEndpoints.Deliver);
        gate.NoteTaken();
        await Until.TrueAsync(() => Task.FromResult(rounds.Calls(DueDomains.DutyName) == 2), "the next opening wakes");
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    /// <summary>The next round of all may come much later.</summary>
    [Fact]
    public async Task Workers_that_come_back_are_given_work_at_once_even_if_the_reconciler_does_not_answer_the_first_time()
    {
        var rounds = new Rounds();
        rounds.FailWakes(2);
        var (gate, interval) = (new EndpointGate(), TimeSpan.FromMinutes(10));
        gate.NoteConsumers(BusEndpoints.Store, 0);
        using var ticks = new ReconcilerTicks(
            Reconcilers.With(rounds), s_duties, gate, Options.Create(new QueueOptions { ReconcileInterval = interval }), Outages(), _time, NullLogger<ReconcilerTicks>.Instance);
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        gate.NoteConsumers(BusEndpoints.Store, 1);
        await Until.TrueAsync(() => Task.FromResult(rounds.WakesAtOnce == 1), "the opening wakes");
        await Until.TrueAsync(
            () =>
            {
                _time.Advance(interval);
                return Task.FromResult(rounds.WakesAtOnce >= 3);
            },
            "it is asked for again until it is done");
        _time.Advance(interval);
        Assert.Equal(3, rounds.WakesAtOnce);
        rounds.End();
        await ticks.StopAsync(TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Rounds_that_fail_again_and_again_have_one_trace_and_then_a_line_a_minute()
    {
        var rounds = new Rounds();
        rounds.FailAll();
        var log = new FakeLogCollector();
        var outages = new OutageLog(_time, new FakeLogger<OutageLog>(log));
        _outages.Add(outages);
        using var ticks = new ReconcilerTicks(
            Reconcilers.With(rounds), s_duties, new EndpointGate(), Options.Create(new QueueOptions()), outages, _time, new FakeLogger<ReconcilerTicks>(log));
        await ticks.StartAsync(TestContext.Current.CancellationToken);
        var seconds = 0;
        await EachSecondUntilAsync(() => ++seconds >= 200, "minutes are over");

        var lines = log.GetSnapshot();
        Assert.IsType<StorageUnavailableException>(lines[0].Exception);
        Assert.All(lines.Skip(1), line => Assert.Matches(@"^The failure of event 2052 \(StorageUnavailableException\) came \d+ times more", line.Message));
        Assert.InRange(lines.Count, 3, 4);
        Assert.InRange(rounds.Failed, 10, int.MaxValue);

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

    public void Dispose() => _outages.ForEach(outages => outages.Dispose());

    private OutageLog Outages()
    {
        var outages = new OutageLog(_time, NullLogger<OutageLog>.Instance);
        _outages.Add(outages);
        return outages;
    }

    private sealed class NamedDuty(string name) : IDuty
    {
        public string Name => name;

        public DutyPace Pace => new(TimeSpan.FromSeconds(1));

        public Task<bool> RoundAsync() => throw new NotSupportedException("Its grain would have it");
    }

    /// <summary>The rounds that were asked for. Waking does not end before it is told to.</summary>
    internal sealed class Rounds
    {
        private readonly TaskCompletionSource _end = new();
        private readonly ConcurrentDictionary<string, int> _calls = [];

        private int _failing;
        private bool _isFailing;
        private int _failed;
        private int _wakesAtOnce;

        /// <summary>Whatever is called for fails.</summary>
        public void FailAll() => _isFailing = true;

        /// <summary>How many calls did, of all.</summary>
        public int Failed => Volatile.Read(ref _failed);

        /// <summary>So many wakes at once fail.</summary>
        public void FailWakes(int count) => _failing = count;

        public int Calls(string duty) => _calls.GetValueOrDefault(duty);

        public int WakesAtOnce => Volatile.Read(ref _wakesAtOnce);

        public void End() => _end.TrySetResult();

        public Task Run(string duty, bool atOnce)
        {
            _calls.AddOrUpdate(duty, 1, (_, calls) => calls + 1);
            if (_isFailing)
            {
                Interlocked.Increment(ref _failed);
                return Task.FromException(new StorageUnavailableException(StorageFault.Unavailable, "The store is away."));
            }
            if (duty != DueDomains.DutyName)
                return Task.CompletedTask;
            if (!atOnce)
                return _end.Task;
            Interlocked.Increment(ref _wakesAtOnce);
            return _failing-- > 0 ? Task.FromException(new TimeoutException()) : _end.Task;
        }
    }

    /// <summary>The grain of one duty. Made at run time, or Orleans would take it for a grain.</summary>
    public class Reconciler : DispatchProxy
    {
        private (Rounds Rounds, string Duty) _of;

        internal static object Of(Rounds rounds, string duty)
        {
            var reconciler = Create<IReconcilerGrain, Reconciler>();
            ((Reconciler)(object)reconciler)._of = (rounds, duty);
            return reconciler;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _of.Rounds.Run(_of.Duty, args is [true]);
    }

    /// <summary>Whatever grain is asked for, it is the reconciler of that duty.</summary>
    public class Reconcilers : DispatchProxy
    {
        private Rounds? _rounds;

        internal static IGrainFactory With(Rounds rounds)
        {
            var grains = Create<IGrainFactory, Reconcilers>();
            ((Reconcilers)(object)grains)._rounds = rounds;
            return grains;
        }

        protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => Reconciler.Of(_rounds!, (string)args![0]!);
    }
}
