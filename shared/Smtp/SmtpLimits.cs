namespace MailPipeline.Smtp;

/// <summary>The limits of the protocol itself, in octets. A server may take more; a client must not send more.</summary>
public static class SmtpLimits
{
    /// <summary>RFC 5321 §4.5.3.1.1.</summary>
    public const int LocalPartBytes = 64;

    /// <summary>RFC 5321 §4.5.3.1.2.</summary>
    public const int DomainBytes = 255;

    /// <summary>RFC 1035 §2.3.4.</summary>
    public const int LabelBytes = 63;

    /// <summary>RFC 5321 §4.5.3.1.3: the path with its punctuation, so an address has two less.</summary>
    public const int PathBytes = 256;

    /// <summary>RFC 5321 §4.5.3.1.4, CRLF included.</summary>
    public const int CommandLineBytes = 512;

    /// <summary>
    /// What this server reads as one command line, CRLF included: 512 and what each extension adds to it
    /// (RFC 5321 §4.5.3.1.4; SIZE 26, RFC 1870 §3; BODY 17, RFC 6152 §2; AUTH 500, RFC 4954 §3; SMTPUTF8 10, RFC 6531 §3.4;
    /// DSN 1,100 on the two commands, RFC 3461 §4), rounded up.
    /// </summary>
    public const int ExtendedCommandLineBytes = 2048;

    /// <summary>RFC 4954 §4: base64 lines of an authentication exchange, CRLF excluded.</summary>
    public const int AuthenticationLineBytes = 12288;

    /// <summary>RFC 5321 §4.5.3.1.5, CRLF included.</summary>
    public const int ReplyLineBytes = 512;

    /// <summary>RFC 5321 §4.5.3.1.6, CRLF included and a stuffed dot excluded. Content is taken whatever its line length.</summary>
    public const int TextLineBytes = 1000;

    /// <summary>RFC 5321 §4.5.3.1.8: the number of recipients every server must take.</summary>
    public const int MinimumRecipients = 100;
}
