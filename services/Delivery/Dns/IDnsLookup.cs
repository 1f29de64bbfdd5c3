using System.Net;

namespace MailPipeline.Delivery;

/// <summary>How a DNS question was answered.</summary>
internal enum DnsStatus
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
internal sealed record DnsAnswer<T>(DnsStatus Status, IReadOnlyList<T> Records, TimeSpan TimeToLive, string Error = "")
{
    /// <summary>The question could not be put, for a reason that lies here and not in DNS: it says nothing about the name.</summary>
    public bool IsOurFault { get; init; }

    public static DnsAnswer<T> Failure(string error) => new(DnsStatus.Failed, [], TimeSpan.Zero, error);
}

/// <param name="Host">Name without final dot; empty for the root, which is the null MX of RFC 7505.</param>
internal readonly record struct MxRecord(int Preference, string Host);

/// <summary>The three DNS questions delivery asks. An answer of whatever kind is a value; only cancellation throws.</summary>
internal interface IDnsLookup
{
    Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken);

    Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken);

    Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken);
}
