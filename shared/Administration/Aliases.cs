using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>The aliases of ours: mail for one address, or for all of a domain ("@example.org"), goes to another.</summary>
public sealed class Aliases(MailDirectory directory, AddressResolver addresses)
{
    public Task<IReadOnlyList<Alias>> ListAsync(CancellationToken cancellation) => directory.ListAliasesAsync(cancellation);

    /// <summary>An alias with which any address would lead nowhere, in a circle, too far or to too many is not added.</summary>
    /// <returns><see cref="AliasAdded"/>, or why not.</returns>
    public async Task<DirectoryResult> AddAsync(string typedAddress, string typedTarget, OperatorIdentity by)
    {
        if (MailNames.AddressOrCatchAll(typedAddress, out var address) is { } noAddress)
            return noAddress;
        if (MailNames.Address(typedTarget, out var target) is { } noTarget)
            return noTarget;
        // Checked and added at once: of two aliases that would lead to each other the second is refused.
        return await directory.ChangeAsync(by, change => AddAsync(change, new Alias(address, target)));
    }

    /// <returns><see cref="AliasRemoved"/>, or why not.</returns>
    public async Task<DirectoryResult> RemoveAsync(string typedAddress, string typedTarget, OperatorIdentity by, CancellationToken cancellation)
    {
        if (MailNames.AddressOrCatchAll(typedAddress, out var address) is { } noAddress)
            return noAddress;
        if (MailNames.Address(typedTarget, out var target) is { } noTarget)
            return noTarget;
        var alias = new Alias(address, target);
        var isRemoved = await directory.ChangeAsync(by, async change =>
        {
            if (!await change.RemoveAliasAsync(address, target))
                return false;
            await change.NoteAsync(OperatorAction.AliasRemoved, TextOf(address, target));
            return true;
        });
        return isRemoved
            ? new AliasRemoved(alias, await AliasReview.FindBrokenAsync(directory, addresses, address, cancellation))
            : new NoSuchAlias(alias);
    }

    /// <summary>An alias in the audit.</summary>
    internal static string TextOf(string address, string target) => $"{address} -> {target}";

    private static async ValueTask<DirectoryResult> AddAsync(DirectoryChange change, Alias alias)
    {
        var (address, target) = alias;
        if (Domains.RefuseAliases(await change.FindDomainAsync(MailNames.DomainOf(address)), MailNames.DomainOf(address)) is { } refused)
            return refused;
        var entry = await change.FindAsync(address);
        if (entry.Targets.Contains(target))
            return new AliasAlreadyThere(alias);
        if (await change.CheckAliasAsync(address, target) is var (fault, at, circle) && fault != AddressFault.None)
            return new AliasFaulty(alias, fault, at, circle);
        await change.AddAliasAsync(address, target);
        await change.NoteAsync(OperatorAction.AliasAdded, TextOf(address, target));
        // Where a name is both, the alias decides: AddressResolver.cs.
        return new AliasAdded(alias, PassesOver: entry.Account is not null && target != address && !entry.Targets.Contains(address));
    }
}
