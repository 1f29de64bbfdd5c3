using MailPipeline.Contracts;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery;

/// <summary>
/// Sees to it that storage knows for whom a final dot may have been sent, before it is: if this process dies, only those are in
/// doubt. A note names a few messages ahead and is written while commands travel, so that a dot seldom waits for it. Used by one
/// connection at a time.
/// </summary>
internal sealed class DotNotes(IClaims claims, ActiveClaim claim, ILogger log)
{
    /// <summary>Messages that a note names beyond the one it is for. More are more that would be in doubt for nothing.</summary>
    public const int MessagesAhead = 8;

    /// <summary>What storage has for certain.</summary>
    private HashSet<long> _noted = [];

    /// <summary>What it was told last; whether it has it is known when <see cref="_writing"/> has ended.</summary>
    private HashSet<long> _told = [];

    /// <summary>The note being written. Null: storage does not have it.</summary>
    private Task<HashSet<long>?> _writing = Task.FromResult<HashSet<long>?>([]);

    /// <summary>Begins to write a note when there is none about this message, and none under way.</summary>
    /// <param name="message">The message that is begun.</param>
    /// <param name="behind">Those that follow, in order.</param>
    /// <param name="isOver">Who has an answer that delivers nothing: no dot can be theirs any more.</param>
    public void Expect(OutboundMessage message, IReadOnlyList<OutboundMessage> behind, Func<long, bool> isOver)
    {
        if (_writing.IsCompleted && !Covers(message))
            Begin([message, .. behind], isOver);
    }

    /// <summary>
    /// Ends when storage knows of this message and of the one whose commands go out behind its dot. False: it does not, and neither
    /// may be sent.
    /// </summary>
    public async ValueTask<bool> EnsureAsync(
        OutboundMessage message, OutboundMessage? next, IReadOnlyList<OutboundMessage> behind, Func<long, bool> isOver)
    {
        while (!Covers(message) || (next is not null && !Covers(next)))
        {
            if (_writing.IsCompleted)
                Begin(next is null ? [message, .. behind] : [message, next, .. behind], isOver);
            if (await _writing is null)
                return false;
        }

        if (behind.Count > MessagesAhead / 2 && _writing.IsCompleted && !Covers(behind[MessagesAhead / 2]))
            Begin(behind, isOver);
        return true;
    }

    private bool Covers(OutboundMessage message)
    {
        if (_writing is { IsCompletedSuccessfully: true, Result: { } noted })
            _noted = noted;
        foreach (var recipient in message.Recipients)
        {
            if (!_noted.Contains(recipient.RecipientId))
                return false;
        }

        return true;
    }

    private void Begin(IEnumerable<OutboundMessage> messages, Func<long, bool> isOver)
    {
        // Whoever was told of stays named until he has an answer without a delivery: a delivery may not be recorded yet.
        var named = new HashSet<long>(_told);
        named.RemoveWhere(id => isOver(id));
        foreach (var message in messages)
            named.UnionWith(message.Recipients.Select(recipient => recipient.RecipientId));
        _told = named;
        _writing = WriteAsync(named);
    }

    private async Task<HashSet<long>?> WriteAsync(HashSet<long> named)
    {
        try
        {
            if (await claims.NoteDotsAsync(claim.Id, named, CancellationToken.None))
                return named;
            claim.Lose();
            return null;
        }
#pragma warning disable CA1031 // Storage is away, or refuses: without the note no dot is sent, and the message stays queued.
        catch (Exception error)
#pragma warning restore CA1031
        {
            log.DotsNotNoted(error, claim.Id);
            return null;
        }
    }
}
