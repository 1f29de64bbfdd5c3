namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// One thing that is looked after from storage, again and again, by one process of the cluster: what was lost on the way, or would grow
/// without end. <see cref="Duties"/> lists them.
/// </summary>
internal interface IDuty
{
    /// <summary>The key of the grain that runs the duty, and the duty's name in metrics and in the log.</summary>
    string Name { get; }

    DutyPace Pace { get; }

    /// <summary>One round. False: there was nothing to do, or only to look; such rounds are kept at their share of the time.</summary>
    Task<bool> RoundAsync();
}

/// <summary>How often a duty has its round.</summary>
/// <param name="Interval">From the beginning of a round to the next.</param>
/// <param name="Share">From 0 to 1: of the time, for rounds that were in vain. 1: they pause for nothing but the interval.</param>
/// <param name="Longest">The pause that a round in vain never makes longer, whatever the share; null: a minute.</param>
internal readonly record struct DutyPace(TimeSpan Interval, double Share = 1, TimeSpan? Longest = null)
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromMinutes(1);

    /// <summary>From the end of a round that was in vain to the next.</summary>
    public TimeSpan PauseAfter(TimeSpan took)
    {
        var pause = took * ((1 / Share) - 1);
        var longest = Longest ?? s_longestPause;
        return pause < Interval ? Interval : pause > longest ? longest : pause;
    }
}
