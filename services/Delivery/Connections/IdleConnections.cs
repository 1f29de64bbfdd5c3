using MailPipeline.Delivery.Smtp;

namespace MailPipeline.Delivery.Connections;

/// <summary>
/// Connections that wait a short while for the next batch of their domain, oldest first. Each still holds the place of the slot that it
/// came from. Not safe for threads: the lock is its owner's.
/// </summary>
internal sealed class IdleConnections(TimeSpan idleTime, TimeProvider time)
{
    private readonly LinkedList<(string Domain, SmtpClientConnection Connection, long Since)> _byAge = [];

    public int Count => _byAge.Count;

    public void Add(string domain, SmtpClientConnection connection) => _byAge.AddLast((domain, connection, time.GetTimestamp()));

    /// <summary>The one of the domain that was used last; null when there is none.</summary>
    public SmtpClientConnection? Take(string domain)
    {
        for (var node = _byAge.Last; node is not null; node = node.Previous)
        {
            if (!string.Equals(node.Value.Domain, domain, StringComparison.Ordinal))
                continue;
            _byAge.Remove(node);
            return node.Value.Connection;
        }

        return null;
    }

    public SmtpClientConnection? TakeOldest()
    {
        if (_byAge.First is not { } oldest)
            return null;
        _byAge.RemoveFirst();
        return oldest.Value.Connection;
    }

    /// <summary>The oldest, if its time is over.</summary>
    public SmtpClientConnection? TakeExpired() => Left <= TimeSpan.Zero ? TakeOldest() : null;

    /// <summary>Until the oldest one's time is over; null when there is none.</summary>
    public TimeSpan? Left => _byAge.First is { } oldest ? idleTime - time.GetElapsedTime(oldest.Value.Since) : null;
}
