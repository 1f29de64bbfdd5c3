using MailPipeline.Smtp;

namespace MailPipeline.Queue;

/// <summary>
/// Reports by DMARC (RFC 7489 §7.2). Section "Queue:DmarcReports". None are sent unless Ingress counts what they tell (Ingress:Checks:Authentication:Dmarc:Reports).
/// </summary>
public sealed class DmarcReportOptions
{
    private const int MaxOrganization = 200;

    private static readonly TimeSpan s_longestRetention = TimeSpan.FromDays(3650);

    /// <summary>Our organisation, for people. Default: <see cref="QueueOptions.HostName"/>.</summary>
    public string Organization { get; set; } = "";

    /// <summary>Mailbox of who answers for reports, and from which they come. Default: postmaster@ and <see cref="QueueOptions.HostName"/>.</summary>
    public string Contact { get; set; } = "";

    /// <summary>Domains that are told nothing, and those below them, whatever their records ask for. Default: none.</summary>
    public IList<string> ExceptDomains { get; init; } = [];

    /// <summary>Addresses of ours to which others send their reports, as records of our domains name them; what they tell is kept. Default: none.</summary>
    public IList<string> Addresses { get; init; } = [];

    /// <summary>How long reports are remembered for operators, ours and those of others. Default 90 days.</summary>
    public TimeSpan Retention { get; set; } = TimeSpan.FromDays(90);

    /// <summary>Null: all is well. Else which setting is not, and what is allowed.</summary>
    internal string? FaultOf(string section)
    {
        if (Organization.Length > MaxOrganization || PlainText.Of(Organization) != Organization)
            return $"{section}:{nameof(Organization)} is '{PlainText.Line(Organization, MaxOrganization)}'; it must be a line of up to {MaxOrganization} characters or left out";
        if (Contact.Length > 0 && !(SmtpAddress.TryParse(Contact, out var contact) && contact!.HasDomain))
            return $"{section}:{nameof(Contact)} is '{Contact}'; it must be a mail address with a domain or left out";
        for (var i = 0; i < ExceptDomains.Count; i++)
        {
            if (DomainName.ToAscii(ExceptDomains[i]) is not { } name || !SmtpAddress.TryParse($"x@{name}", out var address) || address!.HasAddressLiteral)
                return $"{section}:{nameof(ExceptDomains)}:{i} is '{ExceptDomains[i]}'; it must be a domain name such as example.org";
        }

        for (var i = 0; i < Addresses.Count; i++)
        {
            if (!SmtpAddress.TryParse(Addresses[i], out var address, allowUtf8: true) || !address!.HasDomain)
                return $"{section}:{nameof(Addresses)}:{i} is '{Addresses[i]}'; it must be a mail address with a domain, such as dmarc-reports@example.org";
        }

        return Retention < TimeSpan.FromDays(1) || Retention > s_longestRetention
            ? $"{section}:{nameof(Retention)} is {Retention}; it must be 1 day to {s_longestRetention.TotalDays} days" : null;
    }
}
