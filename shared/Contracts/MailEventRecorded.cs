namespace MailPipeline.Contracts;

/// <summary>
/// Event, Queue to whoever binds a queue to its exchange, and to pages (webhooks): what became of a recipient. It may come more than once, always with the same id; of one
/// recipient in order.
/// </summary>
/// <param name="Id">Of this event, for ever.</param>
/// <param name="Kind">delivered, deferred, bounced or complained.</param>
/// <param name="At">When it was known.</param>
/// <param name="MessageId">Ours, as commands and logs have it.</param>
/// <param name="HeaderId">Field Message-ID without brackets; empty: there is none.</param>
/// <param name="Sender">Reverse-path; empty: the null sender.</param>
/// <param name="Account">That submitted it; empty: nobody was logged in.</param>
/// <param name="Recipient">After aliases.</param>
/// <param name="Original">As the sender wrote it, where an alias led on; else empty.</param>
/// <param name="Domain">Of the destination.</param>
/// <param name="Host">That answered, with its address; empty: none did, or it was a maildrop here.</param>
/// <param name="Status">Enhanced status (RFC 3463); empty for a complaint.</param>
/// <param name="Reply">In one line, or our own words.</param>
/// <param name="ReplyClass">What an attempt that did not deliver was about; else empty.</param>
/// <param name="Attempt">Its number; 0 for a complaint.</param>
/// <param name="NextAttemptAt">Of what was deferred; null: none is set.</param>
/// <param name="IsHeld">It was deferred, and waits for an operator.</param>
/// <param name="IsExpired">It bounced because its time was over.</param>
/// <param name="IsUncertain">The attempt may have delivered it all the same.</param>
/// <param name="EnvelopeId">ENVID of the sender (RFC 3461), or empty.</param>
/// <param name="Feedback">Of a complaint; else null.</param>
public sealed record MailEventRecorded(
    string Id,
    string Kind,
    DateTimeOffset At,
    string MessageId,
    string HeaderId,
    string Sender,
    string Account,
    string Recipient,
    string Original,
    string Domain,
    string Host,
    string Status,
    string Reply,
    string ReplyClass,
    int Attempt,
    DateTimeOffset? NextAttemptAt,
    bool IsHeld,
    bool IsExpired,
    bool IsUncertain,
    string EnvelopeId,
    MailFeedback? Feedback = null);

/// <summary>What a provider reported (RFC 5965).</summary>
/// <param name="Type">abuse, fraud, virus, other, or another word of the reporter.</param>
/// <param name="Reporter">Domain that the report is proven to be from.</param>
/// <param name="Host">Its Reporting-MTA, or empty.</param>
/// <param name="Source">Address that the provider had the message from, or empty.</param>
/// <param name="Recipient">As the report names it; empty: it does not.</param>
/// <param name="ReportId">Our id of the message that brought the report.</param>
/// <param name="IsTrusted">Queue's settings name the reporter; of another, somebody with a mailbox at his domain who knows the Message-ID may have written it.</param>
public sealed record MailFeedback(string Type, string Reporter, string Host, string Source, string Recipient, string ReportId, bool IsTrusted = false);
