using System.Text;

namespace MailPipeline.Mail;

/// <summary>What is asked where an address is followed: of what is remembered, or of the transaction that is going to change it.</summary>
internal interface IDirectoryReader
{
    /// <summary>What separates a user from a detail (<see cref="Subaddress"/>).</summary>
    string DetailSeparators { get; }

    /// <summary>Null: it is none of ours.</summary>
    ValueTask<MailDomain?> FindDomainAsync(string domain, CancellationToken cancellationToken);

    ValueTask<DirectoryEntry> FindAsync(string address, CancellationToken cancellationToken);

    Task<IReadOnlyList<Alias>> ListAliasesAsync(CancellationToken cancellationToken);
}

internal static class DirectoryQuestions
{
    /// <summary>The address in the domain that its own stands for, that domain, and what is said of it; null where it is none of ours.</summary>
    public static async ValueTask<(string Address, string Domain, MailDomain? Own)> InOwnDomainAsync(
        this IDirectoryReader directory, string address, CancellationToken cancellationToken)
    {
        var domain = AddressResolver.DomainOf(address);
        return await directory.FindDomainAsync(domain, cancellationToken) switch
        {
            null => (InAscii(address, domain), domain, null),
            // What stands for another stands for one with maildrops.
            { AliasOf: { Length: > 0 } other } => (string.Concat(address.AsSpan(0, address.LastIndexOf('@') + 1), other), other, new MailDomain(other)),
            var own => (address, domain, own),
        };
    }

    /// <summary>An alias that was added by an earlier program may lead to a domain in U-labels, which not every host takes.</summary>
    private static string InAscii(string address, string domain) =>
        Ascii.IsValid(address) ? address : string.Concat(address.AsSpan(0, address.LastIndexOf('@') + 1), domain);

    /// <summary>
    /// What has this name, else what has it without its detail. A catch-all is not asked for.
    /// </summary>
    /// <param name="address">In a domain that is no alias of another.</param>
    /// <returns>The name that something has, in lower case; the whole one where nothing has any.</returns>
    public static async ValueTask<(string Name, DirectoryEntry Entry)> FindNameAsync(
        this IDirectoryReader directory, string address, CancellationToken cancellationToken)
    {
        var name = MailDirectory.Normalize(address);
        if (await directory.FindAsync(name, cancellationToken) is { IsEmpty: false } own)
            return (name, own);
        foreach (var user in Subaddress.UsersOf(name, directory.DetailSeparators))
        {
            if (await directory.FindAsync(user, cancellationToken) is { IsEmpty: false } entry)
                return (user, entry);
        }
        return (name, DirectoryEntry.Nothing);
    }
}
