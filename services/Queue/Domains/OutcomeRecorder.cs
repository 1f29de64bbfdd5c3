using System.Collections.Frozen;
using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Reports;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Turns the results of a batch into decisions and records them: outcome, next attempt time and what is to be reported to the sender
/// in one transaction.
/// </summary>
internal sealed partial class OutcomeRecorder(
    QueueStore queue, IOutcomes outcomes, ClaimStore claims, FailureReports reports, SuppressedFailures suppressed, QueuePolicyFile policy,
    IOptions<QueueOptions> options, QueueTelemetry telemetry, TimeProvider time, ILogger<OutcomeRecorder> log)
{
    /// <summary>Storage may be away for a moment; beyond it the claim's lease decides.</summary>
    private static readonly TimeSpan[] s_storagePauses =
        [TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3)];

    private static readonly IReadOnlyDictionary<long, int> s_none = FrozenDictionary<long, int>.Empty;

    /// <param name="dispatched">The batch's recipients as far as the caller knows them.</param>
    /// <param name="backoffUntil">Until then the domain is not tried, as far as is known: the log names no earlier attempt.</param>
    /// <returns>True when some recipients are due at once and nobody has them in memory.</returns>
    public async Task<bool> RecordAsync(AttemptReport report, IReadOnlyList<Recipient> dispatched, DateTimeOffset backoffUntil)
    {
        var now = time.GetUtcNow();
        var recipients = dispatched.ToDictionary(recipient => recipient.RecipientId);
        var decisions = new List<RecipientDecision>();
        foreach (var result in report.Results)
            telemetry.Completed(result.Outcome);
        if (report.NothingWon)
            return true;
        // Whoever delivered all that he won has written it, and ended the claim with it. The others are not under it.
        if (report.HasEnded)
            return report.Results.Any(result => result.Outcome == AttemptOutcome.NotAttempted);
        var uncertain = await CountUncertainAsync(report);
        foreach (var result in report.Results)
        {
            if (result.Outcome == AttemptOutcome.Delivered)
                continue;
            var recipient = recipients.GetValueOrDefault(result.RecipientId)
                ?? await queue.FindQueuedAsync(result.RecipientId, CancellationToken.None);
            // The domain is the caller's word: what is not its own is not its to decide.
            if (recipient is null || DomainKey.Of(recipient.Address) != report.Domain)
                continue;
            recipients[recipient.RecipientId] = recipient;
            var decision = AttemptDecision.Of(
                recipient, result, uncertain.GetValueOrDefault(result.RecipientId), policy.Schedules, policy.Replies, now, Random.Shared.NextDouble());
            decision = await suppressed.JudgeAsync(recipient, decision, policy.Replies, report.IsRedirected);
            decisions.Add(decision);
            using var activity = telemetry.StartActivity("decide", recipient.TraceParent);
            activity?.SetTag("mailpipeline.state", decision.State.ToString()).SetTag("mailpipeline.status", result.Status);
        }
        await RecordAsync(report.ClaimId, report.Domain, decisions, recipients, backoffUntil);
        return decisions.Any(decision => decision.State == RecipientState.Queued && decision.NextAttemptAt <= now);
    }

    /// <summary>Gives up recipients that nobody holds and whose time is over. Returns how many were.</summary>
    public Task<int> ExpireAsync(string domain, IReadOnlyList<Recipient> expired, string reason) => GiveUpAsync(
        domain, expired, RecipientState.Expired, AttemptOutcome.Deferred, "4.4.7", reason.Length > 0 ? reason : "not delivered in time");

    /// <summary>Returns recipients that nobody holds to their senders, as an operator wants it. Returns how many were.</summary>
    public Task<int> BounceAsync(string domain, IReadOnlyList<Recipient> returned, string reason) =>
        GiveUpAsync(domain, returned, RecipientState.Bounced, AttemptOutcome.Failed, "5.7.1", reason);

    private async Task<int> GiveUpAsync(
        string domain, IReadOnlyList<Recipient> recipients, RecipientState state, AttemptOutcome outcome, string status, string reply)
    {
        var claim = await claims.TakeAsync(batchId: 0, domain, recipients, begun: false, CancellationToken.None);
        var now = time.GetUtcNow();
        var decisions = recipients.Where(recipient => claim.Won.Contains(recipient.RecipientId))
            .Select(recipient => new RecipientDecision(new AttemptResult(recipient.RecipientId, outcome, status, reply, "", now, now), state, now, WasTried: false))
            .ToList();
        await RecordAsync(claim.Id, domain, decisions, recipients.ToDictionary(recipient => recipient.RecipientId), now);
        return decisions.Count;
    }

    /// <summary>Of those whose attempt may have delivered, how many before did; as long as the claim is held nobody else changes that.</summary>
    private async Task<IReadOnlyDictionary<long, int>> CountUncertainAsync(AttemptReport report)
    {
        var uncertain = report.Results.Where(result => result.Outcome == AttemptOutcome.Uncertain).Select(result => result.RecipientId).ToList();
        return uncertain.Count == 0 ? s_none : await queue.CountUncertainAsync(uncertain, CancellationToken.None);
    }

    /// <param name="endsClaim">False: more is to be recorded under the claim.</param>
    /// <param name="inDoubt">Nobody knows whether the same was committed before, perhaps with others.</param>
    private async Task RecordAsync(
        long claimId, string domain, List<RecipientDecision> decisions, IReadOnlyDictionary<long, Recipient> recipients,
        DateTimeOffset backoffUntil, bool endsClaim = true, bool inDoubt = false)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                var recorded = await outcomes.RecordAsync(claimId, domain, decisions, options.Value.ReportDelay, inDoubt, endsClaim);
                foreach (var decision in decisions.Where(decision => recorded.Recorded.Contains(decision.Result.RecipientId)))
                    Note(decision, recipients.GetValueOrDefault(decision.Result.RecipientId), backoffUntil, recorded.Held.Contains(decision.Result.RecipientId));
                foreach (var held in recorded.Held)
                    NoteHeld(held, decisions.First(decision => decision.Result.RecipientId == held).HoldReason, recipients);
                // The others' failures may get company until their time has come.
                await reports.ReportAsync(recorded.Reportable, CancellationToken.None);
                return;
            }
            // The store is there and takes something of these not: it would not the next time either.
            catch (StorageUnavailableException exception) when (exception.Fault == StorageFault.Refused && decisions.Count > 0)
            {
                LogRefused(log, claimId, decisions.Count, exception);
                if (decisions is not [var alone])
                {
                    // The last one ends the claim: until then the lease brings back what this process did not come to.
                    for (var i = 0; i < decisions.Count; i++)
                        await RecordAsync(claimId, domain, [decisions[i]], recipients, backoffUntil, endsClaim && i == decisions.Count - 1, inDoubt);
                }
                else if (await outcomes.HoldRefusedAsync(claimId, domain, alone.Result.RecipientId, endsClaim) == ClaimUpdate.Applied)
                {
                    NoteHeld(alone.Result.RecipientId, HoldRule.Refused, recipients);
                }
                return;
            }
            catch (StorageUnavailableException exception) when (attempt < s_storagePauses.Length)
            {
                inDoubt |= exception.Fault == StorageFault.OutcomeUnknown;
                LogNotRecorded(log, claimId, exception);
                await Task.Delay(s_storagePauses[attempt], time);
            }
        }
    }

    private void NoteHeld(long recipientId, string reason, IReadOnlyDictionary<long, Recipient> recipients)
    {
        telemetry.Held(1);
        var known = recipients.GetValueOrDefault(recipientId);
        using var trace = telemetry.TraceOf(known?.TraceParent ?? "");
        log.RecipientHeld(recipientId, known?.Address ?? "", reason);
    }

    /// <param name="isHeld">It waits for an operator, and not for the next attempt that was decided on.</param>
    private void Note(RecipientDecision decision, Recipient? known, DateTimeOffset backoffUntil, bool isHeld)
    {
        var result = decision.Result;
        telemetry.Decided(decision.State);
        if (decision.WasTried && result.Outcome != AttemptOutcome.NotAttempted)
            telemetry.Undelivered(result.Outcome, result.Class);
        if (result.Outcome == AttemptOutcome.Uncertain)
            telemetry.Uncertain(1);
        if (isHeld || !log.IsEnabled(LogLevel.Information) || (decision.State == RecipientState.Queued && result.Outcome == AttemptOutcome.NotAttempted))
            return;
        var (message, recipient) = (MessageIds.ToText(RecipientIds.MessageId(result.RecipientId)), LogText.Address(known?.Address ?? ""));
        var original = LogText.Original(known?.Original);
        using var trace = telemetry.TraceOf(known?.TraceParent ?? "");
        var next = backoffUntil > decision.NextAttemptAt ? backoffUntil : decision.NextAttemptAt;
        if (decision.State == RecipientState.Queued)
            LogDeferred(log, message, recipient, original, LogText.OrNone(result.RemoteHost), result.Status, QueueTelemetry.Word(result.Class), next, result.Reply);
        else
            LogGivenUp(
                log, message, recipient, original, LogText.OrNone(result.RemoteHost), decision.State == RecipientState.Expired ? "expired" : "bounced", result.Status,
                QueueTelemetry.Word(result.Class), result.Reply);
    }

    [LoggerMessage(2020, LogLevel.Warning, "Outcomes of claim {ClaimId} could not be recorded yet")]
    private static partial void LogNotRecorded(ILogger log, long claimId, Exception exception);

    [LoggerMessage(2023, LogLevel.Warning, "Storage refuses one of the {Count} outcomes of claim {ClaimId}")]
    private static partial void LogRefused(ILogger log, long claimId, int count, Exception exception);

    [LoggerMessage(2021, LogLevel.Information, "message={MessageId} to=<{Recipient}>{Original} relay={RemoteEndPoint} status={State} dsn={Status} class={Class} reply={Reply}")]
    private static partial void LogGivenUp(
        ILogger log, string messageId, string recipient, string original, string remoteEndPoint, string state, string status, string @class, string reply);

    [LoggerMessage(2022, LogLevel.Information,
        "message={MessageId} to=<{Recipient}>{Original} relay={RemoteEndPoint} status=deferred dsn={Status} class={Class} next={NextAttemptAt:yyyy-MM-ddTHH:mm:ssZ} reply={Reply}")]
    private static partial void LogDeferred(
        ILogger log, string messageId, string recipient, string original, string remoteEndPoint, string status, string @class, DateTimeOffset nextAttemptAt,
        string reply);
}
