using MailPipeline.Delivery.Smtp;

namespace MailPipeline.Delivery.Connections;

/// <summary>A connection that waits for its next batch.</summary>
/// <param name="Domain">Any batch of this domain may have it, where it is not counted.</param>
/// <param name="After">The batch that left it, where it is counted: it is for the one that has its permit next, and for no other; else 0.</param>
/// <param name="Until">Timestamp.</param>
internal sealed record IdleConnection(string Domain, long After, SmtpClientConnection Connection, long Until);

/// <summary>
/// Connections that wait a short while for their next batch, in the order of their ends. Each still holds the place of the slot that it
/// came from. Not safe for threads: the lock is its owner's.
/// </summary>
internal sealed class IdleConnections(TimeProvider time)
{
    private readonly LinkedList<IdleConnection> _byEnd = [];

    public int Count => _byEnd.Count;

    public void Add(string domain, long after, SmtpClientConnection connection, TimeSpan left)
    {
        var added = new IdleConnection(domain, after, connection, time.GetTimestamp() + (long)(left.TotalSeconds * time.TimestampFrequency));
        var before = _byEnd.Last;
        while (before is not null && before.Value.Until > added.Until)
            before = before.Previous;
        if (before is null)
            _byEnd.AddFirst(added);
        else
            _byEnd.AddAfter(before, added);
    }

    /// <summary>The one of the domain that was used last; null when there is none.</summary>
    public SmtpClientConnection? Take(string domain) => Take(idle => idle.After == 0 && string.Equals(idle.Domain, domain, StringComparison.Ordinal));

    /// <summary>The one that this batch has left, which is counted; null when it is not there any more.</summary>
    public SmtpClientConnection? Take(long after) => Take(idle => idle.After == after);

    public bool Has(long after) => _byEnd.Any(idle => idle.After == after);

    public IdleConnection? TakeFirst()
    {
        if (_byEnd.First is not { } first)
            return null;
        _byEnd.RemoveFirst();
        return first.Value;
    }

    /// <summary>The first, if its time is over.</summary>
    public IdleConnection? TakeExpired() => Left <= TimeSpan.Zero ? TakeFirst() : null;

    /// <summary>Until the first one's time is over; null when there is none.</summary>
    public TimeSpan? Left => _byEnd.First is { } first ? time.GetElapsedTime(time.GetTimestamp(), first.Value.Until) : null;

    private SmtpClientConnection? Take(Func<IdleConnection, bool> isWanted)
    {
        for (var node = _byEnd.Last; node is not null; node = node.Previous)
        {
            if (!isWanted(node.Value))
                continue;
            _byEnd.Remove(node);
            return node.Value.Connection;
        }

        return null;
    }
}
