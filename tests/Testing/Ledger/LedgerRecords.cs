using System.Text.Json.Serialization;

namespace MailPipeline.Testing;

/// <summary>
/// One line of a ledger: what one participant of a run saw, written and synced before it acted on it. Checker input;
/// see <see cref="LedgerChecker"/>.
/// </summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "kind")]
[JsonDerivedType(typeof(Intent), "intent")]
[JsonDerivedType(typeof(Answer), "answer")]
[JsonDerivedType(typeof(Arrival), "arrival")]
[JsonDerivedType(typeof(MaildropListed), "listed")]
[JsonDerivedType(typeof(MaildropRead), "read")]
[JsonDerivedType(typeof(MaildropReadFailed), "read-failed")]
[JsonDerivedType(typeof(MaildropDeleted), "deleted")]
public abstract record LedgerRecord(DateTimeOffset At);

/// <summary>Load client, before each attempt to hand in a message: what it is about to send.</summary>
/// <param name="Attempt">1 for the first; a token is sent again when it got no final answer.</param>
/// <param name="Sender">Empty for the null sender.</param>
/// <param name="Return">RET as MAIL says it (RFC 3461 §4.3): FULL, HDRS; empty: nothing.</param>
public sealed record Intent(
    DateTimeOffset At, string Token, int Attempt, string Sender, ExpectedRecipient[] Recipients, string BodyHash, long SizeBytes, string Return = "")
    : LedgerRecord(At);

/// <summary>Who is to get a message, and what must become of it there.</summary>
/// <param name="Status">For <see cref="ExpectedOutcome.Bounced"/>: what the DSN's status must begin with, e.g. "5.1.1" or "5.".</param>
/// <param name="Notify">NOTIFY as RCPT says it (RFC 3461 §4.1), e.g. "SUCCESS,FAILURE" or "NEVER"; empty: nothing.</param>
public sealed record ExpectedRecipient(string Address, ExpectedOutcome Outcome = ExpectedOutcome.Delivered, string Status = "", string Notify = "")
{
    /// <summary>The sender is to be told of it. Who says nothing is told of failures and delays.</summary>
    /// <param name="what">SUCCESS, FAILURE or DELAY.</param>
    public bool Asks(string what) => Notify.Length == 0 ? what != "SUCCESS" : Notify.Split(',').Contains(what);
}

/// <summary>What must become of an accepted message at one recipient; follows from how the far end is scripted.</summary>
public enum ExpectedOutcome
{
    /// <summary>Delivered in the end, never bounced.</summary>
    Delivered,

    /// <summary>Bounced in the end, never delivered.</summary>
    Bounced,

    /// <summary>One of the two, never both.</summary>
    Either,
}

/// <summary>Load client, after each attempt: what the server answered.</summary>
/// <param name="RecipientReplies">Codes of the replies to RCPT in the order of the intent; 0 where none came.</param>
/// <param name="Reply">Code that ended the transaction (to MAIL, DATA or the dot); 0 when none came.</param>
/// <param name="DotSent">Whether the end of data may have reached the server.</param>
public sealed record Answer(
    DateTimeOffset At, string Token, int Attempt, int[] RecipientReplies, int Reply, bool DotSent, string Text)
    : LedgerRecord(At);

/// <summary>Far end, after the dot and before its answer.</summary>
/// <param name="Token">Empty when the message carries none.</param>
/// <param name="Answered">
/// True: 250 follows, the far end has the message. False: the dot was seen and no answer is given, the sender cannot know.
/// </param>
public sealed record Arrival(
    DateTimeOffset At, string Sink, string Token, string Sender, string[] Recipients, string BodyHash, long SizeBytes,
    bool Answered, DsnReport? Dsn)
    : LedgerRecord(At);

/// <summary>POP3 reader: the whole UIDL listing of a session.</summary>
public sealed record MaildropListed(DateTimeOffset At, string Mailbox, int Session, string[] Uids) : LedgerRecord(At);

/// <summary>POP3 reader: a message retrieved to its end.</summary>
public sealed record MaildropRead(
    DateTimeOffset At, string Mailbox, int Session, string Uid, string Token, string BodyHash, long SizeBytes, DsnReport? Dsn)
    : LedgerRecord(At);

/// <summary>POP3 reader: the server refused to hand out a message that it had listed.</summary>
public sealed record MaildropReadFailed(DateTimeOffset At, string Mailbox, int Session, string Uid, string Reply) : LedgerRecord(At);

/// <summary>POP3 reader, at the end of a session with deletions.</summary>
/// <param name="Quit">Whether QUIT was answered, and how.</param>
public sealed record MaildropDeleted(DateTimeOffset At, string Mailbox, int Session, string[] Uids, QuitOutcome Quit) : LedgerRecord(At);

/// <summary>How a POP3 session with deletions ended.</summary>
public enum QuitOutcome
{
    /// <summary>+OK: the deletions are done.</summary>
    Confirmed,

    /// <summary>-ERR, or the session ended without QUIT: nothing may be deleted.</summary>
    NotDone,

    /// <summary>QUIT was sent and no answer came: done or not.</summary>
    Unknown,
}

/// <summary>A delivery status notification (RFC 3464) as a reader of mail sees it.</summary>
/// <param name="MessageId">The notification's own Message-ID: copies of one notification share it.</param>
/// <param name="Token">Token of the message that is reported on; empty when it cannot be told.</param>
/// <param name="ReturnsAll">The whole message is in it, and not its header alone.</param>
public sealed record DsnReport(string MessageId, string Token, DsnRecipient[] Recipients, bool ReturnsAll = false);

/// <summary>The per-recipient fields of a notification (RFC 3464 §2.3).</summary>
public sealed record DsnRecipient(string Address, string Action, string Status, string Diagnostic);
