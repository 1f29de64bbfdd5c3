namespace MailPipeline.Smtp;

/// <summary>The parameters of RCPT, as <see cref="MailParameters"/> are those of MAIL.</summary>
internal struct RcptParameters
{
    private DsnNotify? _notify;
    private string? _originalRecipient;

    /// <summary>A parameter is written in UTF-8.</summary>
    public bool NeedsSmtpUtf8 { get; private set; }

    /// <summary>What they say about reports; null: nothing.</summary>
    public readonly RcptDsn? Dsn =>
        _notify is null && _originalRecipient is null ? null : new RcptDsn(_notify ?? DsnNotify.Unsaid, _originalRecipient ?? "");

    public static SmtpReply? Notify(ref RcptParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._notify is not null || !DsnSyntax.TryReadNotify(value, out var notify))
            return Replies.C501BadNotify;
        parameters._notify = notify;
        return null;
    }

    public static SmtpReply? OriginalRecipient(ref RcptParameters parameters, ReadOnlySpan<byte> value, bool hasValue)
    {
        if (parameters._originalRecipient is not null)
            return Replies.C501BadOrcpt;
        if (DsnSyntax.ReadOriginalRecipient(value, out var address, out var needsSmtpUtf8) is { } refusal)
            return refusal;
        parameters._originalRecipient = address;
        parameters.NeedsSmtpUtf8 |= needsSmtpUtf8;
        return null;
    }
}
