namespace MailPipeline.Mail;

/// <summary>A recipient that waits for an attempt, with what an attempt needs of its message's envelope.</summary>
/// <param name="RecipientId">See <see cref="RecipientIds"/>.</param>
/// <param name="Address">Forward-path without brackets, after aliases.</param>
/// <param name="Sender">Reverse-path without brackets; empty for the null sender. Of one that an alias led elsewhere, as it was rewritten (<see cref="SenderRewriting"/>).</param>
/// <param name="AcceptedAt">Since when its time runs: its message was accepted or, where its sender had it held (RFC 4865), let go.</param>
/// <param name="Attempts">Attempts already recorded; a claim is refused when storage counts more.</param>
/// <param name="Original">What the sender wrote, where an alias led on from there; else empty. For the log: nobody is written to there.</param>
/// <param name="Flow">Of its message; see <see cref="FlowKey"/>.</param>
/// <param name="Priority">Of its message among others of the flow, the highest first (RFC 6710).</param>
public sealed record Recipient(
    long RecipientId,
    string Address,
    string Sender,
    long SizeBytes,
    BodyType Body,
    int Attempts,
    DateTimeOffset AcceptedAt,
    DateTimeOffset NextAttemptAt,
    RecipientRoute Route,
    string TraceParent,
    string Original = "",
    string Flow = "",
    int Priority = 0)
{
    public long MessageId => RecipientIds.MessageId(RecipientId);

    /// <summary>The next hop that a rule leads it to, in the place of its domain's hosts; empty: no rule does.</summary>
    public string RedirectTo { get; init; } = "";
}

/// <summary>Which service makes the attempt. The numbers are stored; they never change meaning.</summary>
public enum RecipientRoute
{
    /// <summary>Delivery, by SMTP.</summary>
    Remote = 0,

    /// <summary>Mailbox, into a maildrop.</summary>
    Local = 1,
}
