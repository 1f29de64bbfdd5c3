using MailPipeline.Ingress.Headers;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// What a check says: go on (the default), a reply or a redirect, which end the stage, or a note, with which the next check is asked.
/// </summary>
/// <param name="Reply">4xx or 5xx: what is proposed is refused with it.</param>
/// <param name="Redirect">The recipient is taken, and this address in its place.</param>
/// <param name="Note">What becomes of the message if it is accepted; said before MAIL, of each message of the session.</param>
internal readonly record struct Verdict(SmtpReply? Reply, SmtpAddress? Redirect = null, MessageNote? Note = null)
{
    /// <summary>For the operator, never for the client: which rule of a check that has many refuses; null where there is but one.</summary>
    public string? Rule { get; init; }

    /// <summary>This check has nothing against it: the next one is asked.</summary>
    public static Verdict GoOn => default;

    public static Verdict Noting(MessageNote note) => new(null, null, note);

    public bool IsGoOn => Reply is null && Redirect is null && Note is null;

    /// <summary>No other check of the stage is asked.</summary>
    public bool EndsStage => Reply is not null || Redirect is not null;
}

/// <summary>What checks say of a message that is accepted. It is kept in the same commit as the message.</summary>
internal sealed record MessageNote
{
    /// <summary>Its recipients wait for an operator, for this reason; empty: they do not.</summary>
    public string HoldReason { get; init; } = "";

    /// <summary>Under these names the message is found in its history and in the log.</summary>
    public IReadOnlyCollection<string> Tags { get; init; } = [];

    /// <summary>Fields that are put in front of it.</summary>
    public IReadOnlyCollection<HeaderField> Fields { get; init; } = [];

    /// <summary>Changes of fields that came with it, which its header is kept back for; in their order.</summary>
    public IReadOnlyCollection<FieldChange> ChangedFields { get; init; } = [];

    /// <summary>Whom it goes to besides.</summary>
    public IReadOnlyCollection<SmtpAddress> AddedRecipients { get; init; } = [];

    /// <summary>Whom it does not go to, of those that were taken, as they are kept.</summary>
    public IReadOnlyCollection<string> RemovedRecipients { get; init; } = [];

    /// <summary>Both notes in one; of two reasons to hold the first one stands.</summary>
    public static MessageNote? Join(MessageNote? first, MessageNote? second)
    {
        if (first is null || second is null)
            return first ?? second;
        return new MessageNote
        {
            HoldReason = first.HoldReason.Length > 0 ? first.HoldReason : second.HoldReason,
            Tags = [.. first.Tags.Union(second.Tags)],
            Fields = [.. first.Fields.Union(second.Fields)],
            ChangedFields = [.. first.ChangedFields, .. second.ChangedFields],
            AddedRecipients = [.. first.AddedRecipients.Union(second.AddedRecipients)],
            RemovedRecipients = [.. first.RemovedRecipients.Union(second.RemovedRecipients, StringComparer.OrdinalIgnoreCase)],
        };
    }
}

/// <summary>One field, in one line or folded (RFC 5322 §2.2.3), without its last line end.</summary>
internal readonly record struct HeaderField(string Name, string Value)
{
    /// <summary>The field of a message that a check tags, where the operator names no other.</summary>
    public static HeaderField OfTag(string tag) => new("X-MailPipeline-Tag", tag);

    /// <summary>As it stands in front of a message.</summary>
    public override string ToString() => $"{Name}: {Value}";
}
