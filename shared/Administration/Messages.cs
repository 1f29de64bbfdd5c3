using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>
/// One message by its id, as it stands in the 250 reply: what happened to it and why it waits, and what an operator can do to its
/// recipients. A recipient that is being tried is left alone.
/// </summary>
public sealed class Messages(
    MessageHistory history, SearchStore search, OperatorStore store, QueueStateStore states, QueueStore queue, WaitingListStore waiting, RuleStore rules,
    TimeProvider time)
{
    private readonly WaitRulesReader _rules = new(store, states, queue, waiting, rules, time);

    /// <returns><see cref="MessageFound"/>, or why not.</returns>
    public async Task<MessageResult> FindAsync(string typedId, CancellationToken cancellation)
    {
        if (!MessageIds.TryParse(typedId, out var id))
            return new NotAMessageId(typedId);
        if (await history.FindAsync(id, cancellation) is not { } message)
            return new NoSuchMessage(id);
        var waits = await ReadRulesAsync(message, cancellation);
        return new MessageFound(
            message, [.. message.Recipients.Select(recipient => new TracedRecipient(recipient, waits.Of(recipient, message)))],
            message.Envelope.Count > 0 ? waits.OfUnrouted(message.ReleaseAt) : null);
    }

    /// <summary>Messages by whom they are from, whom they are to and their Message-ID, the latest first.</summary>
    /// <param name="typedBefore">Only those before this id, as a page before said it; null: from the latest.</param>
    /// <returns><see cref="MessagesFound"/>, or why not.</returns>
    public async Task<MessageResult> SearchAsync(MessageSearch wanted, string? typedBefore, int limit, CancellationToken cancellation)
    {
        var before = long.MaxValue;
        if (typedBefore is not null && !MessageIds.TryParse(typedBefore, out before))
            return new NotAMessageId(typedBefore);
        var (found, next) = await search.FindAsync(wanted, before, limit, cancellation);
        return new MessagesFound(found, next);
    }

    /// <summary>Keeps the waiting recipients back until they are released.</summary>
    /// <param name="by">Who does it; noted with the change.</param>
    /// <returns><see cref="MessageChanged"/>, or why not all of it was done.</returns>
    public Task<MessageResult> HoldAsync(string typedId, OperatorIdentity by, CancellationToken cancellation) =>
        ChangeAsync(typedId, OperatorAction.Held, id => store.HoldAsync(id, by), cancellation);

    /// <summary>Lets the held recipients go: they are due at once.</summary>
    /// <inheritdoc cref="HoldAsync"/>
    public Task<MessageResult> ReleaseAsync(string typedId, OperatorIdentity by, CancellationToken cancellation) =>
        ChangeAsync(typedId, OperatorAction.Released, id => store.ReleaseAsync(id, by), cancellation);

    /// <summary>Ends the waiting and held recipients for good; the sender is not told.</summary>
    /// <inheritdoc cref="HoldAsync"/>
    public Task<MessageResult> RemoveAsync(string typedId, OperatorIdentity by, CancellationToken cancellation) =>
        ChangeAsync(typedId, OperatorAction.Removed, id => store.RemoveAsync(id, by), cancellation);

    private async Task<MessageResult> ChangeAsync(
        string typedId, OperatorAction action, Func<long, Task<OperatorChange>> change, CancellationToken cancellation)
    {
        if (!MessageIds.TryParse(typedId, out var id))
            return new NotAMessageId(typedId);
        var (changed, beingTried) = await change(id);
        // A release has nothing to do with those that are being tried.
        if (beingTried > 0 && action != OperatorAction.Released)
            return new MessageChangedInPart(id, action, changed, beingTried);
        if (changed > 0)
            return new MessageChanged(id, action, changed);
        if (await history.FindAsync(id, cancellation) is not { } message)
            return new NoSuchMessage(id);
        if (message.Envelope.Count > 0)
            return new MessageNotRouted(id);
        return new NothingToChange(id, [.. message.Recipients.CountBy(recipient => recipient.State).OrderBy(count => count.Key)]);
    }

    private async Task<WaitRules> ReadRulesAsync(MessageTimeline message, CancellationToken cancellation)
    {
        var queued = message.Recipients.Where(recipient => recipient.State == RecipientState.Queued && !recipient.Claimed);
        return await _rules.ReadAsync(
            await _rules.ReadAsync(cancellation), queued.Select(recipient => (recipient.Domain, recipient.NextAttemptAt)), cancellation);
    }
}
