using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox;

/// <summary>
/// Local delivery: puts the messages of a command into their maildrops and reports to the domain's queue. Storing the same
/// command again changes nothing. When storage fails nothing is stored and no attempt is counted: the recipients stay due
/// and are handed out again, and the same follows when the report is lost.
/// </summary>
internal sealed class StoreMessagesConsumer(
    MaildropStore maildrops, MailBus bus, MailboxTelemetry telemetry, TimeProvider time, ILogger<StoreMessagesConsumer> logger)
    : IConsumer<StoreMessages>
{
    public async Task Consume(ConsumeContext<StoreMessages> context)
    {
        var command = context.Message;
        var startedAt = time.GetUtcNow();
        var started = telemetry.StoreStarted();
        IReadOnlyList<AttemptResult> results;
        try
        {
            results = await maildrops.StoreAsync(command, MaildropHeader.For, context.CancellationToken);
        }
        // What storage refuses is not handed back, for it would be handed out again at once: the bus puts it aside, with an alert, and the
        // queue asks again when the hand-out is overdue.
        catch (StorageUnavailableException failure) when (failure.Fault != StorageFault.Refused)
        {
            logger.StoreFailed(command.Recipients.Length, command.Domain, failure);
            results = StoreFailure.HandBack(command, failure.Fault, startedAt, time.GetUtcNow());
        }
        telemetry.StoreEnded(started, results);
        Show(command, results, startedAt);
        try
        {
            var report = new AttemptsCompleted(command.Domain, command.ClaimId, [.. results], Unreachable: false);
            await bus.SendAsync(BusEndpoints.AttemptsCompleted, report, context.CancellationToken);
        }
        catch (BusUnavailableException failure)
        {
            logger.ReportLost(command.Domain, command.ClaimId, failure);
        }
    }

    /// <summary>Each message in its own trace and in the log, whose line carries that trace.</summary>
    private void Show(StoreMessages command, IReadOnlyList<AttemptResult> results, DateTimeOffset startedAt)
    {
        var byRecipient = results.ToDictionary(result => result.RecipientId);
        foreach (var recipient in command.Recipients)
        {
            var result = byRecipient.GetValueOrDefault(recipient.RecipientId);
            using var stored = telemetry.StartStored(recipient, result?.Outcome ?? AttemptOutcome.NotAttempted, startedAt);
            if (result is null or { Outcome: AttemptOutcome.NotAttempted } || !logger.IsEnabled(LogLevel.Information))
                continue;
            using var trace = telemetry.TraceOf(recipient, stored);
            logger.RecipientStored(
                MessageIds.ToText(recipient.MessageId), LogText.Address(recipient.Address), LogText.Word(result.Outcome), result.Status, result.Reply);
        }
    }
}

/// <summary>What a storage failure means for the recipients of a command.</summary>
internal static class StoreFailure
{
    /// <summary>All are handed back, whatever the fault: one that was stored after all is no longer queued, and nothing becomes of it.</summary>
    public static AttemptResult[] HandBack(StoreMessages command, StorageFault fault, DateTimeOffset startedAt, DateTimeOffset finishedAt)
    {
        // RFC 3463 §3.4: X.3.1 mail system full, X.3.0 other mail system status
        var (status, reply) = fault == StorageFault.Full
            ? ("4.3.1", "The mail system is full")
            : ("4.3.0", "The maildrops cannot be written now");
        return [.. command.Recipients.Select(recipient => new AttemptResult(
            recipient.RecipientId, AttemptOutcome.NotAttempted, status, reply, RemoteHost: "", startedAt, finishedAt))];
    }
}

/// <summary>The endpoint "store": as many batches at once as <see cref="MailboxOptions.StoreConcurrency"/> says.</summary>
internal sealed class StoreMessagesConsumerDefinition : ConsumerDefinition<StoreMessagesConsumer>
{
    public StoreMessagesConsumerDefinition(IOptions<MailboxOptions> options)
    {
        EndpointName = BusEndpoints.Store;
        ConcurrentMessageLimit = options.Value.StoreConcurrency;
    }
}
