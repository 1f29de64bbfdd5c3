using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>A recipient, what happened to it, and why it waits.</summary>
/// <param name="Wait">Null: it has its outcome.</param>
public sealed record TracedRecipient(RecipientTimeline Timeline, WaitReason? Wait);

/// <summary>The answer to a question about a message, or what became of a change: one of the records in this file, and of no others.</summary>
public abstract record MessageResult
{
    private protected MessageResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

/// <param name="Message">With its recipients as <see cref="TracedRecipient"/> beside it.</param>
/// <param name="Wait">Why the whole message waits; null once it is routed.</param>
public sealed record MessageFound(MessageTimeline Message, IReadOnlyList<TracedRecipient> Recipients, WaitReason? Wait)
    : MessageResult(ActStatus.Done);

/// <param name="Messages">The latest first.</param>
/// <param name="Next">There may be others before this id, behind which the search goes on; null: there are none.</param>
public sealed record MessagesFound(IReadOnlyList<MessageSummary> Messages, long? Next) : MessageResult(ActStatus.Done);

/// <summary>All recipients that the change is for were changed.</summary>
public sealed record MessageChanged(long MessageId, OperatorAction Action, int Recipients) : MessageResult(ActStatus.Done);

/// <summary>
/// Recipients were left alone, as an attempt is under way. Whoever it does not deliver to waits again, and the change can be repeated
/// then.
/// </summary>
/// <param name="Recipients">Those that were changed; there may be none.</param>
public sealed record MessageChangedInPart(long MessageId, OperatorAction Action, int Recipients, int BeingTried) : MessageResult(ActStatus.NotDone);

/// <summary>No recipient of the message is in a state that the change is for.</summary>
/// <param name="Recipients">How many there are of each state, in the order of the states.</param>
public sealed record NothingToChange(long MessageId, IReadOnlyList<KeyValuePair<RecipientState, int>> Recipients) : MessageResult(ActStatus.NotDone);

/// <summary>The router has not seen the message, so that it has no recipients yet.</summary>
public sealed record MessageNotRouted(long MessageId) : MessageResult(ActStatus.NotDone);

/// <summary>There is no such message; finished ones are forgotten after a while.</summary>
public sealed record NoSuchMessage(long MessageId) : MessageResult(ActStatus.NotDone);

public sealed record NotAMessageId(string Typed) : MessageResult(ActStatus.Refused);
