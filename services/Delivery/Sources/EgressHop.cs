using System.Diagnostics.CodeAnalysis;
using System.Net;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Delivery.Sources;

/// <summary>How an egress is told where a connection goes.</summary>
internal enum EgressKind
{
    /// <summary>RFC 1928.</summary>
    Socks5,

    /// <summary>The PROXY protocol, version 2: https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.</summary>
    Proxy,
}

/// <summary>A program on another machine, or another pod, that connections go through.</summary>
/// <param name="Credentials">Path of a file or folder; empty: nobody logs in.</param>
internal sealed record EgressHop(EgressKind Kind, string Host, int Port, string Credentials = "")
{
    private const string Socks5Scheme = "socks5://";
    private const string ProxyScheme = "proxy://";

    /// <summary>"egress.example.net:1080"</summary>
    public string Name => Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]:{Port}" : $"{Host}:{Port}";

    public static bool TryParse(string text, [NotNullWhen(true)] out EgressHop? egress)
    {
        egress = null;
        var kind = text.StartsWith(Socks5Scheme, StringComparison.OrdinalIgnoreCase) ? EgressKind.Socks5 : EgressKind.Proxy;
        var scheme = kind == EgressKind.Socks5 ? Socks5Scheme : ProxyScheme;
        if (!text.StartsWith(scheme, StringComparison.OrdinalIgnoreCase))
            return false;
        var place = text[scheme.Length..];
        if (place.Length == 0 || place.Any(c => char.IsWhiteSpace(c) || c is '/' or '@' or ',') || !HostAddress.TrySplitPort(place, 0, out var host, out var port))
            return false;
        // Nobody knows a usual port of either.
        if (port == 0 || host.Length == 0 || (!HostAddress.TryParse(host, out _) && Uri.CheckHostName(host) != UriHostNameType.Dns))
            return false;
        egress = new EgressHop(kind, host, port);
        return true;
    }

    /// <summary>By its name; the system looks it up, as a name of the cluster's.</summary>
    public EndPoint EndPoint => HostAddress.TryParse(Host, out var address) ? new IPEndPoint(address, Port) : new DnsEndPoint(Host, Port);
}

/// <summary>What keeps a source from being used, whatever the host is like that was to be reached from it.</summary>
internal sealed class SourceFaultException(string text, Exception? cause = null) : Exception(text, cause);

/// <summary>The egress, or its machine, could not reach the host: what it says is about the host.</summary>
internal sealed class HostUnreachedException(string text) : Exception(text);
