using Orleans.Concurrency;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// One in the cluster for each duty; the key is the duty's name. Calls come from every silo; those that come too early do nothing.
/// </summary>
internal interface IReconcilerGrain : IGrainWithStringKey
{
    /// <summary>Ends with the round: after a great outage there may be minutes of work in one.</summary>
    /// <param name="atOnce">However soon after the last round: there is something to do that was not there then.</param>
    [AlwaysInterleave, ResponseTimeout("00:10:00")]
    Task RunAsync(bool atOnce);
}

/// <summary>
/// Runs one duty, round by round. A broker outage, a lost hint, a dead silo and a dead worker are all repaired by some duty, from storage.
/// </summary>
internal sealed class ReconcilerGrain : Grain, IReconcilerGrain
{
    private readonly IDuty _duty;
    private readonly Round _round;
    private readonly QueueTelemetry _telemetry;
    private readonly TimeProvider _time;

    public ReconcilerGrain(IEnumerable<IDuty> duties, QueueTelemetry telemetry, TimeProvider time)
    {
        var name = this.GetPrimaryKeyString();
        // A newer silo may have a duty that this one does not know: its calls fail until the grain is there.
        _duty = duties.FirstOrDefault(duty => duty.Name == name) ?? throw new InvalidOperationException($"This silo has no duty '{name}'");
        _round = new Round(_duty.Pace, time);
        (_telemetry, _time) = (telemetry, time);
    }

    public Task RunAsync(bool atOnce) => _round.RunAsync(RoundAsync, atOnce);

    private async Task<bool> RoundAsync()
    {
        var started = _time.GetTimestamp();
        var result = RoundResult.Failed;
        try
        {
            result = await _duty.RoundAsync() ? RoundResult.Useful : RoundResult.Vain;
            return result == RoundResult.Useful;
        }
        finally
        {
            _telemetry.DutyRan(_duty.Name, result, _time.GetElapsedTime(started));
        }
    }
}
