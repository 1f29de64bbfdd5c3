using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Routing;

/// <summary>A fixed next hop that takes the place of the MX look-up.</summary>
/// <param name="Host">Name or address; a name is looked up as A/AAAA only. Or the path of a Unix socket.</param>
internal sealed record Route(string Host, int Port)
{
    /// <summary>What it has to show before it is given mail; null: what the domain asks for.</summary>
    public TlsPolicy? Tls { get; init; }

    public bool HasImplicitTls { get; init; }

    /// <summary>It speaks LMTP (RFC 2033).</summary>
    public bool IsLmtp { get; init; }

    /// <summary>What it is told of us; null: nothing.</summary>
    public Smarthost? Smarthost { get; init; }
}

/// <summary>How we log in at a next hop.</summary>
/// <param name="Setting">What names it, for the operator.</param>
/// <param name="Credentials">The path of a file or folder (<see cref="SmarthostCredentials.Read"/>).</param>
internal sealed record Smarthost(string Setting, string Credentials, SmarthostMechanism Mechanism, bool AllowCleartextAuth);

/// <summary>
/// Static routes: domain to next hop. The domain itself is looked for first, then "*.parent" of each parent, then "*".
/// </summary>
internal sealed class RouteTable
{
    private const string Setting = DeliveryOptions.Section + ":" + nameof(DeliveryOptions.Routes);

    private const string Allowed =
        "host, host:port or [address]:port with a port from 1 to 65535, for example smarthost.example.net or [2001:db8::1]:25; with lmtp: before it, or before the path of a socket, it speaks LMTP";

    private const int DefaultPort = 25;

    /// <summary>submissions (RFC 8314 §7.3).</summary>
    private const int ImplicitTlsPort = 465;

    private readonly Dictionary<string, Route> _routes = new(StringComparer.OrdinalIgnoreCase);

    private RouteTable()
    {
    }

    /// <summary>What could not be understood, in words for the operator; empty when all is well.</summary>
    public List<string> Errors { get; } = [];

    /// <summary>
    /// Three forms, which may be mixed: "example.com=host:25, *=host" as one text, a list of such texts, and a dictionary
    /// with the domain as key.
    /// </summary>
    public static RouteTable Parse(IReadOnlyDictionary<string, string> routes, IReadOnlyList<SmarthostOptions>? smarthosts = null)
    {
        var table = new RouteTable();
        foreach (var (key, value) in routes)
        {
            // What was written as null has no text.
            if (int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                table.AddAll(value ?? "");
            else
                table.Add($"{Setting}:{key}", key, value ?? "");
        }

        foreach (var (index, smarthost) in (smarthosts ?? []).Index())
            table.Add(string.Create(CultureInfo.InvariantCulture, $"{DeliveryOptions.Section}:{nameof(DeliveryOptions.Smarthosts)}:{index}"), smarthost);
        return table;
    }

    public Route? Find(string domain)
    {
        if (_routes.Count == 0)
            return null;
        if (_routes.TryGetValue(domain, out var route))
            return route;
        for (var dot = domain.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = domain.IndexOf('.', dot + 1))
        {
            if (_routes.TryGetValue("*" + domain[dot..], out route))
                return route;
        }

        return _routes.GetValueOrDefault("*");
    }

    private static bool TryParseHost(string text, [NotNullWhen(true)] out Route? route)
    {
        route = NextHop.TryParse(text, out var hop) ? new Route(hop.Host, hop.Port) { IsLmtp = hop.IsLmtp } : null;
        return route is not null;
    }

    private static bool IsDomain(string text, out bool isLiteral)
    {
        var valid = SmtpAddress.TryParse("x@" + (text.EndsWith('.') ? text[..^1] : text), out var address, allowUtf8: true);
        isLiteral = valid && address!.HasAddressLiteral;
        return valid;
    }

    private void AddAll(string text)
    {
        foreach (var item in TextList.Split(text))
        {
            var equals = item.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                Errors.Add($"{Setting} has the entry '{item}'; it must be domain=host:port, for example example.com=192.0.2.1:25 or *=smarthost.example.net");
            else
                Add($"{Setting} for '{item[..equals]}'", item[..equals], item[(equals + 1)..]);
        }
    }

    private void Add(string setting, SmarthostOptions smarthost)
    {
        smarthost.Validate(setting, Errors);
        if (!TryParseHost(smarthost.Host, out var host))
        {
            Errors.Add($"{setting}:Host is '{smarthost.Host}'; it must be {Allowed}");
            return;
        }

        var route = host with
        {
            Tls = smarthost.Tls ?? (smarthost.Credentials.Length > 0 && !smarthost.AllowCleartextAuth ? TlsPolicy.Verified : null),
            HasImplicitTls = smarthost.ImplicitTls ?? (host.Port == ImplicitTlsPort && smarthost.Tls != TlsPolicy.None),
            Smarthost = smarthost.Credentials.Length > 0
                ? new Smarthost(setting, smarthost.Credentials, smarthost.Mechanism, smarthost.AllowCleartextAuth) : null,
        };
        foreach (var domain in smarthost.Domains.Count > 0 ? smarthost.Domains : ["*"])
        {
            if (!IsPattern(domain))
                Errors.Add($"{setting}:Domains has '{domain}'; it must be a domain such as example.com, *.example.com for all below it, or * for all");
            else if (!_routes.TryAdd(Key(domain), route))
                Errors.Add($"{setting}:Domains has '{domain}', which has another next hop already");
        }
    }

    /// <summary>As queues name a domain: in A-labels.</summary>
    internal static string Key(string pattern) =>
        pattern.StartsWith("*.", StringComparison.Ordinal) ? "*." + DomainName.Key(pattern[2..].TrimEnd('.')) : DomainName.Key(pattern.TrimEnd('.'));

    /// <summary>A domain, "*." and a domain, or "*".</summary>
    internal static bool IsPattern(string domain) => domain == "*" || (domain.StartsWith("*.", StringComparison.Ordinal)
        ? IsDomain(domain[2..], out var isLiteral) && !isLiteral
        : IsDomain(domain, out _));

    private void Add(string setting, string domain, string host)
    {
        if (!IsPattern(domain))
            Errors.Add($"{setting}: '{domain}' is no domain; it must be a domain such as example.com, *.example.com for all below it, or * for all");
        else if (TryParseHost(host, out var route))
            _routes[Key(domain)] = route;
        else
            Errors.Add($"{setting} is '{host}'; it must be {Allowed}");
    }
}
