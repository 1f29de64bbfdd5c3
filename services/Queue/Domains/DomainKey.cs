using MailPipeline.Smtp;

namespace MailPipeline.Queue.Domains;

/// <summary>The key of the domain queue that an address belongs to.</summary>
internal static class DomainKey
{
    /// <summary>The domain of the address in A-labels and in lower case.</summary>
    public static string Of(string address) => DomainName.Key(address[(address.LastIndexOf('@') + 1)..]);
}
