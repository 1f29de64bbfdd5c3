using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// What a handler says in its ARC-Authentication-Results that it saw (RFC 8617 §4.1.1), held against whom a message says that it is from. Read as many
/// write it: a result that is none by the grammar says nothing, and spoils no other.
/// </summary>
public static class SealedResults
{
    /// <summary>
    /// The handler saw it shown that the message is from each of these domains: by DMARC, or, where it says nothing of that, by SPF or a signature of a domain
    /// that is aligned.
    /// </summary>
    /// <param name="value">Of the field, the instance included.</param>
    /// <param name="domains">In A-labels and lower case.</param>
    /// <param name="record">Of the author's domain, which may want strict alignment; null: none is known.</param>
    public static bool Show(string value, IReadOnlyCollection<string> domains, DmarcRecord? record, PublicSuffixList suffixes)
    {
        ArgumentNullException.ThrowIfNull(value);
        ArgumentNullException.ThrowIfNull(suffixes);
        if (domains is not { Count: > 0 })
            return false;
        var results = Read(value);
        return domains.All(domain => Shows(results, domain, record, suffixes));
    }

    private static bool Shows(List<MethodResult> results, string domain, DmarcRecord? record, PublicSuffixList suffixes)
    {
        var dmarc = results.FindAll(result => result.Method == "dmarc" && (Property(result, "header", "from") is not { } from || DomainOf(from) == domain));
        if (dmarc.Count > 0)
            return dmarc.TrueForAll(result => result.Result == "pass");
        return results.Exists(result => result.Result == "pass" && result.Method switch
        {
            "spf" => IsAligned(Property(result, "smtp", "mailfrom"), record?.IsSpfStrict == true),
            "dkim" => IsAligned(Property(result, "header", "d") ?? Property(result, "header", "i"), record?.IsDkimStrict == true),
            _ => false,
        });

        bool IsAligned(string? identity, bool isStrict) =>
            identity is not null && DomainOf(identity) is { Length: > 0 } name && (name == domain || (!isStrict && suffixes.OrganizationOf(name) == suffixes.OrganizationOf(domain)));
    }

    private static string? Property(MethodResult result, string type, string name) =>
        result.Properties.FirstOrDefault(property => property.Type == type && property.Name == name) is { Value.Length: > 0 } found ? found.Value : null;

    private static string DomainOf(string identity) => DomainName.ToAscii(identity[(identity.LastIndexOf('@') + 1)..].TrimEnd('.')) ?? "";

    private static List<MethodResult> Read(string value)
    {
        var results = new List<MethodResult>();
        foreach (var part in Parts(value))
        {
            if (AuthenticationResults.Parse($"x; {part}") is { } read)
                results.AddRange(read.Results);
        }

        return results;
    }

    /// <summary>What stands between semicolons; those in quotes and in comments are none (RFC 5322 §3.2).</summary>
    private static IEnumerable<string> Parts(string value)
    {
        var (start, depth, isQuoted) = (0, 0, false);
        for (var i = 0; i < value.Length; i++)
        {
            switch (value[i])
            {
                case '\\' when isQuoted || depth > 0:
                    i++;
                    break;
                case '"' when depth == 0:
                    isQuoted = !isQuoted;
                    break;
                case '(' when !isQuoted:
                    depth++;
                    break;
                case ')' when depth > 0:
                    depth--;
                    break;
                case ';' when !isQuoted && depth == 0:
                    yield return value[start..i];
                    start = i + 1;
                    break;
            }
        }

        yield return value[start..];
    }
}
