using MailPipeline.Mail;

namespace MailPipeline.Delivery.Claims;

/// <summary>The fences of storage, as delivery uses them. Every call may throw while storage is away.</summary>
internal interface IClaims
{
    /// <summary>How long a claim lives without renewal, on the store's clock.</summary>
    TimeSpan Lease { get; }

    /// <summary>Wins a claim for those recipients that are still free.</summary>
    /// <param name="begun">True: nothing is waited for any more before the first host is dialled.</param>
    Task<Claim> TakeAsync(BatchCommand wanted, bool begun, CancellationToken cancellationToken);

    /// <summary>
    /// To be awaited before the first host is dialled under a claim that was taken without having begun: from then on it is an
    /// attempt, even if the process dies.
    /// </summary>
    Task<ClaimUpdate> BeginAsync(long claimId, CancellationToken cancellationToken);

    /// <summary>
    /// To be awaited before the first final dot of these recipients is sent; names all of the claim for whom one may have been or may
    /// be sent.
    /// </summary>
    Task<ClaimUpdate> NoteDotsAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken);

    /// <summary>Notes how the attempts of the claim ended that delivered nothing, in case the report is lost.</summary>
    Task<ClaimUpdate> FinishAsync(
        long claimId, IReadOnlyCollection<long> uncertain, IReadOnlyCollection<long> tried, CancellationToken cancellationToken);

    /// <summary>Whether somebody holds a claim for the batch.</summary>
    Task<bool> IsHeldAsync(BatchCommand wanted, CancellationToken cancellationToken);

    /// <summary>Returns the claims that are still held.</summary>
    Task<IReadOnlySet<long>> RenewAsync(IReadOnlyCollection<long> claimIds, CancellationToken cancellationToken);

    /// <summary>Frees these recipients of the claim, which goes on for the others.</summary>
    Task ReleaseAsync(long claimId, IReadOnlyCollection<long> recipientIds, CancellationToken cancellationToken);

    /// <summary>Makes "delivered" durable; returns the recipients recorded, which lacks those whose claim was lost.</summary>
    Task<IReadOnlySet<long>> RecordDeliveredAsync(long claimId, IReadOnlyList<AttemptResult> results, CancellationToken cancellationToken);

    /// <summary>
    /// Records the last deliveries of the claim, which ends with it: with these all of <paramref name="allOfClaim"/>, who are all that were won,
    /// are delivered. Says as well whether it ended.
    /// </summary>
    Task<(IReadOnlySet<long> Recorded, bool HasEnded)> RecordLastDeliveredAsync(
        long claimId, IReadOnlyList<AttemptResult> results, IReadOnlyCollection<long> allOfClaim, CancellationToken cancellationToken);
}
