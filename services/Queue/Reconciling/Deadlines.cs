using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Reports;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Keeps to the times by which senders want their messages delivered (RFC 2852), whatever their domains wait for: what still waits is
/// returned, or its sender is told. Who is just being tried is looked at again when he waits.
/// </summary>
internal sealed partial class Deadlines(
    DeadlineStore store, OutcomeRecorder outcomes, ReportMaker maker, UnmadeReports unmade, OperatorHolds holds, IOptions<QueueOptions> options, TimeProvider time,
    ILogger<Deadlines> log) : IDuty
{
    private const int Page = 200;

    /// <summary>What an operator holds is looked at again after that time, so that it is not in the way of others.</summary>
    private static readonly TimeSpan s_heldPause = TimeSpan.FromMinutes(1);

    /// <summary>After this time a round ends, and the next one goes on behind it.</summary>
    private static readonly TimeSpan s_roundTime = TimeSpan.FromSeconds(3);

    private DeliveryDeadline _after = DeliveryDeadline.Start;

    public string Name => "deadline";

    public DutyPace Pace => new(options.Value.ReconcileInterval, Share: 0.1);

    public async Task<bool> RoundAsync()
    {
        var now = time.GetUtcNow();
        var started = time.GetTimestamp();
        var useful = false;
        while (true)
        {
            var due = await store.ListDueAsync(now, _after, Page, CancellationToken.None);
            // Most were delivered long ago.
            var over = due.Count == 0 ? new HashSet<long>() : await store.EndOverAsync(due.Select(deadline => deadline.MessageId));
            useful |= over.Count > 0;
            foreach (var deadline in due.Where(deadline => !over.Contains(deadline.MessageId)))
            {
                useful |= deadline.IsReturned ? await TryReturnAsync(deadline, now) : await TellAsync(deadline.MessageId, now);
                _after = deadline;
                if (time.GetElapsedTime(started) >= s_roundTime)
                    return useful;
            }

            _after = due.Count == Page ? due[^1] : DeliveryDeadline.Start;
            if (due.Count < Page || time.GetElapsedTime(started) >= s_roundTime)
                return useful;
        }
    }

    /// <summary>False: nobody waits whom nobody tries.</summary>
    private async Task<bool> TryReturnAsync(DeliveryDeadline deadline, DateTimeOffset now)
    {
        try
        {
            var waiting = await store.ListWaitingAsync(deadline.MessageId, CancellationToken.None);
            var held = await holds.FindAsync(waiting, recipient => DomainKey.Of(recipient.Address), CancellationToken.None);
            waiting = [.. waiting.Where(recipient => !held.Contains(recipient.RecipientId))];
            foreach (var ofDomain in waiting.GroupBy(recipient => DomainKey.Of(recipient.Address)))
                await outcomes.ExpireAsync(ofDomain.Key, [.. ofDomain], $"not delivered by {ReportText.Rfc5322Date(deadline.At)}, as its sender wanted");
            if (await store.EndAsync(deadline.MessageId, onlyIfOver: true) > 0 || waiting.Count > 0)
                return true;
            await store.LookLaterAsync(deadline.MessageId, now + s_heldPause);
            return false;
        }
        // It stays, and holds up none of the others.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            LogNotReturned(log, MessageIds.ToText(deadline.MessageId), exception);
            return false;
        }
    }

    private async Task<bool> TellAsync(long messageId, DateTimeOffset now)
    {
        var isTold = false;
        return await unmade.TryAsync(
                ReportKind.Delayed, messageId, async () => isTold = await maker.ReportLateAsync(messageId, now, _ => true, CancellationToken.None))
            && isTold && await store.EndAsync(messageId, onlyIfOver: false) > 0;
    }

    [LoggerMessage(2096, LogLevel.Error, "message={MessageId} cannot be returned though its time is over, and stays; the others go on")]
    private static partial void LogNotReturned(ILogger log, string messageId, Exception exception);
}
