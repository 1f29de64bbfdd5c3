using MailPipeline.Mail;

namespace MailPipeline.Delivery.Claims;

/// <summary>Claims in the mail storage.</summary>
internal sealed class StoredClaims(ClaimStore claims, QueueStore queue, MailStoreOptions options) : IClaims
{
    public TimeSpan Lease => options.ClaimLease;

    public Task<Claim> TakeAsync(BatchCommand wanted, bool begun, CancellationToken cancellationToken) =>
        claims.TakeAsync(wanted, begun, cancellationToken);

    public Task<ClaimUpdate> BeginAsync(long claimId, CancellationToken cancellationToken) => claims.BeginAsync(claimId, cancellationToken);

    public Task<ClaimUpdate> NoteDotsAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken) =>
        claims.NoteDotsAsync(claimId, recipientIds, cancellationToken);

    public Task<ClaimUpdate> FinishAsync(
        long claimId, IReadOnlyCollection<long> uncertain, IReadOnlyCollection<long> tried, CancellationToken cancellationToken) =>
        claims.FinishAsync(claimId, uncertain, tried, cancellationToken);

    public async Task<bool> IsHeldAsync(BatchCommand wanted, CancellationToken cancellationToken) =>
        (await queue.FindHeldAsync([wanted.BatchId], cancellationToken)).Count > 0;

    public Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<long> claimIds, CancellationToken cancellationToken) =>
        claims.RenewAsync(claimIds, cancellationToken);

    public Task ReleaseAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken) =>
        claims.ReleaseAsync(claimId, recipientIds, cancellationToken);

    public Task<IReadOnlySet<long>> RecordDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, CancellationToken cancellationToken) =>
        claims.RecordDeliveredAsync(claimId, results, cancellationToken);

    public Task<(IReadOnlySet<long> Recorded, bool HasEnded)> RecordLastDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, IReadOnlyCollection<long> allOfClaim, CancellationToken cancellationToken) =>
        claims.RecordLastDeliveredAsync(claimId, results, allOfClaim, cancellationToken);
}
