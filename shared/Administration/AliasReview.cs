using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>Which aliases a change has left without an end.</summary>
internal static class AliasReview
{
    /// <summary>The aliases that lead to a name which something was taken from, or to one of a domain, as far as they lead nowhere now.</summary>
    /// <param name="address">An address, or "@example.org" for all of a domain.</param>
    public static async Task<IReadOnlyList<Alias>> FindBrokenAsync(
        MailDirectory directory, AddressResolver addresses, string address, CancellationToken cancellation)
    {
        var broken = new List<Alias>();
        foreach (var alias in await directory.ListAliasesAsync(cancellation))
        {
            var isHit = alias.Target == address || (address.StartsWith('@') && alias.Target.EndsWith(address, StringComparison.Ordinal));
            if (isHit && (await addresses.ResolveAsync(alias.Target, cancellation)).Fault != AddressFault.None)
                broken.Add(alias);
        }
        return broken;
    }
}
