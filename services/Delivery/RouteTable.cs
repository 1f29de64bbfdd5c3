using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MailPipeline.Delivery;

/// <summary>A fixed next hop that takes the place of the MX look-up.</summary>
/// <param name="Host">Name or address; a name is looked up as A/AAAA only.</param>
internal sealed record Route(string Host, int Port);

/// <summary>
/// Static routes: domain to next hop. The domain itself is looked for first, then "*.parent" of each parent, then "*".
/// </summary>
internal sealed class RouteTable
{
    private const string Setting = DeliveryOptions.Section + ":" + nameof(DeliveryOptions.Routes);

    private const int DefaultPort = 25;

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
    public static RouteTable Parse(IReadOnlyDictionary<string, string> routes)
    {
        var table = new RouteTable();
        foreach (var (key, value) in routes)
        {
            if (value.Contains('=', StringComparison.Ordinal) || int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out _))
                table.AddAll(value);
            else
                table.Add(key, value);
        }

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

    /// <summary>host, host:port, address, [address]:port.</summary>
    internal static bool TryParseHost(string text, int defaultPort, [NotNullWhen(true)] out Route? route)
    {
        route = null;
        var host = text.Trim();
        var port = defaultPort;
        var colon = host.LastIndexOf(':');
        var bareIPv6 = colon > 0 && host.IndexOf(':', StringComparison.Ordinal) != colon && !host.StartsWith('[');
        if (!bareIPv6 && colon > host.LastIndexOf(']'))
        {
            if (!int.TryParse(host.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port) || port is < 1 or > 65535)
                return false;
            host = host[..colon];
        }

        host = host.TrimStart('[').TrimEnd(']');
        if (host.Length == 0 || host.AsSpan().ContainsAny(" \t=@/"))
            return false;
        route = new Route(host, port);
        return true;
    }

    private void AddAll(string text)
    {
        foreach (var item in TextList.Split(text))
        {
            var equals = item.IndexOf('=', StringComparison.Ordinal);
            if (equals <= 0)
                Errors.Add($"{Setting} has the entry '{item}'; expected domain=host:port, for example example.com=192.0.2.1:25 or *=smarthost.example.net.");
            else
                Add(item[..equals], item[(equals + 1)..]);
        }
    }

    private void Add(string domain, string host)
    {
        if (TryParseHost(host, DefaultPort, out var route))
            _routes[domain.Trim().TrimEnd('.')] = route;
        else
            Errors.Add($"{Setting} for '{domain}' is '{host}'; expected host, host:port or [address]:port with a port from 1 to 65535.");
    }
}
