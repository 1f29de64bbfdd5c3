using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Mailbox.Maildrops;

/// <summary>What local delivery needs of storage; as <see cref="MaildropStore"/> says.</summary>
internal interface ILocalStore
{
    Task<IReadOnlyList<AttemptResult>> StoreAsync(Claim claim, bool afterDoubt, CancellationToken cancellation);

    Task<ClaimUpdate> ClaimAsync(Claim claim, Recipient recipient, CancellationToken cancellation);
}

internal sealed class StoredLocally(MaildropStore maildrops) : ILocalStore
{
    public Task<IReadOnlyList<AttemptResult>> StoreAsync(Claim claim, bool afterDoubt, CancellationToken cancellation) =>
        maildrops.StoreAsync(claim, MaildropHeader.For, cancellation, afterDoubt);

    public Task<ClaimUpdate> ClaimAsync(Claim claim, Recipient recipient, CancellationToken cancellation) =>
        maildrops.ClaimAsync(claim, recipient, cancellation);
}

/// <summary>
/// Stores what a claim says, whatever storage answers: asks again in doubt, so that what was stored after all is known as stored, one
/// by one too; defers what is refused, alone; hands all back when storage is away.
/// </summary>
internal sealed class LocalDelivery(ILocalStore store, TimeProvider time, ILogger<LocalDelivery> logger)
{
    /// <summary>Between questions about a commit of which nobody knows whether it happened.</summary>
    private static readonly TimeSpan[] s_doubtPauses = [TimeSpan.FromMilliseconds(200), TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(3)];

    public Task<IReadOnlyList<AttemptResult>> StoreAsync(Claim claim, DateTimeOffset startedAt, CancellationToken cancellation) =>
        StoreAsync(claim, startedAt, inDoubt: false, cancellation);

    /// <param name="inDoubt">Nobody knows whether the same was committed before, perhaps with others.</param>
    private async Task<IReadOnlyList<AttemptResult>> StoreAsync(
        Claim claim, DateTimeOffset startedAt, bool inDoubt, CancellationToken cancellation)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                return await store.StoreAsync(claim, inDoubt, cancellation);
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                logger.StoreRefused(claim.Recipients.Length, claim.Domain, refused);
                return claim.Recipients is [var alone]
                    ? [await DeferAsync(claim, alone, startedAt, cancellation)] : await StoreEachAsync(claim, startedAt, inDoubt, cancellation);
            }
            // What was stored after all has to be known as stored.
            catch (StorageUnavailableException unknown) when (unknown.Fault == StorageFault.OutcomeUnknown && attempt < s_doubtPauses.Length)
            {
                inDoubt = true;
                logger.StoreFailed(claim.Recipients.Length, claim.Domain, unknown);
                await Task.Delay(s_doubtPauses[attempt], time, cancellation);
            }
            catch (StorageUnavailableException failure)
            {
                logger.StoreFailed(claim.Recipients.Length, claim.Domain, failure);
                return StoreFailure.HandBack(claim, failure.Fault, startedAt, time.GetUtcNow());
            }
        }
    }

    private async Task<IReadOnlyList<AttemptResult>> StoreEachAsync(
        Claim claim, DateTimeOffset startedAt, bool inDoubt, CancellationToken cancellation)
    {
        var results = new List<AttemptResult>(claim.Recipients.Length);
        foreach (var recipient in claim.Recipients)
            results.AddRange(await StoreAsync(claim with { Recipients = [recipient] }, startedAt, inDoubt, cancellation));
        return results;
    }

    /// <summary>Under the claim, so that it is an attempt: the queue decides when it is tried again, and when it is given up.</summary>
    private async Task<AttemptResult> DeferAsync(Claim claim, Recipient recipient, DateTimeOffset startedAt, CancellationToken cancellation)
    {
        ClaimUpdate? claimed = null;
        try
        {
            claimed = await store.ClaimAsync(claim, recipient, cancellation);
        }
        catch (StorageUnavailableException failure)
        {
            logger.StoreFailed(1, claim.Domain, failure);
        }
        return new AttemptResult(
            recipient.RecipientId, claimed == ClaimUpdate.Applied ? AttemptOutcome.Deferred : AttemptOutcome.NotAttempted, "4.3.0", "storage refuses the message", RemoteHost: "",
            startedAt, time.GetUtcNow());
    }
}

/// <summary>What a storage failure means for the recipients of a claim.</summary>
internal static class StoreFailure
{
    /// <summary>All are handed back, whatever the fault: one that was stored after all is no longer queued, and nothing becomes of it.</summary>
    public static AttemptResult[] HandBack(Claim claim, StorageFault fault, DateTimeOffset startedAt, DateTimeOffset finishedAt)
    {
        // RFC 3463 §3.4: X.3.1 mail system full, X.3.0 other mail system status
        var (status, reply) = fault == StorageFault.Full
            ? ("4.3.1", "The mail system is full")
            : ("4.3.0", "The maildrops cannot be written now");
        return [.. claim.Recipients.Select(recipient => new AttemptResult(
            recipient.RecipientId, AttemptOutcome.NotAttempted, status, reply, RemoteHost: "", startedAt, finishedAt))];
    }
}
