namespace MailPipeline.Mail;

/// <summary>What became of a recipient, as others are told of it. The numbers are stored; they never change meaning.</summary>
public enum EventKind
{
    Delivered = 1,

    /// <summary>An attempt did not deliver, and the recipient waits: for the next one, or for an operator.</summary>
    Deferred = 2,

    /// <summary>Given up: refused, or its time is over.</summary>
    Bounced = 3,

    /// <summary>The recipient does not want it, as whoever keeps his mailbox says.</summary>
    Complained = 4,
}

/// <summary>What more is to be said of an event. The numbers are stored; they never change meaning.</summary>
[Flags]
public enum EventDetails
{
    None = 0,

    /// <summary>No attempt follows before an operator says so.</summary>
    Held = 1,

    /// <summary>Given up because its time is over.</summary>
    Expired = 2,

    /// <summary>Contact was lost between the final dot and its reply: perhaps it was delivered.</summary>
    Uncertain = 4,
}

/// <summary>An event as it is written, of one recipient.</summary>
/// <param name="Number">Of the attempt; one recipient has no two events of one number, and each that follows has a higher one.</param>
/// <param name="Details">See <see cref="EventDetails"/>.</param>
/// <param name="NextAttemptAt">Null: none is set.</param>
internal readonly record struct OutcomeEvent(
    AttemptResult Result, long Number, EventKind Kind, EventDetails Details = EventDetails.None, DateTimeOffset? NextAttemptAt = null)
{
    /// <summary>Of a complaint: no attempt has it.</summary>
    public const long ComplaintNumber = 1L << 40;
}

/// <summary>An event that waits for its receiver, with what is known of the message.</summary>
/// <param name="Sender">Reverse-path without brackets; empty for the null sender.</param>
/// <param name="HeaderId">Field Message-ID without brackets, or empty.</param>
/// <param name="Original">What the sender wrote, where an alias led on; else empty.</param>
/// <param name="Domain">Of the destination.</param>
/// <param name="Flow">See <see cref="FlowKey"/>.</param>
/// <param name="EnvelopeId">ENVID (RFC 3461), as the sender knows it; or empty.</param>
/// <param name="Complaint">Of a complaint; else null.</param>
public sealed record WaitingEvent(
    long RecipientId, long Number, EventKind Kind, EventDetails Details, DateTimeOffset WrittenAt, DateTimeOffset At, DateTimeOffset? NextAttemptAt, string Status,
    string Reply, string Host, ReplyClass Class, string Sender, string HeaderId, string Recipient, string Original, string Domain, string Flow, string EnvelopeId,
    Complaint? Complaint)
{
    /// <summary>Its name for ever, the same for each receiver and each time that it is sent: message, recipient's number, and attempt or "c".</summary>
    public string Id => string.Create(
        System.Globalization.CultureInfo.InvariantCulture,
        $"{MessageIds.ToText(RecipientIds.MessageId(RecipientId))}-{RecipientIds.Number(RecipientId)}-{(Number == OutcomeEvent.ComplaintNumber ? "c" : Number)}");

    /// <summary>Address of the account that submitted the message; empty where nobody was logged in.</summary>
    public string AccountAddress => Flow.Contains('@', StringComparison.Ordinal) ? Flow : "";

    /// <summary>In lower case; empty for the null sender.</summary>
    public string SenderDomain => Sender[(Sender.LastIndexOf('@') + 1)..].ToLowerInvariant();
}

/// <summary>That a recipient does not want a message, as was reported (RFC 5965).</summary>
/// <param name="ReportId">The message that said so.</param>
/// <param name="Feedback">Its Feedback-Type, in lower case: abuse, fraud, and so on.</param>
/// <param name="Source">Source-IP of the report, or empty.</param>
/// <param name="Reporter">The domain that the report is proven to be from.</param>
/// <param name="Original">Original-Rcpt-To of the report, or empty.</param>
/// <param name="Host">Reporting-MTA, or empty.</param>
/// <param name="IsTrusted">An operator trusts the reporter (Events:FeedbackFrom). Of another, whoever has a mailbox at his domain and knows the Message-ID may have written it.</param>
public sealed record Complaint(
    long RecipientId, long ReportId, DateTimeOffset At, string Feedback, string Source, string Reporter, string Original, string Host, bool IsTrusted = false);
