namespace MailPipeline.Smtp;

/// <summary>Whom a listener is for.</summary>
public enum ListenerKind
{
    /// <summary>Other mail servers: recipients of ours, from anybody.</summary>
    Mx,

    /// <summary>Our users: any recipient, after authentication (RFC 6409).</summary>
    Submission,

    /// <summary>Mail servers of ours, for mailboxes alone (RFC 2033).</summary>
    Lmtp,
}
