namespace MailPipeline.LineServer;

/// <summary>When a wait for the client ends, as timestamps of the process's <see cref="TimeProvider"/>.</summary>
/// <param name="Always">In any case.</param>
/// <param name="Crowded">While the listener is nearly full.</param>
public readonly record struct WaitEnd(long Always, long Crowded)
{
    /// <summary>The timestamp that is never reached.</summary>
    public const long Never = long.MaxValue;

    /// <summary>So long from now, whether the listener is full or not.</summary>
    public static WaitEnd In(TimeProvider time, TimeSpan patience) => new(After(time, patience), Never);

    /// <summary>The timestamp so long from now.</summary>
    public static long After(TimeProvider time, TimeSpan patience) => time.GetTimestamp() + Ticks(time, patience);

    /// <summary>A duration in the units of timestamps.</summary>
    public static long Ticks(TimeProvider time, TimeSpan duration) => (long)(duration.TotalSeconds * time.TimestampFrequency);
}

/// <summary>How long a protocol waits for the client of one session; asked whenever a wait begins.</summary>
public interface IClientPatience
{
    /// <summary>For the whole next command: octets that trickle in prolong nothing.</summary>
    WaitEnd ForCommand();

    /// <summary>For the client to take what is said to it.</summary>
    WaitEnd ForReplies();
}
