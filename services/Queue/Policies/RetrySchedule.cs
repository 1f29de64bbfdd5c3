namespace MailPipeline.Queue.Policies;

/// <summary>
/// When a recipient is tried again, and when it is given up. The only place that decides it; whose steps and age these are, says
/// <see cref="ScheduleTable"/>. Times grow with every attempt and end at the maximum age.
/// </summary>
public sealed class RetrySchedule(IReadOnlyList<TimeSpan> steps, double jitter, TimeSpan maxAge)
{
    /// <summary>Null: the recipient's time is over.</summary>
    /// <param name="attempts">Attempts made so far, at least 1.</param>
    /// <param name="random">From 0 to 1; spreads recipients that failed together.</param>
    public DateTimeOffset? Next(int attempts, DateTimeOffset acceptedAt, DateTimeOffset now, double random) =>
        After(Pause(attempts, random), acceptedAt, now);

    /// <summary>The same with other steps: of what the last attempt met, and how often.</summary>
    public DateTimeOffset? Next(IReadOnlyList<TimeSpan> ofWhatItMet, int times, DateTimeOffset acceptedAt, DateTimeOffset now, double random) =>
        After(Pause(ofWhatItMet, times, random), acceptedAt, now);

    public bool IsOver(DateTimeOffset acceptedAt, DateTimeOffset now) => now >= End(acceptedAt);

    /// <summary>When its time is over.</summary>
    public DateTimeOffset End(DateTimeOffset acceptedAt) => acceptedAt + maxAge;

    /// <summary>The pause after so many failures in a row, of a recipient or of a domain.</summary>
    public TimeSpan Pause(int failures, double random) => Pause(steps, failures, random);

    private TimeSpan Pause(IReadOnlyList<TimeSpan> of, int failures, double random)
    {
        var step = of[Math.Clamp(failures, 1, of.Count) - 1];
        return step + (step * (jitter * random));
    }

    private DateTimeOffset? After(TimeSpan pause, DateTimeOffset acceptedAt, DateTimeOffset now)
    {
        var end = End(acceptedAt);
        if (now >= end)
            return null;
        var next = now + pause;
        // One last attempt at the end of its time, rather than giving up early.
        return next < end ? next : end;
    }
}
