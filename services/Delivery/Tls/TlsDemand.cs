using MailPipeline.MtaSts;

namespace MailPipeline.Delivery.Tls;

/// <summary>Who says what TLS mail of a domain needs.</summary>
internal enum TlsSource
{
    /// <summary>The setting for all domains.</summary>
    Default = 0,

    /// <summary>The operator, for this domain.</summary>
    Table,

    /// <summary>The operator, for the next hop that he names.</summary>
    Route,

    /// <summary>The domain itself, by DANE or MTA-STS.</summary>
    Published,

    /// <summary>The sender of the message (RFC 8689 §3), who wants it to arrive whatever the domain asks for.</summary>
    Sender,
}

/// <summary>
/// What a host has to show before it is given mail of a domain, as far as that is known before the host is. It is the domain's alone: another
/// domain may ask the same host for something else, and a connection is used again only for a demand that is equal.
/// </summary>
internal sealed record TlsDemand(TlsPolicy Policy, TlsSource Source = TlsSource.Default)
{
    public static readonly TlsDemand Opportunistic = new(TlsPolicy.Opportunistic);

    /// <summary>The domain whose policy it is, as DNS has it; empty where no policy of the domain counts, as for a route.</summary>
    public string Domain { get; init; } = "";

    /// <summary>Names that a verified certificate may be for, in the place of the host's. Null: the host's.</summary>
    public IReadOnlyList<string>? Names { get; init; }

    /// <summary>The MTA-STS policy that the domain publishes; null: none, or none that counts.</summary>
    public StsPolicy? Sts { get; init; }

    /// <summary>TLSA records of its hosts count where DNSSEC vouches for them.</summary>
    public bool FollowsDane { get; init; }

    /// <summary>DNSSEC vouches for which hosts the domain has, and the resolver's word for it is trusted.</summary>
    public bool IsMxAuthenticated { get; init; }

    /// <summary>The domain's policy, or the operator's word, keeps hosts from the mail that are not named in it (RFC 8461 §4.1).</summary>
    public bool IsStsEnforced => Sts is { } sts && (sts.Mode == StsMode.Enforce || Policy == TlsPolicy.Sts);

    /// <summary>
    /// A host of this name is one of the domain's, and not one that somebody put in the answer of DNS: DNSSEC or MTA-STS says so (RFC 8689 §4.2.1).
    /// </summary>
    public bool IsKnownHost(string host) => IsMxAuthenticated || (Sts is { Mode: not StsMode.None } sts && sts.Names(host));

    /// <summary>The demand without what the domain publishes, where only what the operator or nobody demands counts: the sender wants it so (RFC 8689 §3).</summary>
    public TlsDemand WithoutPublished() => Source == TlsSource.Table ? this : this with { Sts = null, FollowsDane = false, Source = TlsSource.Sender };
}
