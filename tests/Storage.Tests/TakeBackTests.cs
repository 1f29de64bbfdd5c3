using MailPipeline.Contracts;

namespace MailPipeline.Storage.Tests;

/// <summary>What is taken back from workers that died.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task What_a_dead_worker_had_not_begun_costs_nothing_and_is_due_at_once()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: false, default);
        Store.Time.Advance(TimeSpan.FromSeconds(1));

        Assert.Equal(0, await Store.Queue.TakeBackClaimsAsync(evenIfLeased: true, default));

        Assert.Equal(recipients, await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default));
        Assert.Contains("example.net", (await DueDomainsAsync()).Select(due => due.Domain));
    }

    [Fact]
    public async Task What_begins_after_it_was_claimed_counts_from_then_on()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: false, default);

        Assert.True(await Store.Claims.BeginAsync(7, default));
        Assert.True(await Store.Claims.BeginAsync(7, default));
        Assert.Equal(1, await Store.Queue.TakeBackClaimsAsync(evenIfLeased: true, default));

        Assert.Equal(1, (await Store.Queue.FindQueuedAsync(recipients[0].RecipientId, default))!.Attempts);
        // The one who comes back learns of it before he dials.
        Assert.False(await Store.Claims.BeginAsync(7, default));
    }
}
