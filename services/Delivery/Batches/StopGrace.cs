namespace MailPipeline.Delivery.Batches;

/// <summary>What is left of the time that the process gets to stop in.</summary>
internal sealed class StopGrace
{
    private readonly TimeSpan _whole;
    private readonly TimeProvider _time;
    private long _stoppedAt;

    /// <param name="whole">From the signal to the end of the process.</param>
    public StopGrace(TimeSpan whole, IHostApplicationLifetime lifetime, TimeProvider time)
    {
        _whole = whole;
        _time = time;
        lifetime.ApplicationStopping.Register(() => Volatile.Write(ref _stoppedAt, time.GetTimestamp()));
    }

    /// <summary>False when the process may be ended before so long a wait is over.</summary>
    public bool Covers(TimeSpan wait)
    {
        var stoppedAt = Volatile.Read(ref _stoppedAt);
        return stoppedAt == 0 || _time.GetElapsedTime(stoppedAt) + wait <= _whole;
    }
}
