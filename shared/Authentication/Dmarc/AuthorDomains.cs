using System.Text;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Of which domains a message says that it is (RFC 7489 §6.6.1): those of all addresses of all its From fields, groups included, so that
/// nobody hides behind a second one. A field that is no list of addresses by the grammar names every domain in it behind an "@", for readers
/// make different things of it.
/// </summary>
/// <param name="Domains">In A-labels and lower case, no two alike.</param>
/// <param name="Fields">How many From fields there are.</param>
/// <param name="IsWellFormed">There is one field, which keeps to the grammar.</param>
public sealed record AuthorDomains(IReadOnlyList<string> Domains, int Fields, bool IsWellFormed)
{
    /// <summary>Far more than a field needs that names an author or a few; what is behind it nobody sees.</summary>
    private const int MaxFieldBytes = 16 * 1024;

    private static readonly ParserOptions s_strict = new()
    {
        AddressParserComplianceMode = RfcComplianceMode.Strict,
        AllowAddressesWithoutDomain = false,
        AllowUnquotedCommasInAddresses = false,
        MaxAddressGroupDepth = 1,
    };

    public static AuthorDomains Of(MessageHeader header)
    {
        ArgumentNullException.ThrowIfNull(header);
        var domains = new List<string>();
        var fields = header.Named("from");
        var isWellFormed = fields.Count == 1;
        foreach (var field in fields)
            isWellFormed &= TryRead(field.Value.Span, domains);
        return new AuthorDomains([.. domains.Distinct(StringComparer.Ordinal)], fields.Count, isWellFormed);
    }

    private static bool TryRead(ReadOnlySpan<byte> value, List<string> domains)
    {
        if (value.Length > MaxFieldBytes)
        {
            // Whole words alone.
            Scan(value[..(value[..MaxFieldBytes].LastIndexOfAny(" \t\r\n,"u8) + 1)], domains);
            return false;
        }

        try
        {
            // Not TryParse, which forgives what readers take in different ways.
            foreach (var mailbox in InternetAddressList.Parse(s_strict, value.ToArray()).Mailboxes)
                Add(mailbox.Address[(mailbox.Address.LastIndexOf('@') + 1)..], domains);
            return true;
        }
        catch (ParseException)
        {
            Scan(value, domains);
            return false;
        }
    }

    private static void Scan(ReadOnlySpan<byte> value, List<string> domains)
    {
        var text = Encoding.UTF8.GetString(value);
        for (var at = text.IndexOf('@', StringComparison.Ordinal); at >= 0; at = text.IndexOf('@', at + 1))
        {
            var end = at + 1;
            while (end < text.Length && (char.IsLetterOrDigit(text[end]) || text[end] is '.' or '-' or '_'))
                end++;
            Add(text[(at + 1)..end].TrimEnd('.'), domains);
        }
    }

    private static void Add(string domain, List<string> domains)
    {
        // An address literal, or none at all, has no record of its own.
        if (DomainName.ToAscii(domain) is { Length: > 0 } name && SmtpAddress.TryParse($"x@{name}", out var address) && !address!.HasAddressLiteral)
            domains.Add(name);
    }
}
