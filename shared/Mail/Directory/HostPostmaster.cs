namespace MailPipeline.Mail;

/// <summary>
/// Who reads what is written to this host and not to one of its domains: its postmaster (RFC 5321 §4.5.1), and MAILER-DAEMON, from
/// whom reports come. Where the host's name is a domain of ours too, names that are there keep their mail.
/// </summary>
public sealed class HostPostmaster(AddressResolver addresses, MailDirectory directory)
{
    /// <summary>A stranger's command must not cost a look-up for each of very many domains.</summary>
    private const int MaxDomainsAsked = 10;

    /// <summary>The address is postmaster or MAILER-DAEMON of this host. Both are read without regard to case.</summary>
    public static bool IsMeantBy(string address, string hostName)
    {
        var at = address.LastIndexOf('@');
        return at >= 0 && address.AsSpan(at + 1).Equals(hostName, StringComparison.OrdinalIgnoreCase)
            && (address.AsSpan(0, at).Equals("postmaster", StringComparison.OrdinalIgnoreCase)
                || address.AsSpan(0, at).Equals("mailer-daemon", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>
    /// The postmaster of the domain called like the host, else whom the operator named, else the postmaster of the first of our first
    /// ten domains that has one; null where there is nobody.
    /// </summary>
    /// <param name="named">A mail address; empty: the operator named nobody.</param>
    public async ValueTask<string?> FindAsync(string hostName, string named, CancellationToken cancellationToken)
    {
        var own = $"postmaster@{hostName}";
        if (await IsThereAsync(own, cancellationToken))
            return own;
        if (named.Length > 0)
            return named;
        foreach (var domain in await directory.FirstDomainsAsync(MaxDomainsAsked, cancellationToken))
        {
            if (await IsThereAsync($"postmaster@{domain}", cancellationToken))
                return $"postmaster@{domain}";
        }

        return null;
    }

    private async ValueTask<bool> IsThereAsync(string address, CancellationToken cancellationToken) =>
        await addresses.ResolveAsync(address, cancellationToken) is { IsLocal: true, Fault: AddressFault.None };
}
