using MailPipeline.Mail;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Whether there is room for one more that is seen for the first time: strangers may name as many senders as they like, and faster than those
/// are forgotten. What is kept is counted once a minute, up to the bound, and what this server adds since is counted with it; others may
/// have added as much, so that the bound holds to within a minute.
/// </summary>
internal sealed class GreylistRoom(GreylistStore store, TimeProvider time)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private long? _countedAt;
    private long _rows;

    /// <summary>False: there is none.</summary>
    public async ValueTask<bool> TakeAsync(int most, CancellationToken cancellation)
    {
        if (IsToBeCounted())
        {
            var rows = await store.CountAsync(most, cancellation);
            lock (_gate)
                _rows = rows;
        }

        lock (_gate)
        {
            if (_rows >= most)
                return false;
            _rows++;
            return true;
        }
    }

    // One counts, and others go on with what is known.
    private bool IsToBeCounted()
    {
        lock (_gate)
        {
            if (_countedAt is { } at && time.GetElapsedTime(at) < s_interval)
                return false;
            _countedAt = time.GetTimestamp();
            return true;
        }
    }
}
