using System.Globalization;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Standalone.Commands;

/// <summary>Domains and addresses as typed by an operator, in lower case, by the grammar of the protocol.</summary>
internal static class MailNames
{
    private const int MaxDomain = 255; // RFC 5321 §4.5.3.1.2
    private const int MaxAccountLocalPart = 64;
    private const int MaxAccount = 248; // "USER " and CRLF around it

    /// <exception cref="UsageException">It is not a domain name.</exception>
    public static string Domain(string typed)
    {
        var domain = typed.TrimEnd('.').ToLowerInvariant();
        return domain.Length <= MaxDomain && SmtpAddress.TryParse("a@" + domain, out var address, allowUtf8: true) && !address!.HasAddressLiteral
            ? domain
            : throw new UsageException($"'{typed}' is not a domain; it looks like example.org");
    }

    /// <summary>
    /// A domain that is to be ours: in ASCII, as it stands in the DNS and in commands where SMTPUTF8 is not offered (RFC 5890 §2.3.2.1).
    /// </summary>
    /// <exception cref="UsageException">It is not a domain name, or not in ASCII.</exception>
    public static string NewDomain(string typed)
    {
        var domain = Domain(typed);
        if (Ascii.IsValid(domain))
            return domain;
        var ascii = "";
        try
        {
            ascii = new IdnMapping().GetAscii(domain);
        }
        catch (ArgumentException)
        {
            // It has no such form, and cannot be in the DNS.
        }

        throw new UsageException($"'{typed}' is not in ASCII, and no mail could be written to it" + (ascii.Length > 0 ? $"; it is called {ascii} in mail" : ""));
    }

    /// <exception cref="UsageException">It is not an address.</exception>
    public static string Address(string typed) =>
        SmtpAddress.TryParse(typed, out var address, allowUtf8: true) && address!.HasDomain && !address.HasAddressLiteral
            ? address.Canonical.ToLowerInvariant()
            : throw new UsageException($"'{typed}' is not an address; it looks like ann@example.org");

    /// <summary>
    /// What an account is called is typed as a user name in every protocol here, and in those of others it writes to: ASCII (POP3
    /// has no UTF8, RFC 6856), no quotes and spaces (arguments of RFC 1939 §3 are words), no more than 64 octets before the "@"
    /// (RFC 5321 §4.5.3.1.1), and a USER line of 255 octets with its end (RFC 2449 §4).
    /// </summary>
    /// <exception cref="UsageException">It is not an address, or none that every protocol can carry.</exception>
    public static string Account(string typed)
    {
        var address = Address(typed);
        var local = address[..address.LastIndexOf('@')];
        return local.Length <= MaxAccountLocalPart && address.Length <= MaxAccount && !local.StartsWith('"') && Ascii.IsValid(address)
            ? address
            : throw new UsageException(
                $"'{typed}' cannot be an account: its name is typed at POP3 as well, so it is ASCII, without quotes and spaces, at most {MaxAccountLocalPart} characters before the '@' and {MaxAccount} in all. An alias may be called so");
    }

    /// <summary>An address, or "@example.org" for all of a domain.</summary>
    public static string AddressOrCatchAll(string typed) => typed.StartsWith('@') ? "@" + Domain(typed[1..]) : Address(typed);

    public static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];
}
