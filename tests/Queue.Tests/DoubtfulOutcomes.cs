using System.Collections.Concurrent;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Storage;

namespace MailPipeline.Queue.Tests;

/// <summary>Fails as the test says: with an unknown outcome after it has committed, otherwise before.</summary>
internal sealed class DoubtfulOutcomes(IOutcomes outcomes, ConcurrentQueue<StorageFault> faults, ConcurrentQueue<long> claims) : IOutcomes
{
    public async Task<RecordedOutcomes> RecordAsync(
        long claimId, string domain, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay, bool afterDoubt, bool endsClaim)
    {
        claims.Enqueue(claimId);
        if (!faults.TryDequeue(out var fault))
            return await outcomes.RecordAsync(claimId, domain, decisions, reportDelay, afterDoubt, endsClaim);
        if (fault == StorageFault.OutcomeUnknown)
            await outcomes.RecordAsync(claimId, domain, decisions, reportDelay, afterDoubt, endsClaim);
        throw new StorageUnavailableException(fault, "planted");
    }

    public Task<ClaimUpdate> HoldRefusedAsync(long claimId, string domain, long recipientId, bool endsClaim) =>
        outcomes.HoldRefusedAsync(claimId, domain, recipientId, endsClaim);
}
