using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Tells senders who asked for it, or asked for nothing, what still waits after the time that is theirs (<see cref="Schedule.DelayReportAfter"/>), whatever it
/// waits for: once of each recipient.
/// </summary>
internal sealed class DelayReports(
    ReportStore store, ReportMaker maker, UnmadeReports unmade, QueuePolicyFile policy, OperatorHolds holds, TimeProvider time)
{
    /// <summary>Looks through all that waits; false where there was nobody to tell.</summary>
    public async Task<bool> ReportDueAsync(CancellationToken cancellationToken)
    {
        var schedules = policy.Schedules;
        if (schedules.ShortestDelayReport is not { } shortest)
            return false;
        var now = time.GetUtcNow();
        var useful = false;
        for (var place = WaitingPlace.Start; place is not null;)
        {
            (var waiting, place) = await store.ListLateAsync(now - shortest, place, cancellationToken);
            var held = await holds.OfAsync(waiting.Select(one => one.Domain), cancellationToken);
            var late = waiting.Where(IsLate).Where(one => !held.HoldsAllOf(one.Domain)).GroupBy(one => one.MessageId)
                .ToDictionary(ofMessage => ofMessage.Key, ofMessage => ofMessage.ToDictionary(one => one.Domain, StringComparer.Ordinal));
            useful |= await ReportsAtOnce.MakeAsync(
                late.Keys,
                id => unmade.TryAsync(
                    ReportKind.Delayed, id,
                    () => maker.ReportLateAsync(
                        id, now - shortest, recipient => late[id].TryGetValue(recipient.Domain, out var one) && !held.Holds(one, recipient), cancellationToken)));
        }
        return useful;

        bool IsLate(LateMessage one) =>
            schedules.Of(one.Flow, one.Sender, one.Domain).DelayReportAfter is var delay && delay > TimeSpan.Zero && one.Since + delay <= now;
    }
}
