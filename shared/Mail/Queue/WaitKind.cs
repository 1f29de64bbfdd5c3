using System.Text.Json;

namespace MailPipeline.Mail;

/// <summary>
/// Why something waits: the closed list. Each has one word (<see cref="WaitWords"/>), the same on the screen, in JSON, in filters, in the
/// metric and in the documents. The numbers are stored; they never change meaning.
/// </summary>
public enum WaitKind
{
    /// <summary>The router has not seen the message.</summary>
    NotRouted = 1,

    /// <summary>Its sender wants the message to leave later (RFC 4865).</summary>
    HeldBySender = 2,

    /// <summary>A worker holds a claim of it.</summary>
    BeingTried = 3,

    /// <summary>Nothing keeps it from being tried; its domain's queue is about to hand it out.</summary>
    Due = 4,

    /// <summary>The retry schedule has set a time, after a reply or a failure.</summary>
    NextAttempt = 5,

    /// <summary>No host of its domain could be reached, and all mail of the domain waits.</summary>
    BacksOff = 6,

    /// <summary>As many batches of its domain are under way as are allowed.</summary>
    DomainLimit = 7,

    /// <summary>More of its domain is due than its queue has room for, and others come first.</summary>
    SenderTurn = 8,

    /// <summary>Nobody takes batches of its kind: no worker consumes the endpoint, or the bus takes none.</summary>
    NoWorker = 9,

    /// <summary>Delivery of all mail is paused.</summary>
    Paused = 10,

    /// <summary>An operator holds it, by its message or by a rule.</summary>
    HeldByOperator = 11,

    /// <summary>The pipeline, or a rule at the door, holds it for an operator.</summary>
    HeldBySystem = 12,

    /// <summary>As many connections to its site are open as are allowed, for whichever domains.</summary>
    SiteLimit = 13,

    /// <summary>As many messages have been sent lately as are allowed, to its site or by its sender.</summary>
    RateLimit = 14,

    /// <summary>By a rule of an operator nothing is tried for its destination.</summary>
    Suspended = 15,
}

/// <summary>The words of the list, each for one reason: "backsOff".</summary>
public static class WaitWords
{
    private static readonly Dictionary<WaitKind, string> s_words =
        Enum.GetValues<WaitKind>().ToDictionary(kind => kind, kind => JsonNamingPolicy.CamelCase.ConvertName(kind.ToString()));

    /// <summary>In the order of the list.</summary>
    public static IReadOnlyCollection<string> All => s_words.Values;

    public static string Of(WaitKind kind) => s_words[kind];

    /// <summary>Null: it is none of them. Case does not count.</summary>
    public static WaitKind? Find(string word)
    {
        foreach (var (kind, known) in s_words)
        {
            if (known.Equals(word, StringComparison.OrdinalIgnoreCase))
                return kind;
        }
        return null;
    }
}

/// <summary>
/// What decides why a queued recipient waits that nobody tries: the answers to what the queue asks, in its order. Whoever counts and whoever
/// asks for one recipient go by this. A site is asked behind what the domain itself says; while it rests, its domains back off.
/// </summary>
/// <param name="Site">What holds up mail for its site; <see cref="SiteHoldUp.None"/> for a maildrop here, too.</param>
/// <param name="IsPaced">Mail of its sender to other systems waits for his rate.</param>
/// <param name="Rule">Keeps it back; null: none does.</param>
public readonly record struct WaitConditions(
    bool IsPaused, bool BacksOff, bool IsDue, bool HasWorkers, bool IsBehindWindow, bool IsLimited, SiteHoldUp Site = SiteHoldUp.None, bool IsPaced = false, QueueRule? Rule = null)
{
    public WaitKind Kind => this switch
    {
        { IsPaused: true } => WaitKind.Paused,
        { Rule.Act: RuleAct.Suspend } => WaitKind.Suspended,
        { Rule: not null } => WaitKind.HeldByOperator,
        { BacksOff: true } => WaitKind.BacksOff,
        { IsDue: false } => WaitKind.NextAttempt,
        { HasWorkers: false } => WaitKind.NoWorker,
        { IsPaced: true } => WaitKind.RateLimit,
        { IsBehindWindow: true } => WaitKind.SenderTurn,
        { IsLimited: true } => WaitKind.DomainLimit,
        { Site: SiteHoldUp.Connections } => WaitKind.SiteLimit,
        { Site: SiteHoldUp.Rate } => WaitKind.RateLimit,
        _ => WaitKind.Due,
    };
}
