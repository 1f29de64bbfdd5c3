using System.Diagnostics.Metrics;

namespace MailPipeline.Storage;

/// <summary>Metrics of the store: how long a commit takes, how many callers share one, how many fail and why.</summary>
internal sealed class StorageTelemetry
{
    public const string MeterName = "MailPipeline.Storage";

    private readonly Histogram<double> _duration;
    private readonly Histogram<int> _batch;
    private readonly Counter<long> _failures;

    public StorageTelemetry(IMeterFactory meters)
    {
        var meter = meters.Create(MeterName);
        _duration = meter.CreateHistogram<double>("mailpipeline.storage.commit.duration", "s", "Time from the first statement to the end of the commit");
        _batch = meter.CreateHistogram<int>("mailpipeline.storage.commit.batch", "{caller}", "Callers that shared one commit");
        _failures = meter.CreateCounter<long>("mailpipeline.storage.commit.failures", "{commit}", "Commits that failed, by fault");
    }

    public void Committed(int callers, TimeSpan duration)
    {
        _duration.Record(duration.TotalSeconds);
        _batch.Record(callers);
    }

    public void CommitFailed(StorageFault? fault) => _failures.Add(1, Tag(fault));

    /// <summary>A counter that is not there before its first event shows no increase by it.</summary>
    public void CountFromZero()
    {
        foreach (var fault in Enum.GetValues<StorageFault>())
            _failures.Add(0, Tag(fault));
        _failures.Add(0, Tag(null));
    }

    private static KeyValuePair<string, object?> Tag(StorageFault? fault) => new("fault", fault switch
    {
        StorageFault.Full => "full",
        StorageFault.Unavailable => "unavailable",
        StorageFault.OutcomeUnknown => "outcome_unknown",
        _ => "bug",
    });
}
