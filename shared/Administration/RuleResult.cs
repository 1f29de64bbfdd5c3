using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>A rule as an operator types it; what is null is not said.</summary>
public sealed record RuleDraft
{
    public string? Domain { get; init; }

    public string? Site { get; init; }

    public string? Sender { get; init; }

    public string? SenderDomain { get; init; }

    public string? Account { get; init; }

    public string? Recipient { get; init; }

    public string? Message { get; init; }

    public TimeSpan? Older { get; init; }

    public string? Reply { get; init; }

    /// <summary>What senders are told.</summary>
    public string? Text { get; init; }

    /// <summary>Another next hop.</summary>
    public string? To { get; init; }

    public double? PerSecond { get; init; }

    public DateTimeOffset? Until { get; init; }

    public string? Why { get; init; }
}

/// <summary>A rule, and what it fits now.</summary>
/// <param name="Count">Null: nobody has counted.</param>
public sealed record CountedRule(QueueRule Rule, RuleCount? Count);

/// <summary>All rules, in order of their names.</summary>
public sealed record RulesFound(IReadOnlyList<CountedRule> Rules, DateTimeOffset Now);

/// <summary>What became of a rule: one of the records in this file, and of no others.</summary>
public abstract record RuleResult
{
    private protected RuleResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

public sealed record RuleFound(CountedRule Rule, DateTimeOffset Now) : RuleResult(ActStatus.Done);

public sealed record RuleAdded(CountedRule Rule) : RuleResult(ActStatus.Done);

/// <summary>Nothing was written: what it would have been done to, had it been added.</summary>
public sealed record RuleTried(CountedRule Rule) : RuleResult(ActStatus.Done);

/// <param name="Before">As it was.</param>
public sealed record RuleChanged(CountedRule Rule, QueueRule Before) : RuleResult(ActStatus.Done);

public sealed record RuleRemoved(QueueRule Rule) : RuleResult(ActStatus.Done);

/// <summary>Nothing that it would be done to waits, and it is not added: it is done once.</summary>
public sealed record RuleFitsNothing(CountedRule Rule) : RuleResult(ActStatus.NotDone);

public sealed record NoSuchRule(string Name) : RuleResult(ActStatus.NotDone);

public sealed record RuleAlreadyThere(string Name) : RuleResult(ActStatus.NotDone);

public sealed record TooManyRules(int Most) : RuleResult(ActStatus.NotDone);

/// <summary>It was changed, or has ended, while it was being changed.</summary>
public sealed record RuleChangedMeanwhile(string Name) : RuleResult(ActStatus.NotDone);

/// <summary>What is done once is not changed: it is removed, and another one is added.</summary>
public sealed record RuleIsDoneOnce(QueueRule Rule) : RuleResult(ActStatus.NotDone);

/// <summary>What is wrong with what was typed.</summary>
public enum RuleFault
{
    Name,
    Domain,
    Site,
    Sender,
    SenderDomain,
    Account,
    Recipient,
    Message,
    Older,
    Reply,
    Why,
    Text,
    NextHop,
    Rate,

    /// <summary>Nothing says which mail is meant.</summary>
    NoConditions,

    /// <summary>The act takes whole destinations alone.</summary>
    NotOfDestinations,

    /// <summary>A rate is of domains or of a site.</summary>
    DomainAndSite,

    /// <summary>What is done once has no end.</summary>
    EndOfDoneOnce,

    /// <summary>The end has passed.</summary>
    EndPassed,

    /// <summary>It belongs to another act.</summary>
    TextOfOther,
    NextHopOfOther,
    RateOfOther,
}

/// <param name="Typed">What was typed; empty: nothing was.</param>
public sealed record NotARule(RuleFault Fault, RuleAct Act, string Typed) : RuleResult(ActStatus.Refused);
