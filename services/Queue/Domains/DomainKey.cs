namespace MailPipeline.Queue.Domains;

/// <summary>The key of the domain queue that an address belongs to.</summary>
internal static class DomainKey
{
    /// <summary>The domain of the address in lower case.</summary>
    public static string Of(string address) => address[(address.LastIndexOf('@') + 1)..].ToLowerInvariant();
}
