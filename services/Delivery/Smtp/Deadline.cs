namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The one clock of a connection: armed before each command, it ends the connection when the reply is late. It covers a
/// whole reply, so a server that sends an octet now and then gains nothing.
/// </summary>
internal sealed class Deadline : IDisposable
{
    private readonly ITimer _timer;
    private readonly TimeProvider _time;
    private long _armedAt;
    private volatile bool _expired;

    public Deadline(TimeProvider time, Action end)
    {
        _time = time;
        _timer = time.CreateTimer(
            _ =>
            {
                _expired = true;
                end();
            },
            null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public bool IsExpired => _expired;

    /// <summary>What it was armed with last.</summary>
    public TimeSpan Time { get; private set; }

    /// <summary>Since then.</summary>
    public TimeSpan Elapsed => _time.GetElapsedTime(_armedAt);

    public void Arm(TimeSpan time)
    {
        Time = time;
        _armedAt = _time.GetTimestamp();
        _timer.Change(time, Timeout.InfiniteTimeSpan);
    }

    public void Disarm() => _timer.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);

    public void Dispose() => _timer.Dispose();
}
