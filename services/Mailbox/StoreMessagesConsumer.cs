using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using MassTransit;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox;

/// <summary>
/// Local delivery: puts the messages of a command into their maildrops and reports to the domain's queue. Storing the same
/// command again changes nothing. When storage fails nothing is stored and no attempt is counted: the recipients stay due
/// and are handed out again, and the same follows when the report is lost. A recipient that storage refuses is deferred, and fails
/// none of the others.
/// </summary>
internal sealed class StoreMessagesConsumer(
    MaildropStore maildrops, MailBus bus, MailboxTelemetry telemetry, TimeProvider time, ILogger<StoreMessagesConsumer> logger)
    : IConsumer<StoreMessages>
{
    /// <summary>Between questions about a commit of which nobody knows whether it happened.</summary>
    private static readonly TimeSpan[] s_doubtPauses = [TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3)];

    public async Task Consume(ConsumeContext<StoreMessages> context)
    {
        var command = context.Message;
        var startedAt = time.GetUtcNow();
        var started = telemetry.StoreStarted();
        var results = await StoreAsync(command, startedAt, context.CancellationToken);
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

    private async Task<IReadOnlyList<AttemptResult>> StoreAsync(StoreMessages command, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await maildrops.StoreAsync(command, MaildropHeader.For, cancellation, afterDoubt: attempt > 0);
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                logger.StoreRefused(command.Recipients.Length, command.Domain, refused);
                return command.Recipients is [var alone]
                    ? [await DeferAsync(command, alone, startedAt, cancellation)] : await StoreEachAsync(command, startedAt, cancellation);
            }
            // What was stored after all has to be known as stored.
            catch (StorageUnavailableException unknown) when (unknown.Fault == StorageFault.OutcomeUnknown && attempt < s_doubtPauses.Length)
            {
                logger.StoreFailed(command.Recipients.Length, command.Domain, unknown);
                await Task.Delay(s_doubtPauses[attempt], time, cancellation);
            }
            catch (StorageUnavailableException failure)
            {
                logger.StoreFailed(command.Recipients.Length, command.Domain, failure);
                return StoreFailure.HandBack(command, failure.Fault, startedAt, time.GetUtcNow());
            }
        }
    }

    private async Task<IReadOnlyList<AttemptResult>> StoreEachAsync(StoreMessages command, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        var results = new List<AttemptResult>(command.Recipients.Length);
        foreach (var recipient in command.Recipients)
            results.AddRange(await StoreAsync(command with { Recipients = [recipient] }, startedAt, cancellation));
        return results;
    }

    /// <summary>Under the claim, so that it is an attempt: the queue decides when it is tried again, and when it is given up.</summary>
    private async Task<AttemptResult> DeferAsync(StoreMessages command, QueuedRecipient recipient, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        var won = false;
        try
        {
            won = await maildrops.ClaimAsync(command, recipient, cancellation);
        }
        catch (StorageUnavailableException failure)
        {
            logger.StoreFailed(1, command.Domain, failure);
        }
        return new AttemptResult(
            recipient.RecipientId, won ? AttemptOutcome.Deferred : AttemptOutcome.NotAttempted, "4.3.0", "storage refuses the message", RemoteHost: "",
            startedAt, time.GetUtcNow());
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
                MessageIds.ToText(recipient.MessageId), LogText.Address(recipient.Address), LogText.Original(recipient.Original), LogText.Word(result.Outcome),
                result.Status, result.Reply);
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
