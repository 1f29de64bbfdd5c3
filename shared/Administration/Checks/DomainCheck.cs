using System.Globalization;
using System.Net;
using System.Net.Sockets;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;
using MailPipeline.MtaSts;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>What a domain is to be set up for.</summary>
/// <param name="Domain">As it was typed.</param>
/// <param name="Hosts">The hosts that take and send its mail; none: those that its MX name.</param>
/// <param name="Selectors">Of the keys that its mail is signed with.</param>
/// <param name="ForwardedAs">The domain of the senders under which forwarded mail leaves (SRS); empty: none, or nobody knows.</param>
public sealed record DomainQuestion(string Domain, IReadOnlyList<string> Hosts, IReadOnlyList<string> Selectors, string ForwardedAs = "");

/// <summary>
/// Holds what a domain publishes against what others need to send it mail and to believe what it sends, and says what to publish where that is
/// wrong or missing. What DNS does not answer is unknown, and not missing.
/// </summary>
public sealed class DomainCheck(IDnsLookup dns, StsFetch policies, TimeProvider time)
{
    /// <summary>Hosts of one domain that are looked at.</summary>
    private const int MaxHosts = 20;

    /// <summary>More than these leave little for what a record names to grow.</summary>
    private const int ManyLookUps = 7;

    /// <returns><see cref="DomainChecked"/>, or what was mistyped.</returns>
    public async Task<CheckResult> CheckAsync(DomainQuestion question, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(question);
        if (NameOf(question.Domain) is not { } domain)
            return new CheckMistyped(CheckedThing.Domain, question.Domain);
        if (question.Hosts.FirstOrDefault(host => NameOf(host) is null) is { } wrong)
            return new CheckMistyped(CheckedThing.Domain, wrong);
        if (question.ForwardedAs.Length > 0 && NameOf(question.ForwardedAs) is null)
            return new CheckMistyped(CheckedThing.Domain, question.ForwardedAs);
        List<string> wanted = [.. question.Hosts.Select(host => NameOf(host)!)];
        var items = new List<PublishedItem>();
        var published = await dns.MxAsync(domain, cancellation);
        items.Add(Exchanges(domain, published, wanted));
        var hosts = wanted.Count > 0 ? wanted : [.. published.Records.Select(record => record.Host).Where(host => host.Length > 0).Take(MaxHosts)];
        var addresses = new List<(string Host, IPAddress Address)>();
        foreach (var host in hosts)
        {
            var (item, found) = await AddressesAsync(host, cancellation);
            items.Add(item);
            addresses.AddRange(found.Select(address => (host, address)));
        }

        foreach (var (host, address) in addresses)
            items.Add(await ReverseAsync(host, address, cancellation));
        items.Add(await SenderPolicyAsync(PublishedKind.Spf, domain, addresses, cancellation));
        if (question.ForwardedAs.Length > 0 && NameOf(question.ForwardedAs) is { } forwarded && forwarded != domain)
        {
            items.Add(ForwardedExchanges(forwarded, await dns.MxAsync(forwarded, cancellation), hosts));
            items.Add(await SenderPolicyAsync(PublishedKind.ForwardedSpf, forwarded, addresses, cancellation));
        }

        foreach (var host in hosts)
            items.Add(await HostPolicyAsync(host, [.. addresses.Where(one => one.Host == host).Select(one => one.Address)], cancellation));
        var (author, record) = await AuthorPolicyAsync(domain, cancellation);
        items.Add(author);
        items.AddRange(await ReportConsentsAsync(author, record, cancellation));
        var texts = new PublishedTexts(dns, time);
        foreach (var selector in question.Selectors)
            items.Add(await texts.KeyAsync(domain, selector, cancellation));
        var transport = await texts.MtaStsAsync(domain, cancellation);
        items.Add(transport);
        if (transport.State == PublishedState.Ok)
            items.Add(await new PublishedStsPolicy(policies).CheckAsync(domain, wanted.Count == 0 && published.Status == DnsStatus.Failed ? null : hosts).WaitAsync(cancellation));
        items.Add(await texts.TlsReportsAsync(domain, cancellation));
        foreach (var host in hosts)
            items.Add(await texts.TlsaAsync(host, cancellation));
        return new DomainChecked(domain, items);
    }

    internal static PublishedItem Unanswered(PublishedKind kind, string name, string error) => new(kind, name, PublishedState.Unknown, [], [new(RemarkKind.NoAnswer, error)], []);

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static string? NameOf(string typed) =>
        DomainName.ToAscii(typed.TrimEnd('.')) is { } name && SmtpAddress.TryParse($"x@{name}", out var address) && !address!.HasAddressLiteral ? name : null;

    private static PublishedItem Exchanges(string domain, DnsAnswer<MxRecord> answer, List<string> wanted)
    {
        if (answer.Status == DnsStatus.Failed)
            return Unanswered(PublishedKind.Mx, domain, answer.Error);
        string[] found = [.. answer.Records.Select(record => $"{record.Preference} {(record.Host.Length > 0 ? record.Host : ".")}")];
        var publish = (wanted.Count > 0 ? wanted : [$"mx.{domain}"]).Select(host => $"{domain}. MX 10 {host}.").ToList();
        if (found.Length == 0)
            return new(PublishedKind.Mx, domain, PublishedState.Missing, [], [], publish);
        // RFC 7505
        if (answer.Records.Any(record => record.Host.Length == 0))
            return new(PublishedKind.Mx, domain, PublishedState.Wrong, found, [new(RemarkKind.TakesNoMail)], publish);
        var missing = wanted.Where(host => !answer.Records.Any(record => record.Host.Equals(host, StringComparison.OrdinalIgnoreCase))).ToList();
        return missing.Count > 0
            ? new(PublishedKind.Mx, domain, PublishedState.Wrong, found, [new(RemarkKind.NotAmongThem, missing)], [.. missing.Select(host => $"{domain}. MX 10 {host}.")])
            : new(PublishedKind.Mx, domain, PublishedState.Ok, found, [], []);
    }

    /// <summary>One of the hosts takes what comes back to the senders of forwarded mail.</summary>
    private static PublishedItem ForwardedExchanges(string domain, DnsAnswer<MxRecord> answer, IReadOnlyList<string> hosts)
    {
        if (answer.Status == DnsStatus.Failed)
            return Unanswered(PublishedKind.ForwardedMx, domain, answer.Error);
        string[] found = [.. answer.Records.Select(record => $"{record.Preference} {(record.Host.Length > 0 ? record.Host : ".")}")];
        var publish = hosts.Take(1).DefaultIfEmpty($"mx.{domain}").Select(host => $"{domain}. MX 10 {host}.").ToList();
        if (found.Length == 0)
            return new(PublishedKind.ForwardedMx, domain, PublishedState.Missing, [], [new(RemarkKind.ForwardedComesBack)], publish);
        return answer.Records.Any(record => hosts.Contains(record.Host, StringComparer.OrdinalIgnoreCase))
            ? new(PublishedKind.ForwardedMx, domain, PublishedState.Ok, found, [], [])
            : new(PublishedKind.ForwardedMx, domain, PublishedState.Wrong, found, [new(RemarkKind.ForwardedGoesElsewhere)], publish);
    }

    private async Task<(PublishedItem Item, IReadOnlyList<IPAddress> Addresses)> AddressesAsync(string host, CancellationToken cancellation)
    {
        var four = await dns.IPv4Async(host, cancellation);
        var six = await dns.IPv6Async(host, cancellation);
        IPAddress[] all = [.. four.Records, .. six.Records];
        string[] found = [.. all.Select(address => address.ToString())];
        if (all.Length == 0)
        {
            return (four.Status == DnsStatus.Failed || six.Status == DnsStatus.Failed
                ? Unanswered(PublishedKind.Address, host, four.Status == DnsStatus.Failed ? four.Error : six.Error)
                : new(PublishedKind.Address, host, PublishedState.Missing, [], [], [$"{host}. A <its IPv4 address>", $"{host}. AAAA <its IPv6 address>"]), all);
        }

        var hidden = Array.FindAll(all, IsHidden);
        return (hidden.Length > 0
            ? new(PublishedKind.Address, host, PublishedState.Wrong, found, [new(RemarkKind.NotReachable, Array.ConvertAll(hidden, address => address.ToString()))], [])
            : new(PublishedKind.Address, host, PublishedState.Ok, found, [], []), Array.FindAll(all, address => !IsHidden(address)));
    }

    /// <summary>RFC 1918, RFC 4193, RFC 3927, RFC 4291 §2.5.6: of one network alone.</summary>
    private static bool IsHidden(IPAddress address)
    {
        var octets = address.GetAddressBytes();
        return IPAddress.IsLoopback(address) || (address.AddressFamily == AddressFamily.InterNetworkV6
            ? address.IsIPv6LinkLocal || address.IsIPv6UniqueLocal
            : octets is [10, ..] or [172, >= 16 and <= 31, ..] or [192, 168, ..] or [169, 254, ..] or [0, ..]);
    }

    /// <summary>Large receivers refuse clients whose address has no name that leads back to it.</summary>
    private async Task<PublishedItem> ReverseAsync(string host, IPAddress address, CancellationToken cancellation)
    {
        var name = ReversedName.Of(address);
        string[] publish = [$"{name}. PTR {host}."];
        var answer = await dns.PtrAsync(address, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return Unanswered(PublishedKind.ReverseName, name, answer.Error);
        string[] found = [.. answer.Records];
        if (found.Length == 0)
            return new(PublishedKind.ReverseName, name, PublishedState.Missing, [], [new(RemarkKind.OwnerPublishesIt, address.ToString())], publish);
        foreach (var back in found.Take(MaxHosts))
        {
            var addresses = address.AddressFamily == AddressFamily.InterNetworkV6 ? await dns.IPv6Async(back, cancellation) : await dns.IPv4Async(back, cancellation);
            if (addresses.Records.Contains(address))
                return new(PublishedKind.ReverseName, name, PublishedState.Ok, found, [], []);
        }

        return new(PublishedKind.ReverseName, name, PublishedState.Wrong, found, [new(RemarkKind.LeadsNotBack, address.ToString())], publish);
    }

    private async Task<PublishedItem> SenderPolicyAsync(PublishedKind kind, string domain, List<(string Host, IPAddress Address)> addresses, CancellationToken cancellation)
    {
        string[] publish = [$"{domain}. TXT \"v=spf1 mx -all\""];
        var item = await PolicyAsync(kind, domain, [.. addresses.Select(one => one.Address)], publish, cancellation);
        // What a stranger's address would hear.
        if (item.State != PublishedState.Ok || await AskAsync(domain, IPAddress.Parse("203.0.113.253"), cancellation) is not { Status: AuthenticationStatus.Pass or AuthenticationStatus.Neutral } anybody)
            return item;
        return anybody.Status == AuthenticationStatus.Pass
            ? item with { State = PublishedState.Wrong, Remarks = [new(RemarkKind.AnybodyMaySend)], Publish = publish }
            : item with { Remarks = [new(RemarkKind.SaysNothingOfOthers)] };
    }

    // RFC 7208 §2.3: what a host greets with is judged too.
    private Task<PublishedItem> HostPolicyAsync(string host, List<IPAddress> addresses, CancellationToken cancellation) =>
        PolicyAsync(PublishedKind.SpfOfHost, host, addresses, [$"{host}. TXT \"v=spf1 a -all\""], cancellation);

    private async Task<PublishedItem> PolicyAsync(PublishedKind kind, string name, List<IPAddress> addresses, string[] publish, CancellationToken cancellation)
    {
        var answer = await dns.TxtAsync(name, cancellation);
        if (answer.Status == DnsStatus.Failed)
            return Unanswered(kind, name, answer.Error);
        string[] found = [.. answer.Records.Select(record => record.Text).Where(text => text.StartsWith("v=spf1", StringComparison.OrdinalIgnoreCase))];
        if (found.Length == 0)
            return new(kind, name, PublishedState.Missing, [], [], publish);
        var lookUps = 0;
        // Where nobody sends, the record itself is judged all the same.
        foreach (var address in addresses.DefaultIfEmpty(IPAddress.Parse("203.0.113.253")))
        {
            var result = await AskAsync(name, address, cancellation);
            if (result.Status == AuthenticationStatus.TemporaryError)
                return Unanswered(kind, name, result.Reason) with { Found = found };
            if (result.Status is AuthenticationStatus.PermanentError or AuthenticationStatus.None)
                return new(kind, name, PublishedState.Wrong, found, [new(RemarkKind.SpfFault, result.Reason)], publish);
            if (addresses.Count > 0 && result.Status != AuthenticationStatus.Pass)
                return new(kind, name, PublishedState.Wrong, found, [new(RemarkKind.SenderNotPermitted, address.ToString(), AuthenticationWords.Of(result.Status))], publish);
            lookUps = Math.Max(lookUps, result.LookUps);
        }

        return new(kind, name, PublishedState.Ok, found, lookUps > ManyLookUps ? [new(RemarkKind.ManyLookUps, Text(lookUps), Text(new SpfLimits().LookUps))] : [], []);
    }

    private Task<SpfResult> AskAsync(string name, IPAddress client, CancellationToken cancellation) => new SpfCheck(dns).CheckAsync(
        new SpfQuestion(client, name, SpfIdentity.MailFrom, "postmaster", name) { Now = time.GetUtcNow() }, null, cancellation);

    private async Task<(PublishedItem Item, DmarcRecord? Record)> AuthorPolicyAsync(string domain, CancellationToken cancellation)
    {
        var above = PublicSuffixList.BuiltIn.OrganizationOf(domain);
        foreach (var asked in new[] { domain, above }.Distinct())
        {
            var name = $"_dmarc.{asked}";
            var answer = await dns.TxtAsync(name, cancellation);
            if (answer.Status == DnsStatus.Failed)
                return (Unanswered(PublishedKind.Dmarc, name, answer.Error), null);
            string[] found = [.. answer.Records.Select(record => record.Text).Where(text => text.StartsWith("v=DMARC1", StringComparison.OrdinalIgnoreCase))];
            if (found.Length > 0)
                return (Judge(name, found, Wanted(domain), isOwn: asked == domain), DmarcRecord.IsOne(found[0]) ? DmarcRecord.Parse(found[0]) : null);
        }

        return (new(PublishedKind.Dmarc, $"_dmarc.{domain}", PublishedState.Missing, [], [], Wanted(domain)), null);

        static string[] Wanted(string domain) => [$"_dmarc.{domain}. TXT \"v=DMARC1; p=none; rua=mailto:postmaster@{domain}\""];
    }

    /// <summary>RFC 7489 §7.1: addresses of another organisation get reports only where that says so.</summary>
    /// <param name="author">Where the record was found.</param>
    private async Task<List<PublishedItem>> ReportConsentsAsync(PublishedItem author, DmarcRecord? record, CancellationToken cancellation)
    {
        const string mailto = "mailto:";
        var domain = author.Name[(author.Name.IndexOf('.', StringComparison.Ordinal) + 1)..];
        var items = new List<PublishedItem>();
        foreach (var host in (record?.AggregateReports ?? []).Where(uri => uri.Address.StartsWith(mailto, StringComparison.OrdinalIgnoreCase))
            .Select(uri => NameOf(uri.Address[(uri.Address.LastIndexOf('@') + 1)..].Split('?')[0])).OfType<string>().Distinct().Take(MaxHosts))
        {
            if (PublicSuffixList.BuiltIn.OrganizationOf(host) == PublicSuffixList.BuiltIn.OrganizationOf(domain))
                continue;
            var name = DmarcConsent.NameOf(domain, host);
            var answer = await dns.TxtAsync(name, cancellation);
            string[] found = [.. answer.Records.Select(text => text.Text).Where(DmarcRecord.IsOne)];
            items.Add(answer.Status == DnsStatus.Failed ? Unanswered(PublishedKind.DmarcReports, name, answer.Error)
                : found.Length > 0 ? new(PublishedKind.DmarcReports, name, PublishedState.Ok, found, [], [])
                : new(PublishedKind.DmarcReports, name, PublishedState.Missing, [], [new(RemarkKind.ReportsNeedConsent, host)], [$"{name}. TXT \"v=DMARC1\""]));
        }

        return items;
    }

    private static PublishedItem Judge(string name, string[] found, string[] publish, bool isOwn)
    {
        if (found.Length > 1)
            return new(PublishedKind.Dmarc, name, PublishedState.Wrong, found, [new(RemarkKind.SeveralRecords)], publish);
        if (!DmarcRecord.IsOne(found[0]) || DmarcRecord.Parse(found[0]) is not { } record)
            return new(PublishedKind.Dmarc, name, PublishedState.Wrong, found, [new(RemarkKind.NoPolicy)], publish);
        if (record.Faults.Count > 0)
            return new(PublishedKind.Dmarc, name, PublishedState.Wrong, found, [new(RemarkKind.DmarcFaults, record.Faults)], publish);
        var policy = isOwn ? record.Policy : record.SubdomainPolicy ?? record.Policy;
        return new(PublishedKind.Dmarc, name, PublishedState.Ok, found, policy == DmarcPolicy.None ? [new(RemarkKind.PolicyNone)] : [], []);
    }
}
