namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Whether storage has committed for a whole lease without a gap. After an outage, or a pause of the machine, every claim looks as if
/// its holder had died, until the holders have had the time to renew them; to take them back would send their mail again. Reads prove
/// nothing: they go on where writes wait for a standby, a lock or space. One for the process, which commits all the time: a reconciler
/// that moves here from a silo that died need not wait.
/// </summary>
/// <param name="interval">How often it commits; asked for when the settings are known to be good.</param>
internal sealed class SteadyStorage(TimeSpan lease, Func<TimeSpan> interval, TimeProvider time)
{
    private readonly Lock _lock = new();
    private DateTimeOffset _since;
    private DateTimeOffset _lastCommit;

    // Claims are renewed every third of the lease: one that was renewed last before a shorter gap outlives it.
    private TimeSpan LongestGap => TimeSpan.FromTicks(Math.Max((lease / 3).Ticks, (interval() * 5).Ticks));

    /// <summary>Without a gap up to now.</summary>
    public bool IsSteady
    {
        get
        {
            lock (_lock)
                return (time.GetUtcNow() - _lastCommit).Duration() <= LongestGap && _lastCommit - _since >= lease;
        }
    }

    /// <summary>Storage has just committed. True when it has done so for a lease.</summary>
    public bool HasCommitted()
    {
        // By the clock that leases run on, more or less: it goes on while a machine sleeps, and it may be set.
        var now = time.GetUtcNow();
        lock (_lock)
        {
            if ((now - _lastCommit).Duration() > LongestGap)
                _since = now;
            _lastCommit = now;
            return now - _since >= lease;
        }
    }
}
