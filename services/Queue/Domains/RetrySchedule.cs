namespace MailPipeline.Queue.Domains;

/// <summary>
/// When a recipient is tried again, and when it is given up. The only place that decides it. Times grow with every
/// attempt and end at the maximum age.
/// </summary>
public sealed class RetrySchedule(IReadOnlyList<TimeSpan> steps, double jitter, TimeSpan maxAge)
{
    /// <summary>Null: the recipient's time is over.</summary>
    /// <param name="attempts">Attempts made so far, at least 1.</param>
    /// <param name="random">From 0 to 1; spreads recipients that failed together.</param>
    public DateTimeOffset? Next(int attempts, DateTimeOffset acceptedAt, DateTimeOffset now, double random)
    {
        var end = acceptedAt + maxAge;
        if (now >= end)
            return null;
        var next = now + Pause(attempts, random);
        // One last attempt at the end of its time, rather than giving up early.
        return next < end ? next : end;
    }

    public bool IsOver(DateTimeOffset acceptedAt, DateTimeOffset now) => now >= acceptedAt + maxAge;

    /// <summary>The pause after so many failures in a row, of a recipient or of a domain.</summary>
    public TimeSpan Pause(int failures, double random)
    {
        var step = steps[Math.Clamp(failures, 1, steps.Count) - 1];
        return step + (step * (jitter * random));
    }
}
