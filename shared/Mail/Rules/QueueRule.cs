using System.Globalization;

namespace MailPipeline.Mail;

/// <summary>What an operator's rule does. The numbers are stored; they never change meaning.</summary>
public enum RuleAct
{
    /// <summary>What fits is kept back as long as the rule is there: nobody tries it, gives it up or tells of it as late.</summary>
    Hold = 1,

    /// <summary>Nothing is tried for a destination as long as the rule is there; its mail grows older.</summary>
    Suspend = 2,

    /// <summary>What fits goes to another next hop as long as the rule is there.</summary>
    Redirect = 3,

    /// <summary>A destination gets no more messages a second, as long as the rule is there.</summary>
    Rate = 4,

    /// <summary>What is held message by message, and fits, is due.</summary>
    Release = 10,

    /// <summary>What fits is due, though its domain backs off or its site rests.</summary>
    Retry = 11,

    /// <summary>What fits is returned to its senders, with a text.</summary>
    Bounce = 12,

    /// <summary>What fits is given up as if its time were over.</summary>
    Expire = 13,
}

/// <summary>
/// What an operator has said of mail that waits, under a name. One that stands counts as long as it is there, also for mail that comes; the others are done once, to what
/// waits when they are made, and stay to be read.
/// </summary>
public sealed record QueueRule(string Name, RuleAct Act, RuleConditions Conditions, string Why)
{
    /// <summary>What senders are told; for another next hop, which.</summary>
    public string Text { get; init; } = "";

    /// <summary>Messages a second; 0: the rule sets none.</summary>
    public double Rate { get; init; }

    /// <summary>From then on it counts no more; null: it has no end.</summary>
    public DateTimeOffset? Until { get; init; }

    public string SetBy { get; init; } = "";

    /// <summary>The machine on which it was made.</summary>
    public string Host { get; init; } = "";

    public DateTimeOffset SetAt { get; init; }

    /// <summary>Since when it does nothing more: it has ended, or all of it is done; null: it counts.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>Recipients to whom it was done, of what is done once.</summary>
    public long Done { get; init; }

    /// <summary>How far what is done once has come.</summary>
    public string Place { get; init; } = "";

    public bool IsStanding => Stands(Act);

    /// <summary>It keeps mail from being tried.</summary>
    public bool KeepsBack => Act is RuleAct.Hold or RuleAct.Suspend;

    public static bool Stands(RuleAct act) => act < RuleAct.Release;

    public bool Counts(DateTimeOffset now) => EndedAt is null && !(Until <= now);

    /// <summary>Its act, on what, and with what: in one line.</summary>
    public string Summary
    {
        get
        {
            var with = Act switch
            {
                RuleAct.Rate => string.Create(CultureInfo.InvariantCulture, $" {Rate}/s"),
                RuleAct.Redirect => $" to {Text}",
                _ when Text.Length > 0 => $" '{Text}'",
                _ => "",
            };
            return $"{Act.ToString().ToLowerInvariant()}{with}: {Conditions}";
        }
    }
}
