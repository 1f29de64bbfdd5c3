using System.Globalization;
using System.Text;
using System.Xml;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Reads a report by RFC 7489, appendix C, or by DMARCbis, whatever its namespace and the order of its elements; what it does not know is passed over. Strangers
/// wrote it: it has no DTD and so no entities, and depth, names, attributes, texts and rows are bounded.
/// </summary>
internal sealed class DmarcReportReader
{
    /// <summary>Rows that are kept; of those behind them the messages are counted.</summary>
    internal const int MostRows = 5000;

    private const int MaxDepth = 16;

    /// <summary>The schemas have some fifty.</summary>
    private const int MostNames = 500;

    private const int MostAttributes = 10_000;

    private const int MaxText = 255;

    /// <summary>Of each kind in one row.</summary>
    private const int MostResults = 20;

    private const long MaxCount = 1_000_000_000;

    private static readonly DateTimeOffset s_last = new(9999, 12, 30, 0, 0, 0, TimeSpan.Zero);

    /// <summary>In which each octet of ASCII is that character (<see cref="BoundedDocument"/>); the last two begin names.</summary>
    private static readonly string[] s_encodings = ["utf-8", "us-ascii", "ascii", "iso-8859-", "windows-125"];

    private static readonly XmlReaderSettings s_settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
        IgnoreWhitespace = true,
        MaxCharactersFromEntities = 1,
        MaxCharactersInDocument = BoundedDocument.MaxBytes,
    };

    private readonly XmlReader _xml;
    private readonly HashSet<string> _names = new(StringComparer.Ordinal);
    private readonly char[] _buffer = new char[MaxText];
    private readonly List<DmarcReportRow> _rows = [];
    private int _attributes;
    private long _omitted;

    private DmarcReportReader(XmlReader xml) => _xml = xml;

    /// <param name="document">Bounded (<see cref="BoundedDocument"/>).</param>
    /// <exception cref="XmlException">It is no XML, or has what is not allowed in a report.</exception>
    /// <exception cref="InvalidDataException">It is no report, or beyond a bound.</exception>
    public static DmarcReport Read(BoundedDocument document)
    {
        using var xml = XmlReader.Create(document, s_settings);
        return new DmarcReportReader(xml).Read();
    }

    private DmarcReport Read()
    {
        while (Next() && _xml.NodeType != XmlNodeType.Element)
        {
            if (_xml.NodeType == XmlNodeType.XmlDeclaration && _xml.GetAttribute("encoding") is { } encoding && !IsPlain(encoding))
                throw new InvalidDataException($"its encoding is '{Plain(encoding)}'; a report is in one of {string.Join(", ", s_encodings)}");
        }

        if (_xml.LocalName != "feedback")
            throw new InvalidDataException($"it is '{Plain(_xml.LocalName)}', and a report is 'feedback'");
        DmarcReportHead? head = null;
        DmarcReportPolicy? policy = null;
        Each(name =>
        {
            switch (name)
            {
                case "report_metadata":
                    head = Head();
                    break;
                case "policy_published":
                    policy = Policy();
                    break;
                case "record":
                    Record();
                    break;
            }
        });
        // What stands behind the root is looked at too.
        while (Next())
        {
        }

        if (head is null || policy is null)
            throw new InvalidDataException($"it has no {(head is null ? "report_metadata" : "policy_published")}");
        if (policy.Domain.Length == 0)
            throw new InvalidDataException("it does not say of which domain it is");
        if (_rows.Count == 0 && _omitted == 0)
            throw new InvalidDataException("it has no record of any message");
        return new DmarcReport(head, policy, _rows) { OmittedMessages = _omitted };
    }

    private DmarcReportHead Head()
    {
        var (organization, email, id) = ("", "", "");
        DateTimeOffset? begin = null, end = null;
        List<string> errors = [];
        Each(name =>
        {
            switch (name)
            {
                case "org_name":
                    organization = Text();
                    break;
                case "email":
                    email = Text();
                    break;
                case "report_id":
                    id = Text();
                    break;
                case "date_range":
                    Each(bound =>
                    {
                        if (bound == "begin")
                            begin = Time();
                        else if (bound == "end")
                            end = Time();
                    });
                    break;
                case "error" when errors.Count < MostResults:
                    errors.Add(Text());
                    break;
            }
        });
        if (begin is null || end is null || end < begin)
            throw new InvalidDataException("it does not say of which time it is: begin and end must be seconds since 1970");
        return new DmarcReportHead(organization.Length > 0 ? organization : email[(email.LastIndexOf('@') + 1)..], email, id, begin.Value, end.Value) { Errors = errors };
    }

    private DmarcReportPolicy Policy()
    {
        var policy = new DmarcReportPolicy("", "r", "r", "none", "", 100, "0");
        Each(name => policy = name switch
        {
            "domain" => policy with { Domain = DomainName.Key(Text()) },
            "adkim" => policy with { DkimAlignment = Text() },
            "aspf" => policy with { SpfAlignment = Text() },
            "p" => policy with { Policy = Text() },
            "sp" => policy with { SubdomainPolicy = Text() },
            "np" => policy with { NonexistentPolicy = Text() },
            "testing" => policy with { Testing = Text() },
            "discovery_method" => policy with { Discovery = Text() },
            "fo" => policy with { FailureOptions = Text() },
            "pct" => policy with { Percent = int.TryParse(Text(), NumberStyles.None, CultureInfo.InvariantCulture, out var percent) ? percent : 100 },
            _ => policy,
        });
        return policy;
    }

    private void Record()
    {
        var source = new DmarcReportSource("", "none", false, false, "", "");
        List<DmarcReportReason> reasons = [];
        List<DmarcReportSignature> dkim = [];
        List<DmarcReportSpf> spf = [];
        var count = 0L;
        Each(part =>
        {
            switch (part)
            {
                case "row":
                    Each(name =>
                    {
                        if (name == "source_ip")
                            source = source with { Address = HostAddress.TryParse(Text(), out var address) ? address.ToString() : "" };
                        else if (name == "count")
                            count = long.TryParse(Text(), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= MaxCount ? number : 0;
                        else if (name == "policy_evaluated")
                            source = Evaluated(source, reasons);
                    });
                    break;
                case "identifiers":
                    Each(name => source = name switch
                    {
                        "header_from" => source with { HeaderFrom = DomainName.Key(Text()) },
                        "envelope_from" => source with { EnvelopeFrom = Text() },
                        _ => source,
                    });
                    break;
                case "auth_results":
                    Each(method => Result(method, dkim, spf));
                    break;
            }
        });
        if (source.Address.Length == 0 || count == 0 || _rows.Count >= MostRows)
            _omitted += count;
        else
            _rows.Add(new DmarcReportRow(source with { Reasons = reasons, Dkim = dkim, Spf = spf }, count));
    }

    private DmarcReportSource Evaluated(DmarcReportSource source, List<DmarcReportReason> reasons)
    {
        Each(name =>
        {
            switch (name)
            {
                case "disposition":
                    source = source with { Disposition = Text().ToLowerInvariant() switch { "quarantine" => "quarantine", "reject" => "reject", _ => "none" } };
                    break;
                case "dkim":
                    source = source with { IsDkimAligned = IsPass(Text()) };
                    break;
                case "spf":
                    source = source with { IsSpfAligned = IsPass(Text()) };
                    break;
                case "reason" when reasons.Count < MostResults:
                    var fields = Fields();
                    reasons.Add(new(fields.GetValueOrDefault("type", ""), fields.GetValueOrDefault("comment", "")));
                    break;
            }
        });
        return source;
    }

    private void Result(string method, List<DmarcReportSignature> dkim, List<DmarcReportSpf> spf)
    {
        if (method is not ("dkim" or "spf"))
            return;
        var fields = Fields();
        var (domain, result) = (fields.GetValueOrDefault("domain", ""), fields.GetValueOrDefault("result", ""));
        if (method == "dkim" && dkim.Count < MostResults)
            dkim.Add(new(domain, fields.GetValueOrDefault("selector", ""), result));
        else if (method == "spf" && spf.Count < MostResults)
            spf.Add(new(domain, fields.GetValueOrDefault("scope", "mfrom"), result));
    }

    private static bool IsPlain(string encoding) =>
        Array.Exists(s_encodings, name => name[^1] is '-' or '5' ? encoding.StartsWith(name, StringComparison.OrdinalIgnoreCase) : encoding.Equals(name, StringComparison.OrdinalIgnoreCase));

    private static bool IsPass(string text) => text.Equals("pass", StringComparison.OrdinalIgnoreCase);

    private DateTimeOffset? Time() =>
        long.TryParse(Text(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) && seconds <= s_last.ToUnixTimeSeconds()
            ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null;

    /// <summary>The texts of the elements in the one under way, by their names; of two of a name the first.</summary>
    private Dictionary<string, string> Fields()
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        Each(name => fields.TryAdd(name, Text()));
        return fields;
    }

    /// <summary>Comes to each element right below the one under way, and ends with that. What nobody reads of one is passed over.</summary>
    private void Each(Action<string> child)
    {
        if (_xml.IsEmptyElement)
            return;
        var depth = _xml.Depth;
        while (Next() && _xml.Depth > depth)
        {
            if (_xml.NodeType == XmlNodeType.Element && _xml.Depth == depth + 1)
                child(_xml.LocalName);
        }
    }

    /// <summary>The text of the element under way, as far as it is kept.</summary>
    private string Text()
    {
        if (_xml.IsEmptyElement)
            return "";
        var depth = _xml.Depth;
        var text = new StringBuilder();
        while (Next() && _xml.Depth > depth)
        {
            if (_xml.NodeType is not (XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.SignificantWhitespace) || _xml.Depth != depth + 1)
                continue;
            while (text.Length < MaxText && _xml.ReadValueChunk(_buffer, 0, MaxText - text.Length) is > 0 and var length)
                text.Append(_buffer, 0, length);
        }

        return Plain(text.ToString().Trim());
    }

    private static string Plain(string text) => PlainText.Of(PlainText.Cut(text, MaxText));

    private bool Next()
    {
        if (!_xml.Read())
            return false;
        if (_xml.Depth > MaxDepth)
            throw new InvalidDataException($"its elements lie more than {MaxDepth} deep");
        if (_xml.NodeType != XmlNodeType.Element)
            return true;
        _attributes += _xml.AttributeCount;
        if (_attributes > MostAttributes)
            throw new InvalidDataException($"it has more than {MostAttributes} attributes");
        if (_names.Add(_xml.Name) && _names.Count > MostNames)
            throw new InvalidDataException($"it has elements of more than {MostNames} names");
        return true;
    }
}
