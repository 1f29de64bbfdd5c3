namespace MailPipeline.Mail;

/// <summary>When mail is tried again, when it is given up, and when its sender is told. What is left out is as without the entry.</summary>
public abstract class ScheduleOptions
{
    private static readonly TimeSpan s_longestAge = TimeSpan.FromDays(60);
    private static readonly TimeSpan s_leastAge = TimeSpan.FromSeconds(1);

    /// <summary>Pauses between attempts, in order; the last one repeats. Default: those of the settings.</summary>
    public IReadOnlyList<TimeSpan> RetrySteps { get; set; } = [];

    /// <summary>A recipient is given up at this age. Default: that of the settings.</summary>
    public TimeSpan? MaxAge { get; set; }

    /// <summary>How long a recipient waits before its sender is told that it still does; 0: he is not. Default: that of the settings.</summary>
    public TimeSpan? DelayReportAfter { get; set; }

    /// <summary>What follows an attempt that may have delivered. Default: as the settings say.</summary>
    public UncertainOptions Uncertain { get; init; } = new();

    /// <summary>Something is said of times.</summary>
    public bool HasSchedule => RetrySteps.Count > 0 || MaxAge is not null || DelayReportAfter is not null || Uncertain.IsSaid;

    private protected void ValidateSchedule(string setting, List<string> failures)
    {
        RetryStepsRule.Validate($"{setting}:{nameof(RetrySteps)}", RetrySteps, failures);
        if (MaxAge is { } age && (age < s_leastAge || age > s_longestAge))
            failures.Add($"{setting}:{nameof(MaxAge)} is {age}; it must be {s_leastAge} to {s_longestAge}");
        if (DelayReportAfter is { } delay && (delay < TimeSpan.Zero || delay > s_longestAge))
            failures.Add($"{setting}:{nameof(DelayReportAfter)} is {delay}; it must be {TimeSpan.Zero} to {s_longestAge}");
        Uncertain.Validate($"{setting}:{nameof(Uncertain)}", failures);
    }
}

/// <summary>
/// What follows an attempt that ended without an answer to the final dot: perhaps a copy was delivered, and each further attempt may be
/// another one.
/// </summary>
public sealed class UncertainOptions
{
    public const int DefaultMost = 3;
    public const UncertainEnd DefaultThen = UncertainEnd.Hold;

    /// <summary>Nobody would call more a bound.</summary>
    private const int LargestMost = 100;

    public static readonly TimeSpan[] DefaultSteps = [TimeSpan.FromMinutes(15), TimeSpan.FromHours(1), TimeSpan.FromHours(4)];

    /// <summary>
    /// Pauses after such attempts, in order; the last one repeats. Default 15 m, 1 h, 4 h: longer than after a refusal, because a far end that leaves
    /// without an answer does so again soon after.
    /// </summary>
    public IReadOnlyList<TimeSpan> Steps { get; set; } = [];

    /// <summary>So many of them there are at most for a recipient, which is the most copies it can get. 1: nothing is ever sent twice. Default 3.</summary>
    public int? Most { get; set; }

    /// <summary>What becomes of the recipient after the last of them. Default Hold.</summary>
    public UncertainEnd? Then { get; set; }

    public bool IsSaid => Steps.Count > 0 || Most is not null || Then is not null;

    public void Validate(string setting, List<string> failures)
    {
        RetryStepsRule.Validate($"{setting}:{nameof(Steps)}", Steps, failures);
        if (Most is < 1 or > LargestMost)
            failures.Add($"{setting}:{nameof(Most)} is {Most}; it must be 1 to {LargestMost}");
    }
}

/// <summary>What becomes of a recipient of whom nobody knows whether it was delivered, and that is not tried again.</summary>
public enum UncertainEnd
{
    /// <summary>It waits for an operator.</summary>
    Hold,

    /// <summary>Its sender is told that it may have arrived, and is not tried again.</summary>
    Report,
}

/// <summary>What pauses there may be between attempts.</summary>
public static class RetryStepsRule
{
    private static readonly TimeSpan s_leastStep = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan s_longestStep = TimeSpan.FromDays(60);

    public static void Validate(string setting, IReadOnlyList<TimeSpan> steps, List<string> failures)
    {
        for (var i = 0; i < steps.Count; i++)
        {
            if (steps[i] < s_leastStep || steps[i] > s_longestStep)
                failures.Add($"{setting}:{i} is {steps[i]}; it must be 00:00:00.001 to {s_longestStep}");
        }
    }
}
