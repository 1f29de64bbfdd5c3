namespace MailPipeline.Mail;

/// <summary>What rules say of the mail of one domain.</summary>
/// <param name="Whole">Keeps all of it back; null: none does.</param>
/// <param name="Parts">Keep back what of it fits.</param>
/// <param name="Redirects">Lead what of it fits elsewhere.</param>
/// <param name="Rate">Messages a second; null: no rule says so.</param>
public sealed record DomainRules(QueueRule? Whole, IReadOnlyList<QueueRule> Parts, IReadOnlyList<QueueRule> Redirects, double? Rate)
{
    public static readonly DomainRules None = new(null, [], [], null);

    /// <summary>What was last replied to a recipient has to be known.</summary>
    public bool NeedsReply { get; } = Parts.Concat(Redirects).Any(rule => rule.Conditions.Reply.Length > 0);

    /// <summary>Single recipients have to be looked at.</summary>
    public bool IsOfParts => Parts.Count + Redirects.Count > 0;

    /// <summary>The rule that keeps a recipient of the domain back; null: none does.</summary>
    public QueueRule? FindHold(in RuleSubject subject, DateTimeOffset now) =>
        Whole is { Act: RuleAct.Hold } ? Whole : First(Parts, subject, now) ?? Whole;

    /// <summary>The rule that leads it elsewhere; null: none does.</summary>
    public QueueRule? FindRedirect(in RuleSubject subject, DateTimeOffset now) => First(Redirects, subject, now);

    private static QueueRule? First(IReadOnlyList<QueueRule> rules, in RuleSubject subject, DateTimeOffset now)
    {
        foreach (var rule in rules)
        {
            if (rule.Conditions.Fits(subject, now))
                return rule;
        }
        return null;
    }
}

/// <summary>The rules that stand at one moment. Never changes; where a rule has come, changed or ended there is another.</summary>
public sealed class RuleSet
{
    public static readonly RuleSet Empty = new(0, [], DateTimeOffset.MinValue);

    private readonly QueueRule[] _rules;

    /// <param name="version">Of the rules, as storage counts them.</param>
    /// <param name="rules">All that there are; those that do not stand now are left out.</param>
    public RuleSet(long version, IEnumerable<QueueRule> rules, DateTimeOffset now)
    {
        Version = version;
        _rules = [.. rules.Where(rule => rule.IsStanding && rule.Counts(now)).OrderBy(rule => rule.Act).ThenBy(rule => rule.Name, StringComparer.Ordinal)];
        NextEnd = _rules.Min(rule => rule.Until);
    }

    public long Version { get; }

    /// <summary>When the first of them ends; null: none has an end.</summary>
    public DateTimeOffset? NextEnd { get; }

    public int Count => _rules.Length;

    /// <summary>Some of them keep mail back.</summary>
    public bool KeepsBack => Array.Exists(_rules, rule => rule.KeepsBack);

    /// <summary>Where a domain's mail goes has to be known.</summary>
    public bool NeedsSite => Array.Exists(_rules, rule => rule.Conditions.Site is not null);

    /// <summary>Those that keep back what fits, and not all of a domain.</summary>
    public IEnumerable<QueueRule> Parts => _rules.Where(rule => rule.KeepsBack && !rule.Conditions.IsOfDestinations);

    /// <summary>What they say of a domain; <see cref="DomainRules.None"/> itself where they say nothing.</summary>
    /// <param name="site">Where its mail goes; empty: not known.</param>
    public DomainRules OfDomain(string domain, string site)
    {
        if (_rules.Length == 0)
            return DomainRules.None;
        QueueRule? whole = null;
        List<QueueRule>? parts = null;
        List<QueueRule>? redirects = null;
        double? rate = null;
        foreach (var rule in _rules)
        {
            if (!rule.Conditions.FitsDestination(domain, site))
                continue;
            if (rule.Act == RuleAct.Rate)
                rate = rule.Conditions.Site is null && !(rate < rule.Rate) ? rule.Rate : rate;
            else if (rule.Act == RuleAct.Redirect)
                (redirects ??= []).Add(rule);
            else if (rule.Conditions.IsOfDestinations)
                whole ??= rule;
            else
                (parts ??= []).Add(rule);
        }
        return whole is null && parts is null && redirects is null && rate is null
            ? DomainRules.None : new DomainRules(whole, parts ?? [], redirects ?? [], rate);
    }

    /// <summary>Messages a second that rules let a site have, for all its domains together; null: no rule says so.</summary>
    public double? RateOfSite(string site)
    {
        double? rate = null;
        foreach (var rule in _rules)
        {
            if (rule.Act == RuleAct.Rate && rule.Conditions.Site?.FitsSite(site) == true && !(rate < rule.Rate))
                rate = rule.Rate;
        }
        return rate;
    }
}
