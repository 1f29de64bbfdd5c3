namespace MailPipeline.Smtp;

/// <summary>The BODY parameter of MAIL (RFC 6152).</summary>
public enum SmtpBody
{
    SevenBit,
    EightBitMime,
}

/// <summary>
/// What MAIL and RCPT have gathered: everything that RSET, EHLO, STARTTLS and the end of a message forget, in one group
/// (RFC 5321 §4.1.1.5). It is thrown away whole, never cleared field by field.
/// </summary>
public sealed class SmtpTransaction
{
    private readonly List<SmtpAddress> _recipients = new(1);
    private List<RcptDsn>? _dsn;
    private HashSet<SmtpAddress>? _known;

    /// <summary>The reverse-path; null for the null path (RFC 5321 §4.5.5).</summary>
    public SmtpAddress? Sender { get; internal init; }

    public SmtpBody Body { get; internal init; }

    public bool SmtpUtf8 { get; internal init; }

    /// <summary>REQUIRETLS (RFC 8689): it goes under TLS to hosts that are proven, or nowhere.</summary>
    public bool RequireTls { get; internal init; }

    /// <summary>The SIZE parameter (RFC 1870 §6); null when there was none.</summary>
    public long? DeclaredBytes { get; internal init; }

    /// <summary>What MAIL said about reports; null: nothing.</summary>
    public MailDsn? Dsn { get; internal init; }

    /// <summary>What MAIL said about time; null: nothing.</summary>
    public MailTiming? Timing { get; internal init; }

    /// <summary>Who MAIL said has submitted the message (AUTH=); null: nothing.</summary>
    public MailSubmitter? Submitter { get; internal init; }

    /// <summary>What RCPT said about reports on each of <see cref="Recipients"/>; null: nothing on any.</summary>
    public IReadOnlyList<RcptDsn>? RecipientsDsn => _dsn;

    /// <summary>The accepted forward-paths, each once, in order.</summary>
    public IReadOnlyList<SmtpAddress> Recipients => _recipients;

    /// <summary>A first chunk of its content was taken (RFC 3030 §2).</summary>
    internal bool IsChunked { get; set; }

    /// <summary>Accepted RCPT commands: who is named twice is one recipient, but naming has the same bound.</summary>
    internal int TimesNamed { get; private set; }

    // A recipient given twice gets one copy, and is told of as he was named first.
    internal void Add(SmtpAddress recipient, RcptDsn? dsn)
    {
        TimesNamed++;
        if (_recipients.Count > 0)
        {
            _known ??= [_recipients[0]];
            if (!_known.Add(recipient))
                return;
        }

        _recipients.Add(recipient);
        if (dsn is not null && _dsn is null)
            _dsn = [.. Enumerable.Repeat(RcptDsn.None, _recipients.Count - 1)];
        _dsn?.Add(dsn ?? RcptDsn.None);
    }
}
