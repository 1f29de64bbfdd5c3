using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Reports;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Keeps to the times by which senders want their messages delivered (RFC 2852), whatever their domains wait for: what still waits is
/// returned, or its sender is told. Who is just being tried is looked at again when he waits.
/// </summary>
internal sealed partial class Deadlines(
    DeadlineStore store, OutcomeRecorder outcomes, ReportMaker maker, UnmadeReports unmade, IOptions<QueueOptions> options, TimeProvider time,
    ILogger<Deadlines> log) : IDuty
{
    private const int Page = 200;

    public string Name => "deadline";

    public DutyPace Pace => new(options.Value.ReconcileInterval, Share: 0.1);

    public async Task<bool> RoundAsync()
    {
        var now = time.GetUtcNow();
        var useful = false;
        for (var after = DeliveryDeadline.Start; ;)
        {
            var due = await store.ListDueAsync(now, after, Page, CancellationToken.None);
            if (due.Count == 0)
                return useful;
            foreach (var deadline in due)
                useful |= deadline.IsReturned ? await TryReturnAsync(deadline) : await TellAsync(deadline.MessageId, now);
            after = due[^1];
        }
    }

    /// <summary>False: nobody waits whom nobody tries.</summary>
    private async Task<bool> TryReturnAsync(DeliveryDeadline deadline)
    {
        try
        {
            var waiting = await store.ListWaitingAsync(deadline.MessageId, CancellationToken.None);
            foreach (var ofDomain in waiting.GroupBy(recipient => DomainKey.Of(recipient.Address)))
                await outcomes.ExpireAsync(ofDomain.Key, [.. ofDomain], $"not delivered by {ReportText.Rfc5322Date(deadline.At)}, as its sender wanted");
            return await store.EndAsync(deadline.MessageId, onlyIfOver: true) > 0 || waiting.Count > 0;
        }
        // It stays, and holds up none of the others.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            LogNotReturned(log, MessageIds.ToText(deadline.MessageId), exception);
            return false;
        }
    }

    private async Task<bool> TellAsync(long messageId, DateTimeOffset now) =>
        await unmade.TryAsync(ReportKind.Delayed, messageId, () => maker.ReportLateAsync(messageId, now, CancellationToken.None))
        && await store.EndAsync(messageId, onlyIfOver: false) > 0;

    [LoggerMessage(2096, LogLevel.Error, "message={MessageId} cannot be returned though its time is over, and stays; the others go on")]
    private static partial void LogNotReturned(ILogger log, string messageId, Exception exception);
}
