using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>What local delivery needs of storage; as <see cref="MaildropStore"/> says.</summary>
internal interface ILocalStore
{
    ValueTask<long> NextClaimIdAsync(CancellationToken cancellation);

    Task<IReadOnlyList<AttemptResult>> StoreAsync(long claimId, BatchCommand command, bool afterDoubt, CancellationToken cancellation);

    Task<ClaimUpdate> ClaimAsync(long claimId, BatchCommand command, Recipient recipient, CancellationToken cancellation);
}

internal sealed class StoredLocally(MaildropStore maildrops, ClaimStore claims) : ILocalStore
{
    public ValueTask<long> NextClaimIdAsync(CancellationToken cancellation) => claims.NextIdAsync(cancellation);

    public Task<IReadOnlyList<AttemptResult>> StoreAsync(long claimId, BatchCommand command, bool afterDoubt, CancellationToken cancellation) =>
        maildrops.StoreAsync(claimId, command, MaildropHeader.For, cancellation, afterDoubt);

    public Task<ClaimUpdate> ClaimAsync(long claimId, BatchCommand command, Recipient recipient, CancellationToken cancellation) =>
        maildrops.ClaimAsync(claimId, command, recipient, cancellation);
}

/// <summary>
/// Stores what a command says, whatever storage answers: asks again in doubt, so that what was stored after all is known as stored, one
/// by one too; defers what is refused, alone; hands all back when storage is away.
/// </summary>
internal sealed class LocalDelivery(ILocalStore store, TimeProvider time, ILogger<LocalDelivery> logger)
{
    /// <summary>Between questions about a commit of which nobody knows whether it happened.</summary>
    private static readonly TimeSpan[] s_doubtPauses = [TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3)];

    /// <returns>The claim under which the results are, 0 where there is none, and one result for each recipient.</returns>
    public async Task<(long ClaimId, IReadOnlyList<AttemptResult> Results)> StoreAsync(
        BatchCommand command, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        long claimId;
        try
        {
            claimId = await store.NextClaimIdAsync(cancellation);
        }
        catch (StorageUnavailableException failure)
        {
            logger.StoreFailed(command.Recipients.Length, command.Domain, failure);
            return (0, StoreFailure.HandBack(command, failure.Fault, startedAt, time.GetUtcNow()));
        }
        return (claimId, await StoreAsync(claimId, command, startedAt, inDoubt: false, cancellation));
    }

    /// <param name="inDoubt">Nobody knows whether the same was committed before, perhaps with others.</param>
    private async Task<IReadOnlyList<AttemptResult>> StoreAsync(
        long claimId, BatchCommand command, DateTimeOffset startedAt, bool inDoubt, CancellationToken cancellation)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await store.StoreAsync(claimId, command, inDoubt, cancellation);
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                logger.StoreRefused(command.Recipients.Length, command.Domain, refused);
                return command.Recipients is [var alone]
                    ? [await DeferAsync(claimId, command, alone, startedAt, cancellation)] : await StoreEachAsync(claimId, command, startedAt, inDoubt, cancellation);
            }
            // What was stored after all has to be known as stored.
            catch (StorageUnavailableException unknown) when (unknown.Fault == StorageFault.OutcomeUnknown && attempt < s_doubtPauses.Length)
            {
                inDoubt = true;
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

    private async Task<IReadOnlyList<AttemptResult>> StoreEachAsync(
        long claimId, BatchCommand command, DateTimeOffset startedAt, bool inDoubt, CancellationToken cancellation)
    {
        var results = new List<AttemptResult>(command.Recipients.Length);
        foreach (var recipient in command.Recipients)
            results.AddRange(await StoreAsync(claimId, command with { Recipients = [recipient] }, startedAt, inDoubt, cancellation));
        return results;
    }

    /// <summary>Under the claim, so that it is an attempt: the queue decides when it is tried again, and when it is given up.</summary>
    private async Task<AttemptResult> DeferAsync(long claimId, BatchCommand command, Recipient recipient, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        ClaimUpdate? claimed = null;
        try
        {
            claimed = await store.ClaimAsync(claimId, command, recipient, cancellation);
        }
        catch (StorageUnavailableException failure)
        {
            logger.StoreFailed(1, command.Domain, failure);
        }
        return new AttemptResult(
            recipient.RecipientId, claimed == ClaimUpdate.Applied ? AttemptOutcome.Deferred : AttemptOutcome.NotAttempted, "4.3.0", "storage refuses the message", RemoteHost: "",
            startedAt, time.GetUtcNow(), Worker: Environment.MachineName);
    }
}

/// <summary>What a storage failure means for the recipients of a command.</summary>
internal static class StoreFailure
{
    /// <summary>All are handed back, whatever the fault: one that was stored after all is no longer queued, and nothing becomes of it.</summary>
    public static AttemptResult[] HandBack(BatchCommand command, StorageFault fault, DateTimeOffset startedAt, DateTimeOffset finishedAt)
    {
        // RFC 3463 §3.4: X.3.1 mail system full, X.3.0 other mail system status
        var (status, reply) = fault == StorageFault.Full
            ? ("4.3.1", "The mail system is full")
            : ("4.3.0", "The maildrops cannot be written now");
        return [.. command.Recipients.Select(recipient => new AttemptResult(
            recipient.RecipientId, AttemptOutcome.NotAttempted, status, reply, RemoteHost: "", startedAt, finishedAt))];
    }
}
