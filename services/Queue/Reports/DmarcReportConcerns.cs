using MailPipeline.Authentication.Dmarc;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// Of which domains reports come here for a reason: those of the directory and what is below them, and those of others where an address of ours takes their
/// reports by what its own domain publishes (RFC 7489 §7.1).
/// </summary>
internal sealed class DmarcReportConcerns(MailDirectory directory, DnsCache dns, IOptions<QueueOptions> options)
{
    private readonly string[] _hosts =
        [.. options.Value.DmarcReports.Addresses.Select(address => DomainName.Key(address[(address.LastIndexOf('@') + 1)..])).Distinct(StringComparer.Ordinal)];

    /// <summary>Null: DNS does not say now.</summary>
    /// <param name="domain">In A-labels and lower case, as a stranger wrote it.</param>
    public async Task<bool?> AskAsync(string domain, CancellationToken cancellationToken)
    {
        if (DomainName.ToAscii(domain) is not { Length: > 0 } name || !SmtpAddress.TryParse($"x@{name}", out var address) || address!.HasAddressLiteral)
            return false;
        for (var above = name; ; above = above[(above.IndexOf('.', StringComparison.Ordinal) + 1)..])
        {
            if (await directory.FindDomainAsync(above, cancellationToken) is not null)
                return true;
            if (!above.Contains('.', StringComparison.Ordinal))
                break;
        }

        var isAnswered = true;
        foreach (var host in _hosts)
        {
            var answer = await dns.TxtAsync(DmarcConsent.NameOf(name, host));
            if (answer.Records.Any(record => DmarcRecord.IsOne(record.Text)))
                return true;
            isAnswered &= answer.Status != DnsStatus.Failed;
        }

        return isAnswered ? false : null;
    }
}
