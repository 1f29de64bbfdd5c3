using MailPipeline.Delivery.Claims;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Batches;

/// <summary>
/// Sees to it that storage knows for whom a final dot may have been sent, before it is: if this process dies, only those are in
/// doubt. A note is written while the last of the content travels. It names a few small messages ahead, and later ones are written
/// while messages travel, so that a dot seldom waits. Used by one connection at a time.
/// </summary>
internal sealed class DotNotes(IDots dots, IClaims claims, ActiveClaim claim, ILogger log)
{
    /// <summary>Messages that a note names beyond the one it is for. More are more that would be in doubt for nothing.</summary>
    public const int MessagesAhead = 8;

    /// <summary>
    /// Octets between a note and the dots that it is for: of a message's content that is still to be written, and of all messages together
    /// that one note names. More would be sent for so long that a process that dies meanwhile leaves a doubt about what it never ended.
    /// </summary>
    public const int BytesAhead = 64 * 1024;

    /// <summary>What storage has for certain.</summary>
    private HashSet<long> _noted = [];

    /// <summary>What it was told last; whether it has it is known when <see cref="_writing"/> has ended.</summary>
    private HashSet<long> _told = [];

    /// <summary>The note being written. Null: storage does not have it.</summary>
    private Task<HashSet<long>?> _writing = Task.FromResult<HashSet<long>?>([]);

    /// <summary>Messages behind the last one asked for that are known to be named. A guess that only says when to look again.</summary>
    private int _namedAhead;

    /// <summary>It is time to look when no more than these are left.</summary>
    private int _lookAt;

    /// <summary>Begins to write a note when there is none about this message, and none under way.</summary>
    /// <param name="message">Of whose content at most <see cref="BytesAhead"/> are left to be written.</param>
    public void Expect(OutboundMessage message)
    {
        if (_writing.IsCompleted && !Covers(message))
            Begin(message, null);
    }

    /// <summary>
    /// Ends when storage knows of this message, and of the one whose commands go out behind its dot if that is small. False: it does
    /// not, and neither may be sent.
    /// </summary>
    public async ValueTask<bool> EnsureAsync(OutboundMessage message, OutboundMessage? next)
    {
        // A large one is named when it comes to its end.
        var small = next is not null && message.First.SizeBytes + next.First.SizeBytes <= BytesAhead ? next : null;
        while (!Covers(message) || (small is not null && !Covers(small)))
        {
            if (_writing.IsCompleted)
                Begin(message, next);
            if (await _writing is null)
                return false;
        }

        if (--_namedAhead <= _lookAt && _writing.IsCompleted)
            BeginAhead(message, next);
        return true;
    }

    private bool Covers(OutboundMessage message)
    {
        if (_writing is { IsCompletedSuccessfully: true, Result: { } noted })
            _noted = noted;
        return IsIn(_noted, message);
    }

    private void Begin(OutboundMessage message, OutboundMessage? next)
    {
        var named = StillNamed();
        Name(named, message);
        Write(named, Following(message, next));
    }

    /// <summary>Names those that follow, if one of them is not named yet.</summary>
    private void BeginAhead(OutboundMessage message, OutboundMessage? next)
    {
        var following = Following(message, next);
        if (!following.TrueForAll(other => IsIn(_noted, other)))
            Write(StillNamed(), following);
    }

    /// <summary>The messages behind this one whose dots come at once: as many as fit into <see cref="BytesAhead"/> together with it.</summary>
    private List<OutboundMessage> Following(OutboundMessage message, OutboundMessage? next)
    {
        var upcoming = dots.Upcoming(MessagesAhead);
        var following = new List<OutboundMessage>(upcoming.Length + 1);
        var bytes = message.First.SizeBytes;
        foreach (var other in next is null ? upcoming : [next, .. upcoming])
        {
            bytes += other.First.SizeBytes;
            if (bytes > BytesAhead)
                break;
            following.Add(other);
        }

        return following;
    }

    private void Write(HashSet<long> named, List<OutboundMessage> following)
    {
        foreach (var message in following)
            Name(named, message);
        _namedAhead = following.Count;
        _lookAt = Math.Min(following.Count, MessagesAhead) / 2;
        _told = named;
        _writing = WriteAsync(named);
    }

    /// <summary>Whoever was told of stays named until a dot of his can leave nothing in doubt.</summary>
    private HashSet<long> StillNamed()
    {
        var named = new HashSet<long>(_told.Count + MessagesAhead);
        foreach (var id in _told)
        {
            if (!dots.IsSettled(id))
                named.Add(id);
        }

        return named;
    }

    private static void Name(HashSet<long> named, OutboundMessage message)
    {
        for (var i = 0; i < message.Recipients.Count; i++)
            named.Add(message.Recipients[i].RecipientId);
    }

    private static bool IsIn(HashSet<long> named, OutboundMessage message)
    {
        for (var i = 0; i < message.Recipients.Count; i++)
        {
            if (!named.Contains(message.Recipients[i].RecipientId))
                return false;
        }

        return true;
    }

    private async Task<HashSet<long>?> WriteAsync(HashSet<long> named)
    {
        try
        {
            if (await claims.NoteDotsAsync(claim.Id, named, CancellationToken.None) == ClaimUpdate.Applied)
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
