using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>What a server offers in its reply to EHLO (RFC 5321 §4.1.1.1). A reply to HELO offers nothing.</summary>
public sealed class EhloCapabilities
{
    private readonly Dictionary<string, string> _keywords = new(StringComparer.OrdinalIgnoreCase);

    private EhloCapabilities()
    {
    }

    /// <summary>After HELO: no extension at all.</summary>
    public static EhloCapabilities None { get; } = new();

    public bool Pipelining => Has("PIPELINING");

    public bool EightBitMime => Has("8BITMIME");

    /// <summary>RFC 3030: it takes content by BDAT.</summary>
    public bool Chunking => Has("CHUNKING");

    public bool SmtpUtf8 => Has("SMTPUTF8");

    /// <summary>RFC 3461: it reports as it is told.</summary>
    public bool Dsn => Has("DSN");

    /// <summary>RFC 6710.</summary>
    public bool MtPriority => Has("MT-PRIORITY");

    /// <summary>RFC 2852: it keeps to a time of delivery.</summary>
    public bool DeliverBy => Has("DELIVERBY");

    /// <summary>RFC 2852 §3: the least time, in seconds, with which it takes a message that is to be returned afterwards; 0 where it names none.</summary>
    public long LeastDeliverBySeconds { get; private init; }

    /// <summary>RFC 8689.</summary>
    public bool RequireTls => Has("REQUIRETLS");

    public bool StartTls => Has("STARTTLS");

    /// <summary>RFC 1870 §4: SIZE is known to the server.</summary>
    public bool Size { get; private init; }

    /// <summary>The largest message taken, in octets; null when there is no fixed limit (absent, 0 or not a number).</summary>
    public long? MaxMessageBytes { get; private init; }

    /// <summary>RFC 9422: what it takes in one session.</summary>
    public AnnouncedLimits Limits { get; private init; } = AnnouncedLimits.None;

    /// <summary>SASL mechanisms, upper case.</summary>
    public IReadOnlyList<string> AuthMechanisms { get; private init; } = [];

    /// <summary>Reads the lines after the first. Lines that are no keyword are passed over.</summary>
    public static EhloCapabilities Parse(SmtpReply reply)
    {
        ArgumentNullException.ThrowIfNull(reply);
        var keywords = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var line in reply.Lines.Skip(1))
        {
            // "AUTH=LOGIN" is a form from before RFC 4954 that servers still send beside the right one.
            var end = line.AsSpan().IndexOfAny(' ', '=');
            var keyword = end < 0 ? line : line[..end];
            if (keyword.Length > 0)
                keywords.TryAdd(keyword, end < 0 ? "" : line[(end + 1)..].Trim());
        }

        var hasSize = keywords.TryGetValue("SIZE", out var size);
        var capabilities = new EhloCapabilities
        {
            Size = hasSize,
            LeastDeliverBySeconds = keywords.TryGetValue("DELIVERBY", out var least)
                && long.TryParse(least, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? seconds : 0,
            MaxMessageBytes = long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var bytes) && bytes > 0 ? bytes : null,
            Limits = keywords.TryGetValue("LIMITS", out var limits) ? AnnouncedLimits.Parse(limits) : AnnouncedLimits.None,
            AuthMechanisms = keywords.TryGetValue("AUTH", out var mechanisms)
                ? mechanisms.ToUpperInvariant().Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
                : [],
        };
        foreach (var (keyword, parameters) in keywords)
            capabilities._keywords[keyword] = parameters;
        return capabilities;
    }

    public bool Has(string keyword) => _keywords.ContainsKey(keyword);
}
