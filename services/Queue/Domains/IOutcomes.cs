using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>Where outcomes are recorded; as <see cref="OutcomeStore"/> says.</summary>
internal interface IOutcomes
{
    Task<RecordedOutcomes> RecordAsync(
        long claimId, string domain, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay, bool afterDoubt, bool endsClaim);

    Task<ClaimUpdate> HoldRefusedAsync(long claimId, string domain, long recipientId, bool endsClaim);
}

internal sealed class StoredOutcomes(OutcomeStore store) : IOutcomes
{
    public Task<RecordedOutcomes> RecordAsync(
        long claimId, string domain, IReadOnlyList<RecipientDecision> decisions, TimeSpan reportDelay, bool afterDoubt, bool endsClaim) =>
        store.RecordAsync(claimId, domain, decisions, reportDelay, afterDoubt, endsClaim);

    public Task<ClaimUpdate> HoldRefusedAsync(long claimId, string domain, long recipientId, bool endsClaim) =>
        store.HoldRefusedAsync(claimId, domain, recipientId, endsClaim);
}
