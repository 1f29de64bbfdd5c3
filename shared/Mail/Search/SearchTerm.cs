using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>By what a message is found again: 64 bits of a hash of what it is and what it says, so that each costs as little however long it is.</summary>
internal static class SearchTerm
{
    /// <param name="address">Without brackets; empty: the null sender.</param>
    public static long OfSender(string address) => TextHash.Of('f', MailName.Key(address));

    public static long OfRecipient(string address) => TextHash.Of('t', MailName.Key(address));

    /// <param name="headerId">A field Message-ID without brackets, as it was written: RFC 5322 §3.6.4 knows no other spelling of the same.</param>
    public static long OfHeaderId(string headerId) => TextHash.Of('i', headerId);

    /// <summary>Of a message, each once.</summary>
    /// <param name="recipients">Where it goes, and what was written before aliases; empty texts are passed over.</param>
    public static HashSet<long> Of(string sender, string headerId, IEnumerable<string> recipients)
    {
        var terms = new HashSet<long> { OfSender(sender) };
        if (headerId.Length > 0)
            terms.Add(OfHeaderId(headerId));
        foreach (var recipient in recipients)
        {
            if (recipient.Length > 0)
                terms.Add(OfRecipient(recipient));
        }

        return terms;
    }
}
