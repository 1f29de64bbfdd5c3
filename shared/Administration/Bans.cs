using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>Client networks in force as banned.</summary>
/// <param name="HasMore">There are others besides.</param>
public sealed record BansFound(IReadOnlyList<Ban> Bans, bool HasMore);

/// <summary>What became of a ban: one of the records in this file, and of no others.</summary>
public abstract record BanResult
{
    private protected BanResult(ActStatus status) => Status = status;

    public ActStatus Status { get; }
}

public sealed record BanAdded(Ban Ban) : BanResult(ActStatus.Done);

/// <param name="Lifted">The ban that was.</param>
public sealed record BanLifted(Ban Lifted) : BanResult(ActStatus.Done);

/// <summary>There is no ban of exactly this network.</summary>
public sealed record NoSuchBan(string Network) : BanResult(ActStatus.NotDone);

/// <summary>It is no address and no network, or one so large that it is there by mistake.</summary>
public sealed record NotANetwork(string Typed) : BanResult(ActStatus.Refused);

/// <summary>Client networks from which nobody is served, on any server, until a time. Those that rules have set are here too.</summary>
public sealed class Bans(BanStore store)
{
    public async Task<BansFound> ListAsync(int most, CancellationToken cancellation)
    {
        var found = await store.ListAsync(most + 1, cancellation);
        return new BansFound([.. found.Take(most)], found.Count > most);
    }

    /// <summary>In the place of the one that is there.</summary>
    /// <returns><see cref="BanAdded"/>, or why not.</returns>
    public async Task<BanResult> AddAsync(string typed, TimeSpan time, string reason, OperatorIdentity by) =>
        BanStore.TryParse(typed, out var network) ? new BanAdded(await store.SetAsync(network, time, reason, by)) : new NotANetwork(typed);

    /// <returns><see cref="BanLifted"/>, or why not.</returns>
    public async Task<BanResult> LiftAsync(string typed, OperatorIdentity by)
    {
        if (!BanStore.TryParse(typed, out var network))
            return new NotANetwork(typed);
        return await store.LiftAsync(network, by) is { } lifted ? new BanLifted(lifted) : new NoSuchBan(network.ToString());
    }
}
