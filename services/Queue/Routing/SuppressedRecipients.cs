using MailPipeline.Mail;

namespace MailPipeline.Queue.Routing;

/// <summary>
/// Which recipients are on the suppression lists of their senders. Nothing is asked for messages of senders that have none; a domain of ours is on
/// no list, nor is mail with the null sender (RFC 5321 §4.5.5). What waits for an operator is not ended before he has looked.
/// </summary>
internal sealed class SuppressedRecipients(SuppressionStore store, MailDirectory directory)
{
    /// <summary>Marks them in the messages of a batch, by one question to storage.</summary>
    public async ValueTask MarkAsync(RoutedMessage[] messages, CancellationToken cancellationToken)
    {
        var senders = await store.SendersAsync(cancellationToken);
        if (senders.Count == 0)
            return;
        var asked = new Dictionary<int, string>();
        var wanted = new HashSet<(string, string)>();
        foreach (var (i, (message, recipients, _, _, _)) in messages.Index())
        {
            var sender = SuppressionStore.SenderKey(message.Flow);
            if (message.Sender.Length == 0 || message.HoldReason.Length > 0 || !senders.ContainsKey(sender))
                continue;
            asked.Add(i, sender);
            foreach (var recipient in recipients)
            {
                if (await MayBeListedAsync(recipient, cancellationToken))
                    wanted.Add((sender, recipient.Address));
            }
        }
        if (wanted.Count == 0)
            return;
        var listed = (await store.FindAsync(wanted, cancellationToken)).ToDictionary(one => (one.Sender, one.Address));
        if (listed.Count == 0)
            return;
        foreach (var (i, sender) in asked)
        {
            var marked = messages[i].Recipients.ToArray();
            foreach (var (number, recipient) in marked.Index())
            {
                if (await MayBeListedAsync(recipient, cancellationToken) && listed.TryGetValue((sender, SuppressionStore.AddressKey(recipient.Address)), out var found))
                    marked[number] = recipient with { Suppression = found };
            }
            messages[i] = messages[i] with { Recipients = marked };
        }
    }

    private async ValueTask<bool> MayBeListedAsync(RoutedRecipient recipient, CancellationToken cancellationToken) =>
        recipient is { Route: RecipientRoute.Remote, IsExpanded: false } && await directory.FindDomainAsync(recipient.Domain, cancellationToken) is null;
}
