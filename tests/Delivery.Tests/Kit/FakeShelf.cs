using MailPipeline.Delivery.Tls;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>Policies that all processes share, in memory.</summary>
internal sealed class FakeShelf : IStsPolicyShelf
{
    public Dictionary<string, StoredStsPolicy> Kept { get; } = [];

    public bool IsAway { get; set; }

    public Task<StoredStsPolicy?> FindAsync(string domain)
    {
        ThrowIfAway();
        return Task.FromResult(Kept.GetValueOrDefault(domain));
    }

    public Task SaveAsync(StoredStsPolicy policy)
    {
        ThrowIfAway();
        Kept[policy.Domain] = policy;
        return Task.CompletedTask;
    }

    public Task UseAsync(string domain, DateTimeOffset now)
    {
        ThrowIfAway();
        if (Kept.TryGetValue(domain, out var policy))
            Kept[domain] = policy with { UsedAt = now };
        return Task.CompletedTask;
    }

    public Task<IReadOnlyList<StoredStsPolicy>> ListDueAsync(DateTimeOffset now, DateTimeOffset usedSince, int most) =>
        Task.FromResult<IReadOnlyList<StoredStsPolicy>>([.. Kept.Values.Where(policy => policy.RefreshAt <= now && policy.UsedAt > usedSince).Take(most)]);

    public Task<bool> TakeAsync(StoredStsPolicy due, DateTimeOffset nextAt)
    {
        var isDue = Kept.GetValueOrDefault(due.Domain) == due;
        if (isDue)
            Kept[due.Domain] = due with { RefreshAt = nextAt };
        return Task.FromResult(isDue);
    }

    public Task ForgetExpiredAsync(DateTimeOffset before)
    {
        foreach (var expired in Kept.Values.Where(policy => policy.ExpiresAt < before).ToList())
            Kept.Remove(expired.Domain);
        return Task.CompletedTask;
    }

    private void ThrowIfAway()
    {
        if (IsAway)
            throw new Storage.StorageUnavailableException(Storage.StorageFault.Unavailable, "away");
    }
}
