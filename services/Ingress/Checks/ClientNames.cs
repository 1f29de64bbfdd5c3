using System.Net;
using System.Net.Sockets;
using MailPipeline.Dns;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>What the names of an address are worth.</summary>
internal enum NameStanding
{
    /// <summary>DNS has not answered: nothing is known.</summary>
    Unknown,

    /// <summary>There is none.</summary>
    None,

    /// <summary>There is one, and it does not have the address.</summary>
    Elsewhere,

    /// <summary>It has the address.</summary>
    Confirmed,
}

/// <param name="Names">Those that are confirmed; null: none.</param>
/// <param name="MayHaveMore">Of another name DNS has not said whether it has the address.</param>
internal readonly record struct ReverseName(NameStanding Standing, IReadOnlyList<string>? Names = null, bool MayHaveMore = false)
{
    /// <summary>It may have other names than these: DNS has not answered.</summary>
    public bool IsUnsure => Standing == NameStanding.Unknown || MayHaveMore;

    /// <summary>One of its names is one of these domains or below it.</summary>
    public bool IsBelow(IList<string> domains) => Names is { } names && names.Any(name => PolicyOptions.IsBelow(name, domains));
}

internal readonly record struct GreetedName(NameStanding Standing);

/// <summary>Asks DNS about the names of a client: of its address, there and back, and the one that it greets with. Trouble of DNS says nothing.</summary>
internal sealed class ClientNames(DnsCache dns)
{
    /// <summary>Names of one address that are asked about (RFC 7208 §4.6.4 has the same bound).</summary>
    private const int MaxNames = 10;

    public async Task<ReverseName> FindReverseAsync(IPAddress client)
    {
        var names = await dns.PtrAsync(client);
        if (names.Status == DnsStatus.Failed)
            return new ReverseName(NameStanding.Unknown);
        var some = names.Records.Take(MaxNames).ToList();
        var answers = await Task.WhenAll(some.Select(name => AddressesAsync(name, client)));
        var confirmed = some.Where((_, i) => answers[i].Records.Contains(client)).ToList();
        var isUnsure = Array.Exists(answers, answer => answer.Status == DnsStatus.Failed);
        if (confirmed.Count > 0)
            return new ReverseName(NameStanding.Confirmed, confirmed, isUnsure);
        return new ReverseName(isUnsure ? NameStanding.Unknown : some.Count == 0 ? NameStanding.None : NameStanding.Elsewhere);
    }

    /// <param name="name">The argument of EHLO or HELO.</param>
    public async Task<GreetedName> FindGreetedAsync(string name, IPAddress client)
    {
        if (HostAddress.TryParseLiteral(name, out var literal))
            return new GreetedName(HostAddress.Plain(literal).Equals(client) ? NameStanding.Confirmed : NameStanding.Elsewhere);
        // What is no name of DNS has nothing there.
        name = name.TrimEnd('.');
        if (!SmtpAddress.TryParse($"x@{name}", out _))
            return new GreetedName(NameStanding.None);
        var (four, six) = (dns.IPv4Async(name), dns.IPv6Async(name));
        var (own, other) = client.AddressFamily == AddressFamily.InterNetwork ? (await four, await six) : (await six, await four);
        if (own.Records.Contains(client))
            return new GreetedName(NameStanding.Confirmed);
        if (own.Status == DnsStatus.Failed)
            return new GreetedName(NameStanding.Unknown);
        if (own.Records.Count + other.Records.Count > 0)
            return new GreetedName(NameStanding.Elsewhere);
        var exchanges = await dns.MxAsync(name);
        return new GreetedName(
            exchanges.Records.Count > 0 ? NameStanding.Elsewhere
            : exchanges.Status == DnsStatus.Failed || other.Status == DnsStatus.Failed ? NameStanding.Unknown : NameStanding.None);
    }

    private Task<DnsAnswer<IPAddress>> AddressesAsync(string name, IPAddress like) =>
        like.AddressFamily == AddressFamily.InterNetwork ? dns.IPv4Async(name) : dns.IPv6Async(name);
}
