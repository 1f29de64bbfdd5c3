using MailPipeline.Mail;
using MailPipeline.Queue.Domains;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Counts what waits, for the cluster as a whole. Counting takes a bounded share of the time, however much there is to count. Where it is too much to be
/// counted for whoever asks, what was counted is kept for them.
/// </summary>
internal sealed class QueueMeasuring(MeasureStore store, SampleStore samples, QueueRules rules, QueueTelemetry telemetry, TimeProvider time) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    private static readonly WaitingBy[] s_kinds = [WaitingBy.Domain, WaitingBy.Site, WaitingBy.Reason];

    public string Name => "measure";

    public DutyPace Pace => new(s_interval, Share: 0.05);

    public async Task<bool> RoundAsync()
    {
        var started = time.GetTimestamp();
        // A domain that has as many workers as it begins with lacks none: whether it gets more is up to how it answers.
        var measure = await store.MeasureAsync(rules.State, rules.IsPaused, CancellationToken.None);
        if (await samples.IsLittleAsync(CancellationToken.None))
            await samples.ForgetAsync(s_kinds, CancellationToken.None);
        else
            await samples.SaveAsync(measure.Groups);
        telemetry.Measured(measure, Pace.PauseAfter(time.GetElapsedTime(started)));
        return false;
    }
}

/// <summary>Counts whose mail waits, where it is too much to be counted for whoever asks.</summary>
internal sealed class SenderCounting(MeasureStore store, SampleStore samples) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(5);

    public string Name => "count_senders";

    public DutyPace Pace => new(s_interval, Share: 0.02);

    public async Task<bool> RoundAsync()
    {
        if (await samples.IsLittleAsync(CancellationToken.None))
            await samples.ForgetAsync([WaitingBy.Sender], CancellationToken.None);
        else
            await samples.SaveAsync([await store.CountSendersAsync(CancellationToken.None)]);
        return false;
    }
}
