using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>Which failures put a recipient on his sender's suppression list, where that one has a list.</summary>
internal sealed class SuppressedFailures(SuppressionStore store, MailDirectory directory, IOptions<QueueOptions> options, TimeProvider time)
{
    /// <summary>The decision, and what comes to a list with it.</summary>
    public async ValueTask<RecipientDecision> JudgeAsync(Recipient recipient, RecipientDecision decision, ReplyTable replies)
    {
        var result = decision.Result;
        // What may have arrived was not refused; reports are nobody's mail.
        if (decision.State != RecipientState.Bounced || result.Outcome == AttemptOutcome.Uncertain || recipient.Route == RecipientRoute.Local
            || recipient.Sender.Length == 0 || !options.Value.Suppression.Classes.Contains(result.Class))
        {
            return decision;
        }
        var senders = await store.SendersAsync(CancellationToken.None);
        if (senders.Count == 0 || !senders.TryGetValue(SuppressionStore.SenderKey(recipient.Flow), out var sender) || replies.Of(result).IsGuess
            || await directory.FindDomainAsync(DomainKey.Of(recipient.Address), CancellationToken.None) is not null)
        {
            return decision;
        }
        var reason = $"{QueueTelemetry.Word(result.Class)}: {(result.Reply.Length > 0 ? result.Reply : result.Status)}";
        return decision with { Suppression = SuppressionStore.Create(sender, recipient.Address, SuppressionCause.Reply, reason, time.GetUtcNow()) };
    }
}
