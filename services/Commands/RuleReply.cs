using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Rules about mail that waits, in words and as JSON.</summary>
internal static class RuleReply
{
    public static Reply Of(RuleResult result, DateTimeOffset now) => result switch
    {
        RuleFound { Rule: var rule } => Reply.Show("rule", [.. Lines(rule, now).Select(line => new LinePart(line))], json => Write(json, rule, now)),
        RuleAdded { Rule: var rule } => Reply.Say(result.Status, "ruleAdded", Added(rule), json => Write(json, rule, now)),
        RuleTried { Rule: var rule } => Reply.Say(
            result.Status, "ruleTried", $"{OneLine(rule.Rule.Summary)}. {Fits(rule)}. Nothing was changed", json => Write(json, rule, now)),
        RuleChanged { Rule: var rule, Before: var before } => Reply.Say(
            result.Status, "ruleChanged", $"{rule.Rule.Name} is now '{OneLine(rule.Rule.Summary)}'{End(rule.Rule)}, and was '{OneLine(before.Summary)}'{End(before)}. {Fits(rule)}",
            json => Write(json, rule, now)),
        RuleRemoved { Rule: var rule } => Reply.Say(
            result.Status, "ruleRemoved",
            rule.IsStanding ? $"{rule.Name} is removed ({OneLine(rule.Summary)}); within a second what it changed goes on as it was"
                : $"{rule.Name} is removed ({OneLine(rule.Summary)}); it was done to {Recipients(rule.Done)}, which stays so",
            json => Write(json, new(rule, null), now)),
        RuleFitsNothing { Rule: var rule } => Reply.Say(
            result.Status, "ruleFitsNothing", $"Nothing was done: nothing that waits fits '{OneLine(rule.Rule.Summary)}'", json => Write(json, rule, now)),
        NoSuchRule { Name: var name } => Reply.Say(
            result.Status, "noSuchRule", $"There is no rule '{OneLine(name)}'; 'rule list' shows them", json => json.WriteString("name", name)),
        RuleAlreadyThere { Name: var name } => Reply.Say(
            result.Status, "ruleAlreadyThere", $"There is a rule '{name}' already; 'rule change' changes it, 'rule remove' ends it", json => json.WriteString("name", name)),
        TooManyRules { Most: var most } => Reply.Say(
            result.Status, "tooManyRules", $"There are {Number(most)} rules, as many as there may be; 'rule remove' ends one", json => json.WriteNumber("most", most)),
        RuleChangedMeanwhile { Name: var name } => Reply.Say(
            result.Status, "ruleChangedMeanwhile", $"Somebody else has changed '{name}' just now, or it has ended; look at it and repeat the command", json => json.WriteString("name", name)),
        RuleIsDoneOnce { Rule: var rule } => Reply.Say(
            result.Status, "ruleIsDoneOnce", $"{rule.Name} is done once ({OneLine(rule.Summary)}) and cannot be changed; 'rule remove' ends it", json => json.WriteString("name", rule.Name)),
        NotARule wrong => Reply.Say(result.Status, "notARule", Wrong(wrong), json =>
        {
            json.WriteString("fault", Json.Name(wrong.Fault));
            json.WriteString("typed", wrong.Typed);
        }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    public static Reply Of(RulesFound found) => Reply.Show(
        "rules", [.. Parts(found)], json => json.WriteAll("rules", found.Rules, rule => Write(json, rule, found.Now)));

    /// <summary>The option, what was typed there, and what it must be.</summary>
    private static string Wrong(NotARule wrong)
    {
        var word = Json.Name(wrong.Act);
        var text = $"one line of 1 to {Number(Rules.MostText)} characters";
        var hop = "a host, host:port, an address, [address]:port, or one of these behind 'lmtp:'";
        var (option, allowed) = wrong.Fault switch
        {
            RuleFault.Name => ("NAME", $"1 to {Number(Rules.MostName)} letters, digits, '.', '_' or '-'"),
            RuleFault.Domain => ("--domain", NamePattern.DomainForm),
            RuleFault.Site => ("--site", "a host, '*.' and a domain, or '*'"),
            RuleFault.Sender => ("--sender", NamePattern.SenderForm),
            RuleFault.SenderDomain => ("--sender-domain", NamePattern.DomainForm),
            RuleFault.Account => ("--account", NamePattern.AddressForm),
            RuleFault.Recipient => ("--recipient", NamePattern.AddressForm),
            RuleFault.Message => ("--message", "the id of a message, as its 250 reply has it"),
            RuleFault.Older => ("--older", "longer than nothing"),
            RuleFault.Reply => ("--reply", text),
            RuleFault.Why => ("--why", $"{text}, for who finds the rule later"),
            RuleFault.Text => ("--text", $"{text} of ASCII"),
            RuleFault.NextHop => ("--to", hop),
            RuleFault.Rate => ("--per-second", string.Create(CultureInfo.InvariantCulture, $"{Rules.LeastRate} to {Rules.MostRate} messages")),
            RuleFault.NoConditions => (
                "which mail is meant", "said by --domain, --site, --sender, --sender-domain, --account, --recipient, --message, --older or --reply; '--domain *' is all of it"),
            RuleFault.NotOfDestinations => ($"what '{word}' asks for", "of destinations, by --domain or --site alone"),
            RuleFault.DomainAndSite => ($"what '{word}' asks for", "of --domain, for each by itself, or of --site, for all domains there together"),
            RuleFault.EndOfDoneOnce => ("--until or --for", $"with an act that stands (hold, suspend, redirect, rate); '{word}' is done once"),
            RuleFault.EndPassed => ("--until", "a time to come"),
            RuleFault.TextOfOther => ("--text", $"with 'bounce' or 'expire' only; this is '{word}'"),
            RuleFault.NextHopOfOther => ("--to", $"with 'redirect' only; this is '{word}'"),
            RuleFault.RateOfOther => ("--per-second", $"with 'rate' only; this is '{word}'"),
            _ => throw new UnreachableException($"{wrong.Fault} has no words"),
        };
        return wrong.Typed.Length == 0 ? $"{option} must be {allowed}" : $"{option} is '{OneLine(wrong.Typed)}'; it must be {allowed}";
    }

    private static IEnumerable<ReplyPart> Parts(RulesFound found)
    {
        if (found.Rules.Count == 0)
        {
            yield return new LinePart("There are no rules");
            yield break;
        }

        yield return new TablePart(
            ["name", "what", ">fits now", "state", "set by", "since", "why"],
            [.. found.Rules.Select(rule => (string[])
            [
                rule.Rule.Name, OneLine(rule.Rule.Summary), rule.Count is { } count ? HowMany(count) : "", State(rule.Rule, found.Now), OneLine(rule.Rule.SetBy),
                Second(rule.Rule.SetAt), OneLine(rule.Rule.Why),
            ])]);
    }

    private static IEnumerable<string> Lines(CountedRule counted, DateTimeOffset now)
    {
        var rule = counted.Rule;
        yield return $"{rule.Name}: {OneLine(rule.Summary)}";
        yield return $"  set by {OneLine(rule.SetBy)}{(rule.Host.Length > 0 ? $" on {OneLine(rule.Host)}" : "")} at {Second(rule.SetAt)}: {OneLine(rule.Why)}";
        yield return $"  {State(rule, now)}";
        if (counted.Count is not null)
            yield return $"  {Fits(counted)}";
    }

    private static string Added(CountedRule counted)
    {
        var rule = counted.Rule;
        return rule.IsStanding
            ? $"{rule.Name} stands{End(rule)}: {OneLine(rule.Summary)}. {Fits(counted)}{(Count(counted) == 0 ? ", so far" : "")}; within a second all servers obey it"
            : $"{rule.Name} is being done, within moments or, where it is very much, minutes: {OneLine(rule.Summary)}. {Fits(counted)}; 'rule show {rule.Name}' says how far it is";
    }

    /// <summary>What it fits now, in a sentence without its end.</summary>
    private static string Fits(CountedRule counted)
    {
        var what = counted.Rule.Act == RuleAct.Release ? "is held" : "waits";
        return counted.Count switch
        {
            null => "It was not counted what it fits",
            { Recipients: 0, IsExact: true } => $"Nothing that {what} fits",
            { IsExact: true } count => $"{Recipients(count.Recipients)} in {Domains(count.Domains)} {(count.Recipients == 1 ? "fits" : "fit")}{Tried(count)}",
            var count => $"At least {Recipients(count.Recipients)} in {Domains(count.Domains)} fit{Tried(count)}, of {Number(count.Looked)} that were looked at; there are more",
        };
    }

    private static string Tried(RuleCount count) => count.BeingTried == 0 ? "" : $" ({Number(count.BeingTried)} of them being tried)";

    private static long? Count(CountedRule counted) => counted.Count is { IsExact: true } count ? count.Recipients : null;

    private static string HowMany(RuleCount count) => count.IsExact ? Number(count.Recipients) : $"{Number(count.Recipients)} or more";

    private static string End(QueueRule rule) => rule.Until is { } until ? $" until {Second(until)}" : "";

    private static string State(QueueRule rule, DateTimeOffset now) => rule switch
    {
        { IsStanding: false, EndedAt: { } ended } => $"done at {Second(ended)}, to {Recipients(rule.Done)}",
        { IsStanding: false } => $"being done, to {Recipients(rule.Done)} so far",
        { EndedAt: { } ended } => $"ended at {Second(ended)}",
        { Until: { } until } when until <= now => $"ended at {Second(until)}",
        { Until: { } until } => $"stands until {Second(until)}",
        _ => "stands",
    };

    private static void Write(Utf8JsonWriter json, CountedRule counted, DateTimeOffset now)
    {
        var (rule, asked) = (counted.Rule, counted.Rule.Conditions);
        json.WriteString("name", rule.Name);
        json.WriteString("act", Json.Name(rule.Act));
        json.WriteStartObject("conditions");
        foreach (var (name, pattern) in ((string, NamePattern?)[])[
            ("domain", asked.Domain), ("site", asked.Site), ("sender", asked.Sender), ("senderDomain", asked.SenderDomain), ("account", asked.Login),
            ("recipient", asked.Recipient)])
        {
            if (pattern is not null)
                json.WriteString(name, pattern.Text);
        }
        if (asked.MessageId is { } message)
            json.WriteString("message", MessageIds.ToText(message));
        if (asked.Older is { } older)
            json.WriteNumber("olderSeconds", older.TotalSeconds);
        if (asked.Reply.Length > 0)
            json.WriteString("reply", asked.Reply);
        json.WriteEndObject();
        json.WriteString(rule.Act == RuleAct.Redirect ? "to" : "text", rule.Text);
        if (rule.Act == RuleAct.Rate)
            json.WriteNumber("perSecond", rule.Rate);
        json.WriteString("why", rule.Why);
        json.WriteString("setBy", rule.SetBy);
        json.WriteString("host", rule.Host);
        json.WriteTime("setAt", rule.SetAt);
        json.WriteTime("until", rule.Until);
        json.WriteBoolean("stands", rule.IsStanding && rule.Counts(now));
        json.WriteTime("endedAt", rule.EndedAt ?? (rule.Until <= now ? rule.Until : null));
        if (!rule.IsStanding)
            json.WriteNumber("done", rule.Done);
        if (counted.Count is not { } count)
        {
            json.WriteNull("fits");
            return;
        }
        json.WriteStartObject("fits");
        json.WriteNumber("recipients", count.Recipients);
        json.WriteNumber("beingTried", count.BeingTried);
        json.WriteNumber("domains", count.Domains);
        json.WriteNumber("looked", count.Looked);
        json.WriteBoolean("exact", count.IsExact);
        json.WriteEndObject();
    }
}
