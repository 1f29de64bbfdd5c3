using System.Globalization;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// The operator's TLS policy by domain: the domain itself is looked for first, then "*.parent" of each parent, then "*". What stands there counts,
/// whatever the domain publishes.
/// </summary>
internal sealed class TlsTable
{
    private const string Setting = DeliveryOptions.Section + ":" + nameof(DeliveryOptions.TlsDomains);

    private const char NameMark = ':';

    private readonly Dictionary<string, TlsDemand> _demands = new(StringComparer.OrdinalIgnoreCase);

    private TlsTable()
    {
    }

    /// <summary>What could not be understood, in words for the operator; empty when all is well.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>The policy of a domain for which TLSA records are asked for; null: of none they are.</summary>
    public TlsPolicy? DanePolicy => _demands.Values.FirstOrDefault(demand => demand.FollowsDane)?.Policy;

    /// <summary>Some domain has to be reached by its MTA-STS policy.</summary>
    public bool DemandsSts => _demands.Values.Any(demand => demand.Policy == TlsPolicy.Sts);

    /// <summary>A dictionary with the domain as key, one text "example.com=Required, *.example.org=Verified:mx.example.org", and a list of such texts.</summary>
    public static TlsTable Parse(IReadOnlyDictionary<string, string> entries)
    {
        var table = new TlsTable();
        foreach (var (key, value) in entries)
        {
            // What was written as null has no text.
            if (!int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                table.Add($"{Setting}:{key}", key, value ?? "");
            else
                table.AddAll(value ?? "");
        }

        return table;
    }

    /// <summary>Null: nothing is said of the domain.</summary>
    public TlsDemand? Find(string domain)
    {
        if (_demands.Count == 0)
            return null;
        if (_demands.TryGetValue(domain, out var demand))
            return demand;
        for (var dot = domain.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = domain.IndexOf('.', dot + 1))
        {
            if (_demands.TryGetValue("*" + domain[dot..], out demand))
                return demand;
        }

        return _demands.GetValueOrDefault("*");
    }

    private void AddAll(string text)
    {
        foreach (var item in TextList.Split(text))
        {
            var equals = item.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                Errors.Add($"{Setting} has the entry '{item}'; it must be domain=policy, for example example.com=Required or *.example.org=Verified");
            else
                Add($"{Setting} for '{item[..equals]}'", item[..equals], item[(equals + 1)..]);
        }
    }

    private void Add(string setting, string domain, string value)
    {
        var parts = value.Split(NameMark, StringSplitOptions.TrimEntries);
        string[] names = parts[1..];
        if (!IsPattern(domain))
            Errors.Add($"{setting}: '{domain}' is no domain; it must be a domain such as example.com, *.example.com for all below it, or * for all");
        else if (!Enum.GetNames<TlsPolicy>().Contains(parts[0], StringComparer.OrdinalIgnoreCase))
            Errors.Add($"{setting} is '{value}'; it must be one of {string.Join(", ", Enum.GetNames<TlsPolicy>())}, and behind Verified names may stand, as in Verified:mx.example.org");
        else if (Enum.Parse<TlsPolicy>(parts[0], ignoreCase: true) is var policy && names.Length > 0 && policy != TlsPolicy.Verified)
            Errors.Add($"{setting} is '{value}'; names may stand behind Verified alone");
        else if (Array.Find(names, name => !IsName(name)) is { } bad)
            Errors.Add($"{setting} is '{value}'; '{bad}' is no name that a certificate can be for, such as mx.example.org");
        else
            _demands[Key(domain)] = new TlsDemand(policy, TlsSource.Table) { Names = names.Length > 0 ? names : null, FollowsDane = policy is TlsPolicy.Dane or TlsPolicy.OpportunisticDane };
    }

    private static bool IsName(string name) => IsDomain(name, out var isLiteral) && !isLiteral;

    /// <summary>As queues name a domain: in A-labels.</summary>
    private static string Key(string pattern) => pattern.StartsWith("*.", StringComparison.Ordinal)
        ? "*." + DomainName.Key(pattern[2..].TrimEnd('.')) : pattern == "*" ? pattern : DomainName.Key(pattern.TrimEnd('.'));

    private static bool IsPattern(string pattern) => pattern == "*" || (pattern.StartsWith("*.", StringComparison.Ordinal)
        ? IsDomain(pattern[2..], out var isLiteral) && !isLiteral
        : IsDomain(pattern, out _));

    private static bool IsDomain(string text, out bool isLiteral)
    {
        var isValid = SmtpAddress.TryParse("x@" + (text.EndsWith('.') ? text[..^1] : text), out var address, allowUtf8: true);
        isLiteral = isValid && address!.HasAddressLiteral;
        return isValid;
    }
}
