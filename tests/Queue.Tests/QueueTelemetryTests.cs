using System.Diagnostics.Metrics;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>The signals that scaling and alarms go by.</summary>
public sealed class QueueTelemetryTests : IDisposable
{
    private static readonly TimeSpan s_next = TimeSpan.FromSeconds(5);

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly ServiceProvider _services = new ServiceCollection().AddMetrics().BuildServiceProvider();
    private readonly IMeterFactory _meters;
    private readonly QueueTelemetry _telemetry;

    public QueueTelemetryTests()
    {
        _meters = _services.GetRequiredService<IMeterFactory>();
        _telemetry = new QueueTelemetry(_meters, _time);
    }

    public void Dispose()
    {
        _telemetry.Dispose();
        _services.Dispose();
    }

    [Fact]
    public void What_waits_is_told_by_route_and_by_what_it_waits_for()
    {
        _telemetry.Measured(new QueueMeasure(4, [new RouteMeasure(RecipientRoute.Remote, 20, 4, 2, 3, 5, 7, _time.GetUtcNow())]), s_next);
        Assert.Equal(
            [
                ("remote", "worker", 3), ("remote", "resume", 0), ("remote", "backoff", 5), ("remote", "limit", 7), ("remote", "connection", 2),
                ("local", "worker", 0), ("local", "resume", 0), ("local", "backoff", 0), ("local", "limit", 0), ("local", "connection", 0),
            ],
            Read<long>("due").Select(m => ((string)m.Tags["route"]!, (string)m.Tags["waits_for"]!, (int)m.Value)));
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal([10, 0], Read<double>("oldest_due").Select(m => m.Value));
        Assert.Equal([4, 0], Read<long>("claimed").Select(m => m.Value));
        Assert.Equal(20, Assert.Single(Read<long>("queued")).Value);
        Assert.Equal(4, Assert.Single(Read<long>("unrouted")).Value);
    }

    /// <summary>The label has the words of the commands, and each of them at all times.</summary>
    [Fact]
    public void What_waits_is_told_by_the_reason_that_commands_give()
    {
        Assert.Equal(WaitWords.All.Select(word => (word, 0L)), ByReason());
        _telemetry.Measured(
            new QueueMeasure(4, [])
            {
                Groups =
                [
                    new(WaitingBy.Domain, _time.GetUtcNow(), 7, 0, 1, [new("backsOff", 9, 0, 0, null, null, 0, 0)]),
                    new(WaitingBy.Reason, _time.GetUtcNow(), 7, 0, 2, [new("backsOff", 5, 0, 0, null, null, 0, 0), new("notRouted", 2, 0, 0, null, null, 0, 0)]),
                ],
            }, s_next);
        Assert.Equal(WaitWords.All.Select(word => (word, word == "backsOff" ? 5L : word == "notRouted" ? 2 : 0)), ByReason());

        IEnumerable<(string, long)> ByReason() => Read<long>("waiting").Select(m => ((string)m.Tags["reason"]!, m.Value));
    }

    [Fact]
    public void A_silo_that_the_reconciler_has_left_no_longer_tells_what_it_once_counted()
    {
        _telemetry.Measured(new QueueMeasure(4, [new RouteMeasure(RecipientRoute.Remote, 20, 4, 2, 3, 5, 7, _time.GetUtcNow())]), s_next);
        _time.Advance(TimeSpan.FromSeconds(15));
        Assert.All(Read<long>("due"), m => Assert.Equal(0, m.Value));
        Assert.All(Read<double>("oldest_due"), m => Assert.Equal(0, m.Value));
        Assert.Equal(0, Assert.Single(Read<long>("queued")).Value);
        Assert.Equal(0, Assert.Single(Read<long>("unrouted")).Value);
    }

    [Fact]
    public void While_delivery_is_paused_no_worker_is_missing()
    {
        _telemetry.Measured(new QueueMeasure(4, [new RouteMeasure(RecipientRoute.Remote, 20, 4, 2, 3, 5, 7, _time.GetUtcNow())]), s_next);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(0, Assert.Single(Read<int>("paused")).Value);

        _telemetry.Paused(true);
        Assert.Equal(1, Assert.Single(Read<int>("paused")).Value);
        Assert.Equal(
            [("worker", 0), ("resume", 3), ("backoff", 5), ("limit", 7), ("connection", 2)],
            Read<long>("due").Where(m => (string)m.Tags["route"]! == "remote").Select(m => ((string)m.Tags["waits_for"]!, (int)m.Value)));
        Assert.All(Read<double>("oldest_due"), m => Assert.Equal(0, m.Value));

        // What the pause kept back is not late for its sake.
        _telemetry.Paused(false);
        Assert.Equal([0, 0], Read<double>("oldest_due").Select(m => m.Value));
        _time.Advance(TimeSpan.FromSeconds(3));
        Assert.Equal([3, 0], Read<double>("oldest_due").Select(m => m.Value));
    }

    [Theory]
    [InlineData("forgotten", 1)]
    [InlineData("uncertain", 1)]
    [InlineData("taken_back", 3)]
    [InlineData("held", 1)]
    [InlineData("batches_lost", 2)]
    [InlineData("attempts", 5)]
    public void What_alarms_go_by_is_there_before_the_first_event(string name, int tags)
    {
        using var collector = new MetricCollector<long>(_meters, QueueTelemetry.MeterName, $"mailpipeline.queue.{name}");
        _telemetry.CountFromZero();
        Assert.Equal(tags, collector.GetMeasurementSnapshot().Count);
        Assert.All(collector.GetMeasurementSnapshot(), measurement => Assert.Equal(0, measurement.Value));
    }

    private IReadOnlyList<CollectedMeasurement<T>> Read<T>(string name)
        where T : struct
    {
        using var collector = new MetricCollector<T>(_meters, QueueTelemetry.MeterName, $"mailpipeline.queue.{name}");
        collector.RecordObservableInstruments();
        return collector.GetMeasurementSnapshot();
    }
}
