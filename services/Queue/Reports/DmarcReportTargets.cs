using MailPipeline.Authentication.Dmarc;
using MailPipeline.Dns;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Reports;

/// <summary>A mailbox that a report goes to.</summary>
/// <param name="MaxBytes">Of the report, as it is attached; null: any size.</param>
internal sealed record DmarcReportTarget(string Mailbox, long? MaxBytes);

/// <summary>Who is to be told about a domain.</summary>
/// <param name="IsComplete">DNS has answered all that was asked.</param>
/// <param name="Unwilling">Addresses whose domain does not say that it takes reports about this one.</param>
internal sealed record DmarcReportTargetsFound(IReadOnlyList<DmarcReportTarget> Targets, bool IsComplete, IReadOnlyList<string> Unwilling);

/// <summary>
/// Where a domain wants reports (RFC 7489 §6.2), as its record says now. An address of another organisation counts only if that one's DNS says that it takes
/// them (§7.1): nobody is sent the reports of strangers.
/// </summary>
internal sealed class DmarcReportTargets(DnsCache dns)
{
    /// <summary>What is named beyond these is left out; RFC 7489 §6.2 asks for two at least.</summary>
    internal const int MostTargets = 5;

    private const string Mailto = "mailto:";

    public async Task<DmarcReportTargetsFound> FindAsync(string domain)
    {
        var answer = await dns.TxtAsync($"_dmarc.{domain}");
        if (answer.Status == DnsStatus.Failed)
            return new([], IsComplete: false, []);
        if (answer.Records.Where(record => DmarcRecord.IsOne(record.Text)).Take(2).ToList() is not [var only] || DmarcRecord.Parse(only.Text) is not { } policy)
            return new([], IsComplete: true, []);
        List<DmarcReportTarget> targets = [];
        List<string> unwilling = [];
        var isComplete = true;
        foreach (var uri in policy.AggregateReports.Where(uri => Read(uri) is not null).Take(MostTargets))
        {
            var target = Read(uri)!;
            switch (await ConsentAsync(domain, target))
            {
                case null:
                    isComplete = false;
                    break;
                case []:
                    unwilling.Add(target.Mailbox);
                    break;
                case { } willing:
                    targets.AddRange(willing);
                    break;
            }
        }

        return new([.. targets.DistinctBy(target => target.Mailbox, StringComparer.OrdinalIgnoreCase).Take(MostTargets)], isComplete, unwilling);
    }

    /// <summary>RFC 7489 §7.1: the address, or those that its domain names in its place; none: it takes no reports about this domain. Null: DNS does not say.</summary>
    private async Task<IReadOnlyList<DmarcReportTarget>?> ConsentAsync(string domain, DmarcReportTarget target)
    {
        var host = DomainOf(target);
        if (PublicSuffixList.BuiltIn.OrganizationOf(host) == PublicSuffixList.BuiltIn.OrganizationOf(domain))
            return [target];
        var answer = await dns.TxtAsync(DmarcConsent.NameOf(domain, host));
        if (answer.Status == DnsStatus.Failed)
            return null;
        var records = answer.Records.Where(record => DmarcRecord.IsOne(record.Text)).ToList();
        if (records.Count == 0)
            return [];
        // They may name other addresses of the same host, and no others.
        var others = records.SelectMany(record => DmarcRecord.Parse(record.Text)?.AggregateReports ?? []).Select(Read)
            .OfType<DmarcReportTarget>().Where(other => DomainOf(other) == host).ToList();
        return others.Count > 0 ? others : [target];
    }

    private static string DomainOf(DmarcReportTarget target) => DomainName.Key(target.Mailbox[(target.Mailbox.LastIndexOf('@') + 1)..]);

    /// <summary>Null: it is no mailbox (RFC 7489 §6.2: others may be passed over).</summary>
    private static DmarcReportTarget? Read(DmarcReportUri uri)
    {
        if (!uri.Address.StartsWith(Mailto, StringComparison.OrdinalIgnoreCase))
            return null;
        var mailbox = Uri.UnescapeDataString(uri.Address[Mailto.Length..].Split('?')[0]);
        return SmtpAddress.TryParse(mailbox, out var address) && address!.HasDomain && !address.HasAddressLiteral ? new(address.Text, uri.MaxBytes) : null;
    }
}
