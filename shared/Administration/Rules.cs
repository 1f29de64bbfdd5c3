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
    public const int MostName = 64;
    public const double LeastRate = 0.001;
    public const double MostRate = 100_000;

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
            return new NotARule(RuleFault.Name, act, name);
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
        if (Conditions(before, draft, out var asked) is { } wrong)
            return wrong;
        rule = before with { Conditions = asked, Why = draft.Why ?? before.Why, Until = draft.Until ?? before.Until };
        if (asked.IsEmpty)
            return new(RuleFault.NoConditions, rule.Act, "");
        if (rule.Why.Length is 0 or > MostWhy || rule.Why.Any(char.IsControl))
            return new(RuleFault.Why, rule.Act, rule.Why);
        return OfAct(draft, ref rule);
    }

    private static NotARule? Conditions(QueueRule before, RuleDraft draft, out RuleConditions asked)
    {
        asked = before.Conditions;
        foreach (var (fault, typed, parse, with) in ((RuleFault, string?, Parse, Func<RuleConditions, NamePattern, RuleConditions>)[])
        [
            (RuleFault.Domain, draft.Domain, NamePattern.TryParseDomain, (conditions, name) => conditions with { Domain = name }),
            (RuleFault.Site, draft.Site, NamePattern.TryParseDomain, (conditions, name) => conditions with { Site = name }),
            (RuleFault.Sender, draft.Sender, TryParseSender, (conditions, name) => conditions with { Sender = name }),
            (RuleFault.SenderDomain, draft.SenderDomain, NamePattern.TryParseDomain, (conditions, name) => conditions with { SenderDomain = name }),
            (RuleFault.Account, draft.Account, TryParseAddress, (conditions, name) => conditions with { Login = name }),
            (RuleFault.Recipient, draft.Recipient, TryParseAddress, (conditions, name) => conditions with { Recipient = name }),
        ])
        {
            if (typed is null)
                continue;
            if (!parse(typed, out var pattern))
                return new(fault, before.Act, typed);
            asked = with(asked, pattern!);
        }
        if (draft.Message is { } message)
        {
            if (!MessageIds.TryParse(message, out var id))
                return new(RuleFault.Message, before.Act, message);
            asked = asked with { MessageId = id };
        }
        asked = asked with { Older = draft.Older ?? asked.Older, Reply = draft.Reply ?? asked.Reply };
        if (asked.Older <= TimeSpan.Zero)
            return new(RuleFault.Older, before.Act, asked.Older.Value.ToString());
        return asked.Reply.Length > MostText || asked.Reply.Any(char.IsControl) ? new(RuleFault.Reply, before.Act, asked.Reply) : null;
    }

    /// <summary>What belongs to the act alone.</summary>
    private NotARule? OfAct(RuleDraft draft, ref QueueRule rule)
    {
        var act = rule.Act;
        if (!rule.IsStanding && draft.Until is not null)
            return new(RuleFault.EndOfDoneOnce, act, "");
        if (rule.Until is { } until && until <= time.GetUtcNow())
            return new(RuleFault.EndPassed, act, until.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture));
        if (act is RuleAct.Suspend or RuleAct.Rate && !rule.Conditions.IsOfDestinations)
            return new(RuleFault.NotOfDestinations, act, rule.Conditions.ToString());
        if (act == RuleAct.Rate && rule.Conditions is { Domain: not null, Site: not null })
            return new(RuleFault.DomainAndSite, act, rule.Conditions.ToString());
        return OfText(draft, ref rule) ?? OfNextHop(draft, ref rule) ?? OfRate(draft, ref rule);
    }

    private static NotARule? OfText(RuleDraft draft, ref QueueRule rule)
    {
        if (draft.Text is not { } text)
            return null;
        if (rule.Act is not (RuleAct.Bounce or RuleAct.Expire))
            return new(RuleFault.TextOfOther, rule.Act, text);
        rule = rule with { Text = text };
        return text.Length > MostText || !text.All(c => c is >= ' ' and <= '~') ? new(RuleFault.Text, rule.Act, text) : null;
    }

    private static NotARule? OfNextHop(RuleDraft draft, ref QueueRule rule)
    {
        if (draft.To is { } to)
        {
            if (rule.Act != RuleAct.Redirect)
                return new(RuleFault.NextHopOfOther, rule.Act, to);
            // A socket is on one machine, and workers are on several.
            if (!NextHop.TryParse(to, out var hop) || hop.IsSocket)
                return new(RuleFault.NextHop, rule.Act, to);
            rule = rule with { Text = hop.ToString() };
        }
        return rule is { Act: RuleAct.Redirect, Text.Length: 0 } ? new(RuleFault.NextHop, rule.Act, "") : null;
    }

    private static NotARule? OfRate(RuleDraft draft, ref QueueRule rule)
    {
        var typed = draft.PerSecond is { } rate ? rate.ToString(CultureInfo.InvariantCulture) : "";
        if (draft.PerSecond is { } perSecond)
        {
            if (rule.Act != RuleAct.Rate)
                return new(RuleFault.RateOfOther, rule.Act, typed);
            rule = rule with { Rate = perSecond };
        }
        return rule is { Act: RuleAct.Rate, Rate: not (>= LeastRate and <= MostRate) } ? new(RuleFault.Rate, rule.Act, typed) : null;
    }

    private delegate bool Parse(string typed, out NamePattern? pattern);

    private static bool TryParseSender(string typed, out NamePattern? pattern) => NamePattern.TryParseAddress(typed, out pattern, allowsNull: true);

    private static bool TryParseAddress(string typed, out NamePattern? pattern) => NamePattern.TryParseAddress(typed, out pattern);

    private static bool IsName(string name) =>
        name.Length is > 0 and <= MostName && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') && !name.StartsWith('-');
}
