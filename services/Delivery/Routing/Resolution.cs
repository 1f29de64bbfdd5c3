using System.Net;
using MailPipeline.Delivery.Tls;

namespace MailPipeline.Delivery.Routing;

/// <summary>A host that may take the mail of a domain.</summary>
/// <param name="Name">Host name, or an address in text for literals.</param>
internal sealed record TargetHost(string Name, int Port, int Preference = 0)
{
    /// <summary>What it has to show before it is given mail of this domain; another domain may ask the same host for something else.</summary>
    public TlsDemand Tls { get; init; } = TlsDemand.Opportunistic;

    /// <summary>Its TLSA records, where DNSSEC vouches for them; null: it has none, or none that count.</summary>
    public TlsaSet? Tlsa { get; init; }

    /// <summary>TLS comes before the greeting (RFC 8314 §3.3).</summary>
    public bool HasImplicitTls { get; init; }

    /// <summary>It speaks LMTP (RFC 2033).</summary>
    public bool IsLmtp { get; init; }

    /// <summary>Its name is the path of a Unix socket.</summary>
    public bool IsSocket => Name.StartsWith('/');

    /// <summary>What it is told of us; null: nothing.</summary>
    public Smarthost? Smarthost { get; init; }

    /// <summary>The operator named it in a route: it may be anywhere, on this machine too.</summary>
    public bool IsRouted { get; init; }

    /// <summary>
    /// A connection that was made to this host, under its demand, is as good as one made to that host: also where that is asked for by another domain, as long as neither
    /// domain's own words count, which are for a certificate of that domain (RFC 7672 §3.2.2) or for hosts that it names.
    /// </summary>
    public bool Serves(TargetHost wanted)
    {
        var made = this with { Tlsa = null, Preference = wanted.Preference };
        return made == wanted || (Tlsa is null && Tls.Sts is null && made with { Tls = Tls with { Domain = wanted.Tls.Domain } } == wanted);
    }

    /// <summary>It is a host of the domain, and not one that somebody has put into an answer of DNS (RFC 8689 §4.2.1).</summary>
    public bool IsKnown => IsRouted || Tls.IsKnownHost(Name);
}

/// <summary>Why a domain has no host to speak to.</summary>
internal sealed record ResolutionFailure(bool IsPermanent, string Status, string Text)
{
    /// <summary>The host is this system; neither it nor one of higher preference number may be tried (RFC 5321 §5.1).</summary>
    public static readonly ResolutionFailure Loop = new(IsPermanent: true, "5.4.6", "The mail of the domain loops back to this host");
}

/// <summary>The hosts of a domain in the order they are to be tried, or why there are none.</summary>
internal sealed record Resolution(IReadOnlyList<TargetHost> Hosts, ResolutionFailure? Failure)
{
    /// <summary>An address of the first host that has one; null when none was looked up.</summary>
    public IPAddress? First { get; init; }

    /// <summary>What domains with the same hosts have in common (<see cref="Routing.Site"/>); empty without hosts.</summary>
    public string Site { get; init; } = "";

    public static Resolution To(IReadOnlyList<TargetHost> hosts) => new(hosts, null) { Site = Routing.Site.KeyOf(hosts) };

    public static Resolution Failed(ResolutionFailure failure) => new([], failure);
}

/// <summary>The addresses of one host in the order they are to be tried, or why there are none.</summary>
internal sealed record HostAddresses(IReadOnlyList<IPAddress> Addresses, ResolutionFailure? Failure)
{
    /// <summary>The resolver says that DNSSEC vouches for them.</summary>
    public bool IsAuthenticated { get; init; }

    /// <summary>The name that has them, where the host is an alias of it; else empty.</summary>
    public string Alias { get; init; } = "";

    /// <summary>The type of failure, in the words of reports to the domain, where TLS keeps mail from the host (RFC 8460 §4.3); else empty.</summary>
    public string TlsResult { get; init; } = "";

    /// <summary>The host's TLSA records; null where none count.</summary>
    public TlsaSet? Tlsa { get; init; }

    public static HostAddresses None(bool isPermanent, string status, string text) =>
        new([], new ResolutionFailure(isPermanent, status, text));
}
