using System.Net;

namespace MailPipeline.Dns;

/// <summary>How a DNS question was answered.</summary>
public enum DnsStatus
{
    /// <summary>At least one record.</summary>
    Found,

    /// <summary>The name exists, without a record of this type.</summary>
    NoData,

    /// <summary>NXDOMAIN.</summary>
    NoSuchName,

    /// <summary>No usable answer: time-out, SERVFAIL, REFUSED, no server. Says nothing about the name.</summary>
    Failed,
}

/// <summary>The answer to one DNS question.</summary>
/// <param name="TimeToLive">How long it may be remembered; zero for failures.</param>
/// <param name="Error">What went wrong, for <see cref="DnsStatus.Failed"/>.</param>
public sealed record DnsAnswer<T>(DnsStatus Status, IReadOnlyList<T> Records, TimeSpan TimeToLive, string Error = "")
{
    /// <summary>The question could not be put, for a reason that lies here and not in DNS: it says nothing about the name.</summary>
    public bool IsOurFault { get; init; }

    /// <summary>
    /// The resolver says that DNSSEC vouches for all of the answer, the absence that it states included (the AD bit, RFC 4035 §3.2.3).
    /// This is worth no more than the way to the resolver: who relies on it needs one on this machine (§4.9.3, RFC 7672 §2.1.1).
    /// </summary>
    public bool IsAuthenticated { get; init; }

    /// <summary>The name at the end of the aliases (CNAME) by which the answer was found, without final dot; empty where the name is no alias.</summary>
    public string Alias { get; init; } = "";
}

/// <summary>Answers whose type of record says itself.</summary>
public static class DnsAnswer
{
    public static DnsAnswer<T> Failure<T>(string error) => new(DnsStatus.Failed, [], TimeSpan.Zero, error);
}

/// <param name="Host">Name without final dot; empty for the root, which is the null MX of RFC 7505.</param>
public readonly record struct MxRecord(int Preference, string Host);

/// <summary>The text of one TXT record.</summary>
/// <param name="Text">Its strings, joined with nothing between them (RFC 7208 §3.3); each octet is one character.</param>
public readonly record struct TxtRecord(string Text);

/// <summary>
/// What a host's certificate is to be held against (RFC 6698 §2.1). The numbers are as the record has them, also those that nobody has
/// given a meaning to: whether a record can be used is for whoever checks the certificate to say.
/// </summary>
/// <param name="Usage">0 and 1 for an authority and a certificate of the public authorities, 2 and 3 for those of the domain's own.</param>
/// <param name="Selector">0 for the whole certificate, 1 for its public key.</param>
/// <param name="MatchingType">0 for the selected part itself, 1 for its SHA-256, 2 for its SHA-512.</param>
/// <param name="Data">What has to match.</param>
public sealed record TlsaRecord(byte Usage, byte Selector, byte MatchingType, ReadOnlyMemory<byte> Data);

/// <summary>The DNS questions that mail asks. An answer of whatever kind is a value; only cancellation throws.</summary>
public interface IDnsLookup
{
    Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken);

    Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken);

    Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken);

    Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken);

    /// <param name="name">Port and protocol stand before the host's name, as in "_25._tcp.mx.example.net" (RFC 6698 §3).</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken);

    /// <summary>Where the name itself leads, if it is an alias, and no further (RFC 1035 §3.3.1).</summary>
    Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken);

    /// <summary>The names of the hosts at an address, without final dot; whether they have that address is theirs to say (RFC 1035 §3.5, RFC 3596 §2.5).</summary>
    Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken);
}
