using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>Which failures put a recipient on his sender's suppression list, where that one has a list.</summary>
internal sealed class SuppressedFailures(SuppressionStore store, MailDirectory directory, IOptions<QueueOptions> options, TimeProvider time)
{
    /// <summary>The decision, and what comes to a list with it.</summary>
    /// <param name="isRedirected">Whoever refused is where an operator led the mail, and need not know the domain's mailboxes; null: perhaps.</param>
    public async ValueTask<RecipientDecision> JudgeAsync(Recipient recipient, RecipientDecision decision, ReplyTable replies, bool? isRedirected)
    {
        var result = decision.Result;
        // What may have arrived was not refused; reports are nobody's mail.
        if (decision.State != RecipientState.Bounced || result.Outcome == AttemptOutcome.Uncertain || recipient.Route == RecipientRoute.Local
            || recipient.Sender.Length == 0 || isRedirected != false || !options.Value.Suppression.Classes.Contains(result.Class))
        {
            return decision;
        }
        if (await FindListAsync(recipient) is not { } sender || replies.Of(result).IsGuess)
            return decision;
        var reason = $"{QueueTelemetry.Word(result.Class)}: {(result.Reply.Length > 0 ? result.Reply : result.Status)}";
        return decision with { Suppression = SuppressionStore.Create(sender, recipient.Address, SuppressionCause.Reply, reason, time.GetUtcNow()) };
    }
    /// <summary>Null: there is none, or nobody is on it for who the recipient is.</summary>
    private async ValueTask<SuppressingSender?> FindListAsync(Recipient recipient)
    {
        try
        {
            var senders = await store.SendersAsync(CancellationToken.None);
            return senders.Count > 0 && senders.TryGetValue(SuppressionStore.SenderKey(recipient.Flow), out var sender)
                && await directory.FindDomainAsync(DomainKey.Of(recipient.Address), CancellationToken.None) is null ? sender : null;
        }
        catch (StorageUnavailableException)
        {
            // The outcome is written as soon as storage is back, and must not be lost over this; who is refused again comes to the list then.
            return null;
        }
    }
}
