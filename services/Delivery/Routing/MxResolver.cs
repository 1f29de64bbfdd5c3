using System.Globalization;
using System.Net;
using MailPipeline.Delivery.Tls;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// Domain to hosts: relay of a domain of ours, static route, address literal, MX, implicit MX (RFC 5321 §5.1). Only an answer that says so makes a
/// failure permanent; silence and SERVFAIL are temporary.
/// </summary>
internal sealed class MxResolver
{
    private readonly DnsCache _dns;
    private readonly AddressLookUp _addresses;
    private readonly HostFailures _failures;
    private readonly DeliveryOptions _options;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly HashSet<string> _ownNames;
    private readonly LocalAddresses _local;
    private readonly IRelays _relays;
    private readonly TlsDemands _demands;

    public MxResolver(
        DnsCache dns, AddressLookUp addresses, HostFailures failures, LocalAddresses local, IRelays relays, TlsDemands demands,
        IOptions<DeliveryOptions> options, TimeProvider time, Random random)
    {
        _dns = dns;
        _addresses = addresses;
        _failures = failures;
        _local = local;
        _relays = relays;
        _demands = demands;
        _time = time;
        _options = options.Value;
        _random = random;
        _ownNames = new HashSet<string>([_options.HostName, .. _options.OwnNames], StringComparer.OrdinalIgnoreCase);
    }

    /// <param name="isRelaxed">What the domain publishes of TLS does not count (RFC 8689 §3).</param>
    public async Task<Resolution> ResolveAsync(string domain, bool isRelaxed = false)
    {
        var tls = _demands.Said(domain);
        // What the operator says of one domain of ours comes before what he says of many.
        var relay = await _relays.FindAsync(domain);
        if (relay is { Hop: { } hop })
            return Resolution.To([new TargetHost(hop.Host, hop.Port) { IsRouted = true, Tls = tls, IsLmtp = hop.IsLmtp }]);
        if (relay is null && _options.RouteTable.Find(domain) is { } route)
        {
            return Resolution.To(
            [
                new TargetHost(route.Host, route.Port)
                {
                    IsRouted = true, Tls = route.Tls is { } policy ? new TlsDemand(policy, TlsSource.Route) : tls, HasImplicitTls = route.HasImplicitTls, IsLmtp = route.IsLmtp, Smarthost = route.Smarthost,
                },
            ]);
        }

        if (domain.StartsWith('['))
            return Literal(domain, tls);
        // RFC 5890: DNS holds the A-label form.
        if (DomainName.ToAscii(domain) is not { Length: > 0 and <= 253 } name)
            return Permanent("5.1.2", "The domain is not a name that DNS can hold");

        var asked = _dns.MxAsync(name);
        tls = await _demands.OfMxAsync(domain, name);
        var exchanges = await asked;
        tls = tls with { IsMxAuthenticated = _demands.Trusts(exchanges) };
        if (isRelaxed)
            tls = tls.WithoutPublished();
        else if (tls is { Policy: TlsPolicy.Sts, Sts: null })
            return Resolution.Failed(new ResolutionFailure(IsPermanent: false, "4.7.0", "No MTA-STS policy of the domain is to be had, and one is required"));
        return exchanges.Status switch
        {
            DnsStatus.Found => Order(exchanges.Records, tls),
            DnsStatus.NoData => await ImplicitAsync(name, tls),
            DnsStatus.NoSuchName => Permanent("5.1.2", "Domain not found"),
            _ => Temporary($"DNS gave no answer for the MX of the domain ({exchanges.Error})"),
        };
    }

    /// <summary>Where a batch goes: to the hosts of its domain, or where an operator leads it.</summary>
    public Task<Resolution> ResolveToAddressAsync(BatchCommand wanted) =>
        wanted.RedirectTo is { } hop ? ResolveToAddressAsync(wanted.Domain, hop) : ResolveToAddressAsync(wanted.Domain);

    /// <summary>
    /// Where an operator leads mail of the domain, with what he asks of TLS for it: never the hosts of the domain, also where this program cannot read where that is.
    /// </summary>
    /// <param name="nextHop">As <see cref="NextHop"/> is written.</param>
    public async Task<Resolution> ResolveToAddressAsync(string domain, string nextHop)
    {
        if (!NextHop.TryParse(nextHop, out var hop))
            return Temporary($"The next hop '{nextHop}' that an operator has set cannot be read");
        var host = new TargetHost(hop.Host, hop.Port) { IsRouted = true, Tls = _demands.Said(domain), IsLmtp = hop.IsLmtp };
        var found = await AddressesAsync(host);
        return found.Addresses is [var first, ..]
            ? Resolution.To([host]) with { First = first } : Resolution.Failed(found.Failure! with { IsPermanent = false, Status = "4.4.4" });
    }

    /// <summary>
    /// The hosts of the domain, of which one has an address: so nobody takes a connection slot for a domain whose hosts DNS says nothing about.
    /// Asks about <see cref="DeliveryOptions.MaxHosts"/> hosts at most, for <see cref="DeliveryOptions.DnsBatchTime"/> at most.
    /// </summary>
    public async Task<Resolution> ResolveToAddressAsync(string domain, bool isRelaxed = false)
    {
        var resolution = await ResolveAsync(domain, isRelaxed);
        if (resolution.Failure is not null)
            return resolution;
        var lookUps = new HostLookUps(resolution.Hosts, this, _failures, _options, _time);
        ResolutionFailure? failure = null;
        List<(TargetHost, HostAddresses)> kept = [];
        while (await lookUps.NextAsync() is var (host, found))
        {
            kept.Add((host, found));
            if (found.Addresses is [var first, ..])
                return resolution with { Hosts = lookUps.Usable, First = first };
            if (found.Failure != ResolutionFailure.Loop)
                _failures.Note(host);
            // A temporary reason stands before that we are one of the hosts, and this before any other.
            if (failure is null || (failure.IsPermanent && (failure != ResolutionFailure.Loop || found.Failure is { IsPermanent: false })))
                failure = found.Failure;
        }

        foreach (var (host, found) in kept)
            NoteKept(host, found);
        // Hosts that were not asked about may have one.
        if (failure is { IsPermanent: true } && lookUps.HasUnknown)
            failure = new ResolutionFailure(IsPermanent: false, "4.4.3", failure.Text);
        return new Resolution([], failure);
    }

    /// <summary>Counts that mail was kept from a host by what its domain asks for.</summary>
    public void NoteKept(TargetHost host, HostAddresses found)
    {
        if (found.TlsResult.Length > 0)
            _demands.NoteKept(host.Tls, host.Name, found.TlsResult);
    }

    /// <summary>Never an address of our own, unless a route leads there.</summary>
    public async Task<HostAddresses> AddressesAsync(TargetHost host)
    {
        // A socket has no address; it is on this machine.
        if (host.IsSocket)
            return new HostAddresses([IPAddress.Loopback], null);
        if (!HostAddress.TryParse(host.Name, out var address) && !IsHostName(host.Name))
            return HostAddresses.None(isPermanent: true, "5.4.4", $"{host.Name} is neither a host name nor an address");
        if (!host.IsRouted && IsOwnName(host.Name))
            return new HostAddresses([], ResolutionFailure.Loop);
        var found = address is not null ? new HostAddresses([address], null) : await LookUpAsync(host);
        if (host.IsRouted || found.Failure is not null)
            return found;
        if (found.Addresses.Any(_local.IsOwn))
            return new HostAddresses([], ResolutionFailure.Loop);
        if (!found.Addresses.Any(_local.IsRefusedPrivate))
            return await SecuredAsync(host, found);
        IPAddress[] open = [.. found.Addresses.Where(candidate => !_local.IsRefusedPrivate(candidate))];
        return open.Length > 0
            ? await SecuredAsync(host, found with { Addresses = open })
            : HostAddresses.None(isPermanent: true, "5.4.4", $"Host {host.Name} has no address outside of private networks");
    }

    /// <summary>
    /// With its TLSA records, which count where DNSSEC vouches for the host and for its addresses (RFC 7672 §2.2), or without addresses where the policy of the
    /// domain keeps its mail from this host.
    /// </summary>
    private async Task<HostAddresses> SecuredAsync(TargetHost host, HostAddresses found)
    {
        var tls = host.Tls;
        if (tls is { FollowsDane: true, IsMxAuthenticated: true })
        {
            var (names, failure) = await BaseNamesAsync(host, found);
            for (var i = 0; i < names.Length && failure is null; i++)
            {
                var answer = await _dns.TlsaAsync(string.Create(CultureInfo.InvariantCulture, $"_{host.Port}._tcp.{names[i]}"));
                if (answer.Status == DnsStatus.Found && _demands.Trusts(answer))
                {
                    var set = TlsaSet.Of(answer.Records, names[i]);
                    if (set.IsUsable)
                        return found with { Tlsa = set };
                    // RFC 7672 §6: where DANE is required, records that prove no host are as good as none.
                    return tls.Policy == TlsPolicy.Dane
                        ? HostAddresses.None(isPermanent: false, "4.7.5", $"{host.Name} has no TLSA record that names its certificate, and one is required") with
                        {
                            TlsResult = TlsFailures.UnusableDane,
                        }
                        : NamedBySts(host, found with { Tlsa = set });
                }

                failure = answer.Status == DnsStatus.Failed ? answer.Error : null;
            }

            // RFC 7672 §2.1.2: whoever wants mail in clear only has to keep the answer back.
            if (failure is not null)
                return HostAddresses.None(isPermanent: false, "4.7.5", $"DNS gave no answer for the TLSA records of {host.Name} ({failure}), and without them it is not used") with
                {
                    TlsResult = TlsFailures.NoDnssec,
                };
        }

        if (tls.Policy == TlsPolicy.Dane)
            return HostAddresses.None(isPermanent: false, "4.7.5", $"{host.Name} has no TLSA records that DNSSEC vouches for, and they are required") with
            {
                TlsResult = TlsFailures.NoDane,
            };
        return NamedBySts(host, found);
    }

    /// <summary>Without addresses where the domain's MTA-STS policy keeps its mail from this host (RFC 8461 §4.1).</summary>
    private static HostAddresses NamedBySts(TargetHost host, HostAddresses found) =>
        host.Tls.IsStsEnforced && !host.Tls.Sts!.Names(host.Name)
            ? HostAddresses.None(isPermanent: false, "4.7.5", $"The MTA-STS policy of {host.Tls.Domain} does not name {host.Name}") with { TlsResult = TlsFailures.Other }
            : found;

    /// <summary>
    /// Names in whose place TLSA records are looked for (RFC 7672 §2.2.3): where the host is an alias and DNSSEC vouches for all of its way, first the name at
    /// its end; where it does for the alias alone, as of a host that others run, the alias. None where DNSSEC vouches for nothing there: servers of zones
    /// that are not signed may not even answer such questions.
    /// </summary>
    private async Task<(string[] Names, string? Failure)> BaseNamesAsync(TargetHost host, HostAddresses found)
    {
        if (found.Alias.Length == 0 || found.IsAuthenticated)
            return (!found.IsAuthenticated ? [] : found.Alias.Length > 0 ? [found.Alias, host.Name] : [host.Name], null);
        var alias = await _dns.AliasAsync(host.Name);
        return (_demands.Trusts(alias) ? [host.Name] : [], alias.Status == DnsStatus.Failed ? alias.Error : null);
    }

    /// <summary>Whoever asks, and whether he waits for it or not, how it ended is noted.</summary>
    private async Task<HostAddresses> LookUpAsync(TargetHost host)
    {
        var found = await _addresses.FindAsync(host.Name);
        if (found.Failure is null)
            _failures.Forget(host);
        else
            _failures.Note(host);
        return found;
    }

    // RFC 1123 §2.1: what ends in a number was meant as an address, and is none.
    private static bool IsHostName(string name)
    {
        var last = name.AsSpan()[(name.LastIndexOf('.') + 1)..];
        return name.Length > 0 && !name.Contains('\\', StringComparison.Ordinal) && (last.IsEmpty || last.ContainsAnyExceptInRange('0', '9'));
    }

    private static Resolution Permanent(string status, string text) =>
        Resolution.Failed(new ResolutionFailure(IsPermanent: true, status, text));

    private static Resolution Temporary(string text) =>
        Resolution.Failed(new ResolutionFailure(IsPermanent: false, "4.4.3", text));

    // RFC 5321 §4.1.3
    private Resolution Literal(string domain, TlsDemand tls)
    {
        var inner = domain.AsSpan().TrimStart('[').TrimEnd(']');
        const string IPv6Tag = "IPv6:";
        if (inner.StartsWith(IPv6Tag, StringComparison.OrdinalIgnoreCase))
            inner = inner[IPv6Tag.Length..];
        if (!HostAddress.TryParse(inner.ToString(), out var address))
            return Permanent("5.1.2", "The address literal is not an address");
        if (_local.IsOwn(address))
            return Resolution.Failed(ResolutionFailure.Loop);
        return _local.IsRefusedPrivate(address)
            ? Permanent("5.4.4", "The address literal is one of a private network")
            : Resolution.To([new TargetHost(address.ToString(), _options.Port) { Tls = tls }]);
    }

    private Resolution Order(IReadOnlyList<MxRecord> records, TlsDemand tls)
    {
        // RFC 7505 §3: a single MX of the root name says that the domain takes no mail. Beside others it is void.
        if (records.All(record => record.Host.Length == 0))
            return Permanent("5.1.10", "The domain takes no mail (null MX)");

        // RFC 5321 §5.1: equal preference in random order, to spread the load.
        var ordered = records
            .Where(record => record.Host.Length > 0)
            .Select(record => (Record: record, Order: _random.Next()))
            .OrderBy(item => item.Record.Preference).ThenBy(item => item.Order)
            .Select(item => new TargetHost(item.Record.Host, _options.Port, item.Record.Preference) { Tls = tls })
            .ToList();

        // RFC 5321 §5.1: where we are an MX ourselves, only hosts of lower preference number may be used. Here by name; by address
        // HostLookUps sees to it, as soon as one of them is wanted.
        var own = ordered.FindIndex(host => IsOwnName(host.Name));
        var usable = own < 0 ? ordered : ordered.FindAll(host => host.Preference < ordered[own].Preference);
        return usable.Count > 0 ? Resolution.To(usable) : Resolution.Failed(ResolutionFailure.Loop);
    }

    private bool IsOwnName(string name) => _ownNames.Contains(name) || _local.IsOwn(name);

    // RFC 5321 §5.1: the domain itself counts as its MX only when there is no MX at all.
    private async Task<Resolution> ImplicitAsync(string name, TlsDemand tls)
    {
        var host = new TargetHost(name, _options.Port) { Tls = tls };
        var addresses = await AddressesAsync(host);
        return addresses.Failure is { } failure ? Resolution.Failed(failure) : Resolution.To([host]);
    }
}
