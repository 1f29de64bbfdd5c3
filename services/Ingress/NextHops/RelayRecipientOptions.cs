namespace MailPipeline.Ingress.NextHops;

/// <summary>
/// Recipients of domains that we relay for and whose next hop is asked about them ("mail domain add --relay HOP --recipients verify"). Section
/// "Ingress:Checks:RelayRecipient".
/// </summary>
public sealed class RelayRecipientOptions
{
    /// <summary>What becomes of a recipient of whom the next hop says nothing. Default Defer, as Postfix's unverified_recipient_defer_code.</summary>
    public AwayPolicy WhenAway { get; set; }

    /// <summary>
    /// How long a client waits for the answer; then it hears what <see cref="WhenAway"/> says, and the answer is there for its next try. Default
    /// 6 s, as Postfix's address_verify_poll_count and _delay together.
    /// </summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(6);

    /// <summary>How long a recipient counts as taken. Default 31 d, as Postfix's address_verify_positive_expire_time.</summary>
    public TimeSpan KeepTaken { get; set; } = TimeSpan.FromDays(31);

    /// <summary>
    /// From when on a recipient that is taken is asked about again, while nobody waits for it. Default 7 d, as Postfix's
    /// address_verify_positive_refresh_time.
    /// </summary>
    public TimeSpan RefreshTaken { get; set; } = TimeSpan.FromDays(7);

    /// <summary>How long a recipient counts as refused. Default 3 h, as Postfix's address_verify_negative_refresh_time.</summary>
    public TimeSpan KeepRefused { get; set; } = TimeSpan.FromHours(3);

    /// <summary>Recipients remembered as taken, and as many as refused; the oldest are forgotten. Default 50,000: some megabytes.</summary>
    public int MaxRemembered { get; set; } = 50_000;

    /// <summary>Questions under way at once. Default 20; others wait for their turn.</summary>
    public int MaxQuestions { get; set; } = 20;

    /// <summary>Questions under way at once about one domain. Default 5: the next hop is not there for us alone.</summary>
    public int MaxQuestionsPerDomain { get; set; } = 5;

    /// <summary>Questions about one domain in a minute, beyond which nothing is known. Default 300: who tries names gets no further.</summary>
    public int MaxQuestionsPerMinute { get; set; } = 300;

    internal void Validate(string setting, List<string> failures)
    {
        if (!Enum.IsDefined(WhenAway))
            failures.Add($"{setting}:WhenAway is {WhenAway}; it must be one of {string.Join(", ", Enum.GetNames<AwayPolicy>())}");
        RequireTime(nameof(MaxWait), MaxWait, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(20));
        RequireTime(nameof(KeepTaken), KeepTaken, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365));
        RequireTime(nameof(RefreshTaken), RefreshTaken, TimeSpan.FromSeconds(1), KeepTaken);
        RequireTime(nameof(KeepRefused), KeepRefused, TimeSpan.FromSeconds(1), TimeSpan.FromDays(7));
        RequireNumber(nameof(MaxRemembered), MaxRemembered, 1_000_000);
        RequireNumber(nameof(MaxQuestions), MaxQuestions, 10_000);
        RequireNumber(nameof(MaxQuestionsPerDomain), MaxQuestionsPerDomain, 10_000);
        RequireNumber(nameof(MaxQuestionsPerMinute), MaxQuestionsPerMinute, 1_000_000);

        void RequireTime(string name, TimeSpan time, TimeSpan least, TimeSpan most)
        {
            if (time < least || time > most)
                failures.Add($"{setting}:{name} is {time}; it must be {least} to {most}");
        }

        void RequireNumber(string name, int number, int most)
        {
            if (number < 1 || number > most)
                failures.Add($"{setting}:{name} is {number}; it must be 1 to {most}");
        }
    }
}

/// <summary>What becomes of a recipient while nobody can say whether he is there.</summary>
public enum AwayPolicy
{
    /// <summary>450 4.1.1: the sender's host tries again. Not said to who may relay.</summary>
    Defer,

    /// <summary>He is taken; whoever is not there after all is told of by a report.</summary>
    Accept,
}
