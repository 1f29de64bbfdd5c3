using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Takes back what dead workers held: of all workers before this process does anything, where it is the only one there is, and later
/// of those whose lease ran out. Says and counts what became of it, by the same rules both times: of what was not begun nothing but how
/// many there were.
/// </summary>
internal sealed partial class DeadWorkers(
    MailDatabase database, TakeBackStore store, QueuePolicyFile policy, SteadyStorage steady, QueueTelemetry telemetry, TimeProvider time,
    IOptions<QueueOptions> options, ILogger<DeadWorkers> log) : IDuty, IHostedLifecycleService
{
    private TakenBack _atStart = TakenBack.Nothing;

    public string Name => "take_back";

    public DutyPace Pace => new(options.Value.ReconcileInterval);

    public async Task<bool> RoundAsync()
    {
        var taken = await store.TakeBackAsync(evenIfLeased: false, Decide, options.Value.ReportDelay, CancellationToken.None, () => steady.IsSteady);
        Note(taken, afterStart: false);
        return taken is not { Unbegun: 0, Interrupted: 0, Uncertain: 0 };
    }

    /// <summary>After the store is open, and before the silo, the bus or a door is.</summary>
    public async Task StartingAsync(CancellationToken cancellationToken)
    {
        if (database.SingleProcess)
            _atStart = await store.TakeBackAsync(evenIfLeased: true, Decide, options.Value.ReportDelay, cancellationToken);
    }

    /// <summary>Now whoever collects metrics listens.</summary>
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        Note(_atStart, afterStart: true);
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private TakeBackDecision Decide(LeftRecipient left) =>
        AttemptDecision.Of(left, policy.Schedules, time.GetUtcNow(), Random.Shared.NextDouble());

    private void Note(TakenBack taken, bool afterStart)
    {
        telemetry.TakenBack(taken);
        foreach (var held in taken.Held)
            log.RecipientHeld(held.RecipientId, held.Address, held.Reason);
        foreach (var claim in taken.NotTaken)
            LogNotTakenBack(log, claim.ClaimId, claim.Reason);
        if (taken is { Unbegun: 0, Interrupted: 0, Uncertain: 0 })
            return;
        if (afterStart)
            LogTakenBackAtStart(log, taken.Uncertain, taken.Interrupted, taken.Unbegun);
        else
            LogTakenBack(log, taken.Uncertain, taken.Interrupted, taken.Unbegun);
        foreach (var (address, original, result, next) in taken.Named)
        {
            LogRecipient(
                log, MessageIds.ToText(RecipientIds.MessageId(result.RecipientId)), LogText.Address(address), LogText.Original(original),
                LogText.OrNone(result.RemoteHost), MailLogText.Word(result.Outcome), result.Status, next, result.Reply);
        }
        if (taken.GivenUp > 0)
            LogGivenUp(log, taken.GivenUp);
        if (taken.Unnamed > 0)
            LogMoreRecipients(log, taken.Unnamed);
    }

    [LoggerMessage(2050, LogLevel.Warning,
        "Taken back from workers that died: {Uncertain} recipients that may get a second copy, {Interrupted} of which nothing arrived, {Unbegun} that were not begun")]
    private static partial void LogTakenBack(ILogger log, int uncertain, int interrupted, int unbegun);

    [LoggerMessage(2056, LogLevel.Warning,
        "Under way when the last process ended: {Uncertain} recipients that may get a second copy, {Interrupted} of which nothing arrived, {Unbegun} that were not begun")]
    private static partial void LogTakenBackAtStart(ILogger log, int uncertain, int interrupted, int unbegun);

    [LoggerMessage(2063, LogLevel.Information,
        "message={MessageId} to=<{Recipient}>{Original} relay={RemoteEndPoint} status={Outcome} dsn={Status} next={NextAttemptAt:yyyy-MM-ddTHH:mm:ssZ} reply={Reply}")]
    private static partial void LogRecipient(
        ILogger log, string messageId, string recipient, string original, string remoteEndPoint, string outcome, string status, DateTimeOffset nextAttemptAt,
        string reply);

    [LoggerMessage(2064, LogLevel.Information, "Taken back from workers that died: {Count} recipients more, not shown one by one")]
    private static partial void LogMoreRecipients(ILogger log, int count);

    [LoggerMessage(2068, LogLevel.Warning,
        "Taken back from workers that died: {Count} recipients that may have been delivered are not tried again, and their senders are told so (Queue:Uncertain)")]
    private static partial void LogGivenUp(ILogger log, int count);

    [LoggerMessage(2058, LogLevel.Error, "Claim {ClaimId} cannot be taken back and stays; the others are")]
    private static partial void LogNotTakenBack(ILogger log, long claimId, Exception exception);
}
