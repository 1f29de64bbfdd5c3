namespace MailPipeline.Mail;

/// <summary>What one reply means, and what follows it.</summary>
public sealed class ReplyOptions
{
    public static readonly ReplyClass[] Classes = [.. Enum.GetValues<ReplyClass>().Where(known => known != ReplyClass.None)];

    /// <summary>Who says it: a host by its name, "*.example.org" (all below it) or "*". Default: anybody.</summary>
    public string Host { get; set; } = "";

    /// <summary>Words that are in the reply, or in our own where nobody replied, in whatever case. Default: any.</summary>
    public string Text { get; set; } = "";

    /// <summary>What it is about. To be given.</summary>
    public ReplyClass? Class { get; set; }

    /// <summary>What follows, whatever the reply says itself. Default: as it says.</summary>
    public ReplyThen? Then { get; set; }

    /// <summary>Pauses after it, before those of senders, destinations and settings. Default: these.</summary>
    public IReadOnlyList<TimeSpan> RetrySteps { get; set; } = [];

    public void Validate(string setting, List<string> failures)
    {
        if (Host.Length == 0 && Text.Length == 0)
            failures.Add($"{setting} fits every reply; it must have {nameof(Host)} or {nameof(Text)}");
        if (Host.Length > 0 && !IsHost(Host))
            failures.Add($"{setting}:{nameof(Host)} is '{Host}'; it must be the name of a host, '*.' and a name, or '*'");
        if (Class is null or ReplyClass.None)
            failures.Add($"{setting}:{nameof(Class)} is {(Class is null ? "missing" : $"'{Class}'")}; it must be one of {string.Join(", ", Classes)}");
        if (Then == ReplyThen.Bounce && RetrySteps.Count > 0)
            failures.Add($"{setting}:{nameof(RetrySteps)} has no use beside {nameof(Then)} {nameof(ReplyThen.Bounce)}");
        RetryStepsRule.Validate($"{setting}:{nameof(RetrySteps)}", RetrySteps, failures);
    }

    private static bool IsHost(string pattern)
    {
        if (pattern == "*")
            return true;
        var name = pattern.StartsWith("*.", StringComparison.Ordinal) ? pattern[2..] : pattern;
        return name.Length is > 0 and <= 255 && !name.StartsWith('.') && name.All(c => !char.IsWhiteSpace(c) && c is not ('*' or '@' or ',' or '['));
    }
}

/// <summary>What follows a reply.</summary>
public enum ReplyThen
{
    /// <summary>It is tried again, though the reply says that there is no use.</summary>
    Retry,

    /// <summary>It is given up, though the reply says to try again.</summary>
    Bounce,
}
