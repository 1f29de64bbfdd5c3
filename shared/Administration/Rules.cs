using System.Globalization;
using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>
/// Rules about mail that waits, by name: hold, suspend, redirect and rate stand until they are removed or end; release, retry, bounce and expire are done once, to what waits now.
/// </summary>
public sealed class Rules(RuleStore store, RuleCounter counter, TimeProvider time)
{
    public const int MostText = 200;
    public const int MostWhy = 200;
    private const int MostName = 64;
    private const double LeastRate = 0.001;
    private const double MostRate = 100_000;

    /// <summary>Whoever adds a rule waits so long to hear what it fits.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(2);

    /// <summary>So long for all of a list.</summary>
    private static readonly TimeSpan s_listPatience = TimeSpan.FromSeconds(1);

    /// <summary>All of them, and what each fits now, as far as that can be told within a second or two.</summary>
    public async Task<RulesFound> ListAsync(CancellationToken cancellation)
    {
        var rules = await store.ListAsync(cancellation);
        var started = time.GetTimestamp();
        var counted = new List<CountedRule>(rules.Count);
        foreach (var rule in rules)
        {
            var left = s_listPatience - time.GetElapsedTime(started);
            counted.Add(new(rule, rule.Counts(time.GetUtcNow()) && left > TimeSpan.Zero ? await CountAsync(rule, left, cancellation) : null));
        }
        return new(counted, time.GetUtcNow());
    }

    /// <returns><see cref="RuleFound"/>, or why not.</returns>
    public async Task<RuleResult> FindAsync(string name, CancellationToken cancellation) => await store.FindAsync(name, cancellation) is { } rule
        ? new RuleFound(new(rule, rule.Counts(time.GetUtcNow()) ? await CountAsync(rule, s_patience, cancellation) : null), time.GetUtcNow())
        : new NoSuchRule(name);

    /// <param name="isDryRun">Nothing is written: it is only counted.</param>
    /// <returns><see cref="RuleAdded"/>, or <see cref="RuleTried"/>, or why not.</returns>
    public async Task<RuleResult> AddAsync(string name, RuleAct act, RuleDraft draft, bool isDryRun, OperatorIdentity by, CancellationToken cancellation)
    {
        if (!IsName(name))
            return new NotARule("NAME", name, $"1 to {MostName} letters, digits, '.', '_' or '-'");
        if (Compose(new QueueRule(name, act, new RuleConditions(), ""), draft, out var rule) is { } refused)
            return refused;
        var count = await CountAsync(rule, s_patience, cancellation);
        if (isDryRun)
            return new RuleTried(new(rule with { SetBy = by.Name, Host = by.Host }, count));
        if (await store.FindAsync(name, cancellation) is not null)
            return new RuleAlreadyThere(name);
        // What comes afterwards is nothing that it would be done to.
        if (!rule.IsStanding && count is { Recipients: 0, IsExact: true })
            return new RuleFitsNothing(new(rule, count));
        var (end, added) = await store.AddAsync(rule, by);
        return end switch
        {
            RuleAddition.NameTaken => new RuleAlreadyThere(name),
            RuleAddition.TooMany => new TooManyRules(RuleStore.Most),
            _ => new RuleAdded(new(added, count)),
        };
    }

    /// <summary>What is said takes the place of what the rule said of that; the rest of it stays.</summary>
    /// <returns><see cref="RuleChanged"/>, or why not.</returns>
    public async Task<RuleResult> ChangeAsync(string name, RuleDraft draft, bool endsNever, OperatorIdentity by, CancellationToken cancellation)
    {
        if (await store.FindAsync(name, cancellation) is not { } before)
            return new NoSuchRule(name);
        if (!before.IsStanding)
            return new RuleIsDoneOnce(before);
        if (Compose(before with { Until = endsNever ? null : before.Until, EndedAt = null }, draft, out var rule) is { } refused)
            return refused;
        if (!await store.ChangeAsync(before, rule, by))
            return new RuleChangedMeanwhile(name);
        return new RuleChanged(new(rule, await CountAsync(rule, s_patience, cancellation)), before);
    }

    /// <summary>What it kept back goes on as it was; what it has done stays done.</summary>
    /// <returns><see cref="RuleRemoved"/>, or why not.</returns>
    public async Task<RuleResult> RemoveAsync(string name, OperatorIdentity by) =>
        await store.RemoveAsync(name, by) is { } removed ? new RuleRemoved(removed) : new NoSuchRule(name);

    private Task<RuleCount> CountAsync(QueueRule rule, TimeSpan patience, CancellationToken cancellation) =>
        counter.CountAsync(rule.Conditions, held: rule.Act == RuleAct.Release, patience, cancellation);

    /// <summary>Null, and the rule; or what is wrong with what was typed.</summary>
    private NotARule? Compose(QueueRule before, RuleDraft draft, out QueueRule rule)
    {
        rule = before;
        var asked = before.Conditions;
        if (Pattern("--domain", draft.Domain, NamePattern.TryParseDomain, NamePattern.DomainForm, ref asked, (conditions, name) => conditions with { Domain = name }) is { } domain)
            return domain;
        if (Pattern("--site", draft.Site, NamePattern.TryParseDomain, "a host, '*.' and a domain, or '*'", ref asked, (conditions, name) => conditions with { Site = name }) is { } site)
            return site;
        if (Pattern("--sender", draft.Sender, TryParseSender, NamePattern.SenderForm, ref asked, (conditions, name) => conditions with { Sender = name }) is { } sender)
            return sender;
        if (Pattern("--sender-domain", draft.SenderDomain, NamePattern.TryParseDomain, NamePattern.DomainForm, ref asked, (conditions, name) => conditions with { SenderDomain = name }) is { } from)
            return from;
        if (Pattern("--account", draft.Account, TryParseAddress, NamePattern.AddressForm, ref asked, (conditions, name) => conditions with { Account = name }) is { } account)
            return account;
        if (Pattern("--recipient", draft.Recipient, TryParseAddress, NamePattern.AddressForm, ref asked, (conditions, name) => conditions with { Recipient = name }) is { } recipient)
            return recipient;
        if (draft.Message is { } typed)
        {
            if (!MessageIds.TryParse(typed, out var id))
                return new("--message", typed, "the id of a message, as its 250 reply has it");
            asked = asked with { MessageId = id };
        }
        asked = asked with { Older = draft.Older ?? asked.Older, Reply = draft.Reply ?? asked.Reply };
        if (asked.Older is { } older && older <= TimeSpan.Zero)
            return new("--older", older.ToString(), "longer than nothing");
        if (asked.Reply.Length > MostText || asked.Reply.Any(char.IsControl))
            return new("--reply", draft.Reply!, $"one line of up to {MostText} characters");
        if (asked.IsEmpty)
            return new("which mail is meant", "", "said by --domain, --site, --sender, --sender-domain, --account, --recipient, --message, --older or --reply; '--domain *' is all of it");
        rule = before with { Conditions = asked, Why = draft.Why ?? before.Why, Until = draft.Until ?? before.Until };
        if (rule.Why.Length is 0 or > MostWhy || rule.Why.Any(char.IsControl))
            return new("--why", rule.Why, $"one line of 1 to {MostWhy} characters, for who finds the rule later");
        return Act(draft, ref rule);
    }

    /// <summary>What belongs to the act alone.</summary>
    private NotARule? Act(RuleDraft draft, ref QueueRule rule)
    {
        var word = rule.Act.ToString().ToLowerInvariant();
        if (!rule.IsStanding && draft.Until is not null)
            return new("--until or --for", word, "of an act that stands (hold, suspend, redirect, rate): the others are done once");
        if (rule.Until is { } until && until <= time.GetUtcNow())
            return new("--until", until.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture), "a time to come");
        if (rule.Act is RuleAct.Suspend or RuleAct.Rate && !rule.Conditions.IsOfDestinations)
            return new($"'{word}' asks for", rule.Conditions.ToString(), "of destinations, by --domain or --site alone; 'hold' takes the others");
        if (rule.Act == RuleAct.Rate && rule.Conditions is { Domain: not null, Site: not null })
            return new("'rate' asks for", rule.Conditions.ToString(), "of --domain, for each by itself, or of --site, for all domains there together");
        if (draft.Text is { } text)
        {
            if (rule.Act is not (RuleAct.Bounce or RuleAct.Expire))
                return new("--text", text, $"with 'bounce' or 'expire' only; this is '{word}'");
            if (text.Length > MostText || !text.All(c => c is >= ' ' and <= '~'))
                return new("--text", text, $"one line of up to {MostText} characters of ASCII");
            rule = rule with { Text = text };
        }
        if (draft.To is { } to)
        {
            if (rule.Act != RuleAct.Redirect)
                return new("--to", to, $"with 'redirect' only; this is '{word}'");
            if (!NextHop.TryParse(to, out var hop) || hop.IsSocket)
                return new("--to", to, "a host, host:port, an address, [address]:port, or one of these behind 'lmtp:'");
            rule = rule with { Text = hop.ToString() };
        }
        if (rule.Act == RuleAct.Redirect && rule.Text.Length == 0)
            return new("--to", "", "said with 'redirect': a host, host:port, an address, or [address]:port");
        if (draft.PerSecond is { } rate)
        {
            if (rule.Act != RuleAct.Rate)
                return new("--per-second", Number(rate), $"with 'rate' only; this is '{word}'");
            rule = rule with { Rate = rate };
        }
        return rule.Act == RuleAct.Rate && rule.Rate is not (>= LeastRate and <= MostRate)
            ? new("--per-second", draft.PerSecond is { } typed ? Number(typed) : "", string.Create(CultureInfo.InvariantCulture, $"{LeastRate} to {MostRate} messages")) : null;
    }

    private delegate bool Parse(string typed, out NamePattern? pattern);

    private static NotARule? Pattern(
        string option, string? typed, Parse parse, string allowed, ref RuleConditions conditions, Func<RuleConditions, NamePattern, RuleConditions> with)
    {
        if (typed is null)
            return null;
        if (!parse(typed, out var pattern))
            return new(option, typed, allowed);
        conditions = with(conditions, pattern!);
        return null;
    }

    private static bool TryParseSender(string typed, out NamePattern? pattern) => NamePattern.TryParseAddress(typed, out pattern, allowsNull: true);

    private static bool TryParseAddress(string typed, out NamePattern? pattern) => NamePattern.TryParseAddress(typed, out pattern);

    private static bool IsName(string name) =>
        name.Length is > 0 and <= MostName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') && !name.StartsWith('-');

    private static string Number(double value) => value.ToString(CultureInfo.InvariantCulture);
}
