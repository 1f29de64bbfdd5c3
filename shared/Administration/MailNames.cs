using System.Text;
using MailPipeline.Sasl;
using MailPipeline.Smtp;

namespace MailPipeline.Administration;

/// <summary>
/// Domains and addresses as typed by an operator, by the grammar of the protocol. Each method returns null and the name in the form in
/// which it is kept (<see cref="MailName.Key"/>), or why what was typed is none.
/// </summary>
public static class MailNames
{
    private const int MaxDomain = 255; // RFC 5321 §4.5.3.1.2
    private const int MaxAccountLocalPart = 64;
    private const int MaxAccount = 248; // "USER " and CRLF around it

    /// <summary>A domain in A-labels, typed in these or in U-labels (RFC 5890 §2.3.2.1).</summary>
    public static DirectoryResult? Domain(string typed, out string domain)
    {
        domain = typed.TrimEnd('.', '\u3002', '\uFF0E', '\uFF61');
        var isDomain = domain.Length <= MaxDomain && SmtpAddress.TryParse("a@" + domain, out var address, allowUtf8: true) && !address!.HasAddressLiteral;
        domain = isDomain ? DomainName.Key(domain) : "";
        return isDomain ? null : new NotADomain(typed);
    }

    public static DirectoryResult? Address(string typed, out string name)
    {
        var isAddress = SmtpAddress.TryParse(typed, out var address, allowUtf8: true) && address!.HasDomain && !address.HasAddressLiteral;
        name = isAddress ? MailName.Key(address!.Canonical) : "";
        return isAddress ? null : new NotAnAddress(typed);
    }

    /// <summary>
    /// What an account is called is typed as a user name in every protocol here, and in those of others it writes to: no quotes and
    /// spaces (arguments of RFC 1939 §3 are words), nothing that SASLprep has no place for in a user name (RFC 6856 §2.2), no more than
    /// 64 octets before the "@" (RFC 5321 §4.5.3.1.1), and a USER line of 255 octets with its end (RFC 2449 §4).
    /// </summary>
    public static DirectoryResult? Account(string typed, out string address)
    {
        if (Address(typed, out address) is { } refused)
            return refused;
        var local = address[..address.LastIndexOf('@')];
        return Encoding.UTF8.GetByteCount(local) <= MaxAccountLocalPart && Encoding.UTF8.GetByteCount(address) <= MaxAccount
            && !local.StartsWith('"') && !local.Any(char.IsWhiteSpace) && SaslPrep.Prepare(local) == local
            ? null
            : new NotAnAccountName(typed, MaxAccountLocalPart, MaxAccount);
    }

    /// <summary>An address, or "@example.org" for all of a domain.</summary>
    public static DirectoryResult? AddressOrCatchAll(string typed, out string address)
    {
        if (!typed.StartsWith('@'))
            return Address(typed, out address);
        var refused = Domain(typed[1..], out var domain);
        address = "@" + domain;
        return refused;
    }

    public static string DomainOf(string address) => address[(address.LastIndexOf('@') + 1)..];
}
