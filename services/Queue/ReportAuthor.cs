using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Smtp;

namespace MailPipeline.Queue;

/// <summary>Of which domain a report is that others have sent, by its field From; whether that is true only DMARC says.</summary>
internal static class ReportAuthor
{
    /// <summary>In A-labels and lower case; empty: there is none, or there are several.</summary>
    public static string Of(ReadOnlyMemory<byte> octets)
    {
        var end = octets.Span.IndexOf("\r\n\r\n"u8);
        return AuthorDomains.Of(MessageHeader.Parse(octets[..(end < 0 ? octets.Length : end + 2)])) is { IsWellFormed: true, Domains: [var only] } ? only : "";
    }

    /// <summary>Both are of one organisation, as the Public Suffix List has it.</summary>
    public static bool AreOneOrganization(string author, string domain) =>
        PublicSuffixList.BuiltIn.OrganizationOf(DomainName.Key(domain)) == PublicSuffixList.BuiltIn.OrganizationOf(author);
}
