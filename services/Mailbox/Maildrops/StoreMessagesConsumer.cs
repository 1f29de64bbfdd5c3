using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>
/// Local delivery: puts the messages of a command into their maildrops and reports to the domain's queue. Storing the same
/// command again changes nothing. When storage fails nothing is stored and no attempt is counted: the recipients stay due
/// and are handed out again, and the same follows when the report is lost. A recipient that storage refuses is deferred, and fails
/// none of the others.
/// </summary>
internal sealed class StoreMessagesConsumer(
    LocalDelivery delivery, MailBus bus, MailboxTelemetry telemetry, TimeProvider time, ILogger<StoreMessagesConsumer> logger)
    : IConsumer<StoreMessages>
{
    public async Task Consume(ConsumeContext<StoreMessages> context)
    {
        var command = context.Message.ToBatchCommand();
        var startedAt = time.GetUtcNow();
        var started = telemetry.StoreStarted();
        var (claimId, results) = await delivery.StoreAsync(command, startedAt, context.CancellationToken);
        telemetry.StoreEnded(started, results);
        Show(command, results, startedAt);
        try
        {
            var report = new AttemptReport(
                command.Domain, command.BatchId, claimId, [.. results], Unreachable: false, NothingWon: claimId == 0,
                HasEnded: results.All(result => result.Outcome == AttemptOutcome.Delivered));
            await bus.SendAsync(BusEndpoints.AttemptsCompleted, report.ToContract(), context.CancellationToken);
        }
        catch (BusUnavailableException failure)
        {
            logger.ReportLost(command.Domain, command.BatchId, failure);
        }
    }

    /// <summary>Each message in its own trace and in the log, whose line carries that trace.</summary>
    private void Show(BatchCommand command, IReadOnlyList<AttemptResult> results, DateTimeOffset startedAt)
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
                MessageIds.ToText(recipient.MessageId), LogText.Address(recipient.Address), LogText.Original(recipient.Original), MailLogText.Word(result.Outcome),
                result.Status, result.Reply);
        }
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
