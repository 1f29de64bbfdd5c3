namespace MailPipeline.Smtp;

/// <summary>
/// The limits of the protocol, in octets. RFC 5321 §4.5.3.1 names the least that everybody must take, not the most: what is
/// over its numbers is taken here up to a bound of our own, except where something else sets the bound (DNS).
/// </summary>
public static class SmtpLimits
{
    /// <summary>
    /// Four times RFC 5321 §4.5.3.1.1: what forwarders and mailing lists make of an address (SRS, VERP) is often over 64.
    /// </summary>
    public const int LocalPartBytes = 256;

    /// <summary>RFC 5321 §4.5.3.1.2; DNS has no longer names (RFC 1035 §2.3.4).</summary>
    public const int DomainBytes = 255;

    /// <summary>RFC 1035 §2.3.4.</summary>
    public const int LabelBytes = 63;

    /// <summary>
    /// The longest local part and the longest domain with "@" and brackets, so an address has two less; RFC 5321 §4.5.3.1.3
    /// asks for 256.
    /// </summary>
    public const int PathBytes = LocalPartBytes + 1 + DomainBytes + 2;

    /// <summary>
    /// What this server reads as one command line, CRLF included: 512 and what each extension adds to it
    /// (RFC 5321 §4.5.3.1.4; SIZE 26, RFC 1870 §3; BODY 17, RFC 6152 §2; AUTH 500, RFC 4954 §3; SMTPUTF8 10, RFC 6531 §3.4;
    /// FUTURERELEASE 34, RFC 4865 §4; MT-PRIORITY 15, RFC 6710 §3; DELIVERBY 17, RFC 2852 §3; DSN 1,100 on the two commands, RFC 3461 §4), rounded up.
    /// </summary>
    public const int ExtendedCommandLineBytes = 2048;

    /// <summary>RFC 5321 §4.5.3.1.5, CRLF included.</summary>
    public const int ReplyLineBytes = 512;

    /// <summary>
    /// BDAT commands since the last accepted message, beside one for each <see cref="ChunkBytes"/> they bring. A chunk costs us a reply,
    /// however small it is: clients send tens of KB in each, or all in one.
    /// </summary>
    public const int MaxSmallChunks = 1000;

    /// <summary>A chunk of this size counts for none of <see cref="MaxSmallChunks"/>.</summary>
    public const int ChunkBytes = 1024;

    /// <summary>RFC 5321 §4.5.3.1.8: the number of recipients every server must take.</summary>
    public const int MinimumRecipients = 100;
}
