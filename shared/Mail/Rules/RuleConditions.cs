using System.Globalization;

namespace MailPipeline.Mail;

/// <summary>A recipient that waits, as rules ask about it.</summary>
/// <param name="Domain">The name of its domain's queue.</param>
/// <param name="Site">Where the domain's mail goes; empty: not known.</param>
/// <param name="Sender">The reverse-path that its hosts are given; empty: the null one.</param>
/// <param name="Flow">See <see cref="FlowKey"/>.</param>
/// <param name="LastReply">Empty: it was not tried.</param>
public readonly record struct RuleSubject(
    string Domain, string Site, string Sender, string Flow, string Address, string Original, long MessageId, DateTimeOffset AcceptedAt, string LastReply)
{
    public static RuleSubject Of(Recipient recipient, string domain, string site, string lastReply) => new(
        domain, site, recipient.Sender, recipient.Flow, recipient.Address, recipient.Original, recipient.MessageId, recipient.AcceptedAt, lastReply);
}

/// <summary>
/// Which mail a rule is about: all that is asked for must be so; what is null or empty asks for nothing. The one place where that is judged, for whoever hands out, counts or
/// explains.
/// </summary>
public sealed record RuleConditions
{
    public NamePattern? Domain { get; init; }

    /// <summary>A host to which the domain's mail goes.</summary>
    public NamePattern? Site { get; init; }

    /// <summary>The reverse-path.</summary>
    public NamePattern? Sender { get; init; }

    /// <summary>The domain of the reverse-path, also of one that was rewritten where an alias led on.</summary>
    public NamePattern? SenderDomain { get; init; }

    /// <summary>Who was logged in.</summary>
    public NamePattern? Login { get; init; }

    /// <summary>Where it goes, or where it was addressed before aliases.</summary>
    public NamePattern? Recipient { get; init; }

    public long? MessageId { get; init; }

    /// <summary>At least so old.</summary>
    public TimeSpan? Older { get; init; }

    /// <summary>Part of the last reply; case does not count.</summary>
    public string Reply { get; init; } = "";

    public bool IsEmpty => this == new RuleConditions();

    /// <summary>It asks for nothing but where mail goes: all of a domain fits, or nothing.</summary>
    public bool IsOfDestinations => this == new RuleConditions { Domain = Domain, Site = Site };

    public bool FitsDestination(string domain, string site) => Domain?.FitsDomain(domain) != false && Site?.FitsSite(site) != false;

    /// <summary>All that it asks for is so.</summary>
    public bool Fits(in RuleSubject subject, DateTimeOffset now) =>
        FitsBeforeReply(subject, now) && (Reply.Length == 0 || subject.LastReply.Contains(Reply, StringComparison.OrdinalIgnoreCase));

    /// <summary>The same but for the last reply, which has to be looked up.</summary>
    public bool FitsBeforeReply(in RuleSubject subject, DateTimeOffset now) =>
        FitsDestination(subject.Domain, subject.Site)
        && (MessageId is not { } id || id == subject.MessageId)
        && (Older is not { } older || now - subject.AcceptedAt >= older)
        && Login?.FitsAccount(subject.Flow) != false
        && Sender?.FitsAddress(subject.Sender) != false
        && (SenderDomain is not { } domain || FitsSenderDomain(domain, subject))
        && (Recipient is not { } recipient || recipient.FitsAddress(subject.Address) || (subject.Original.Length > 0 && recipient.FitsAddress(subject.Original)));

    // What nobody logged in for is a flow by the domain that was sent from, however the reverse-path was rewritten since.
    private static bool FitsSenderDomain(NamePattern domain, in RuleSubject subject) =>
        (subject.Sender.Length > 0 && domain.FitsAddress(subject.Sender))
        || (subject.Flow.Length > 0 && !subject.Flow.Contains('@', StringComparison.Ordinal) && domain.FitsAddress(subject.Flow));

    public override string ToString()
    {
        var parts = new List<string>();
        Add("domain", Domain?.Text);
        Add("site", Site?.Text);
        Add("sender", Sender?.Text);
        Add("sender-domain", SenderDomain?.Text);
        Add("account", Login?.Text);
        Add("recipient", Recipient?.Text);
        Add("message", MessageId is { } id ? MessageIds.ToText(id) : null);
        Add("older", Older is { } older ? AgeText(older) : null);
        Add("reply", Reply.Length > 0 ? $"'{Reply}'" : null);
        return string.Join(", ", parts);

        void Add(string name, string? value)
        {
            if (value is not null)
                parts.Add($"{name} {value}");
        }
    }

    /// <summary>As it is typed: "2d", "1h30m".</summary>
    private static string AgeText(TimeSpan age)
    {
        var text = "";
        foreach (var (value, unit) in ((int, string)[])[(age.Days, "d"), (age.Hours, "h"), (age.Minutes, "m"), (age.Seconds, "s")])
        {
            if (value > 0)
                text += string.Create(CultureInfo.InvariantCulture, $"{value}{unit}");
        }
        return text.Length > 0 ? text : string.Create(CultureInfo.InvariantCulture, $"{age.TotalMilliseconds:0}ms");
    }
}
