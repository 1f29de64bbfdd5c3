using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Counts what waits, for the cluster as a whole. Counting takes a bounded share of the time, however much there is to count.</summary>
internal sealed class QueueMeasuring(MeasureStore store, IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    public string Name => "measure";

    public DutyPace Pace => new(s_interval, Share: 0.05);

    public async Task<bool> RoundAsync()
    {
        var started = time.GetTimestamp();
        // A domain that has as many workers as it begins with lacks none: whether it gets more is up to how it answers.
        var measure = await store.MeasureAsync(options.Value.InitialConcurrency, CancellationToken.None);
        telemetry.Measured(measure, Pace.PauseAfter(time.GetElapsedTime(started)));
        return false;
    }
}
