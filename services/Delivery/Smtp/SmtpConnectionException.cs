namespace MailPipeline.Delivery.Smtp;

/// <summary>The connection cannot be used any more: lost, late, or the far end does not speak SMTP.</summary>
/// <param name="status">Enhanced status (RFC 3463) for messages that are cut short by it; always temporary.</param>
/// <param name="reply">One line for the report: the far end's last word, or ours.</param>
internal sealed class SmtpConnectionException(string status, string reply, bool isTimeout = false, Exception? cause = null)
    : Exception(reply, cause)
{
    public string Status { get; } = status;

    public string Reply { get; } = reply;

    public bool IsTimeout { get; } = isTimeout;

    /// <summary>It is about what we lack ourselves, and says nothing of the far end.</summary>
    public bool IsOurs { get; init; }
}
