namespace MailPipeline.Mail.Tests;

/// <summary>Who was put off at first sight, for all servers.</summary>
public abstract partial class StoreTests
{
    private static readonly TimeSpan s_hour = TimeSpan.FromHours(1);

    [Fact]
    public async Task A_triplet_is_seen_once_and_passes_when_it_comes_back()
    {
        var store = new GreylistStore(Store.Database);
        var triplet = GreylistStore.KeyOf("203.0.113.0/24", "bob@example.net", "ann@example.org");
        Assert.Null(await store.FindAsync(triplet, default));
        var began = Store.Time.GetUtcNow();
        var seen = await store.SeeAsync(triplet, s_hour);
        Assert.Equal(new GreylistEntry(began, 0, began + s_hour), seen);
        Store.Time.Advance(TimeSpan.FromMinutes(5));
        Assert.Equal(seen, await store.SeeAsync(triplet, s_hour));
        Assert.Equal(seen, await store.FindAsync(triplet, default));
        await store.PassAsync(triplet, "203.0.113.0/24", TimeSpan.FromDays(1));
        Assert.Equal(new GreylistEntry(began, 1, Store.Time.GetUtcNow().AddDays(1)), await store.FindAsync(triplet, default));
        Assert.Equal(new GreylistNetwork(1, Store.Time.GetUtcNow().AddDays(1)), await store.FindNetworkAsync("203.0.113.0/24", default));
        await store.PassAsync(triplet, "203.0.113.0/24", TimeSpan.FromDays(1));
        await store.PassAsync(triplet, null, TimeSpan.FromDays(1));
        // Another server that lets it pass as well does not count it again.
        Assert.Equal(1, (await store.FindNetworkAsync("203.0.113.0/24", default))!.Passes);
        Assert.Equal(2, (await store.FindAsync(triplet, default))!.Passes);
        Assert.Equal((1, 0), (await store.CountAsync(10, default), await store.CountAsync(0, default)));
    }

    [Fact]
    public async Task What_came_back_too_late_is_seen_for_the_first_time_again()
    {
        var store = new GreylistStore(Store.Database);
        await store.SeeAsync("late", s_hour);
        await store.PassAsync("kept", "192.0.2.0/24", s_hour);
        Store.Time.Advance(s_hour);
        Assert.Null(await store.FindAsync("late", default));
        Assert.Null(await store.FindNetworkAsync("192.0.2.0/24", default));
        Assert.Equal(new GreylistEntry(Store.Time.GetUtcNow(), 0, Store.Time.GetUtcNow() + s_hour), await store.SeeAsync("late", s_hour));
        await store.PassAsync("late", "192.0.2.0/24", s_hour);
        Assert.Equal(1, (await store.FindNetworkAsync("192.0.2.0/24", default))!.Passes);
    }

    [Fact]
    public async Task What_is_no_longer_known_is_forgotten_in_pieces_and_nothing_else()
    {
        var store = new GreylistStore(Store.Database);
        await Task.WhenAll(Enumerable.Range(0, 1200).Select(i => store.SeeAsync($"t{i}", s_hour)));
        await store.PassAsync("t0", "192.0.2.0/24", s_hour);
        Store.Time.Advance(TimeSpan.FromMinutes(30));
        await store.SeeAsync("young", s_hour);
        Assert.Equal(0, await store.ForgetAsync(default));
        Store.Time.Advance(TimeSpan.FromMinutes(31));
        var pieces = new List<int>();
        do
            pieces.Add(await store.ForgetAsync(default));
        while (GreylistStore.MayHaveMore(pieces[^1]));
        // The network is among the first.
        Assert.Equal([501, 500, 200], pieces);
        Assert.NotNull(await store.FindAsync("young", default));
        Assert.Null(await store.FindAsync("t5", default));
    }

    [Fact]
    public async Task Servers_that_see_the_same_triplets_at_once_do_not_lock_each_other_out()
    {
        var store = new GreylistStore(Store.Database);
        var all = Enumerable.Range(0, 200).Select(i => $"t{i % 20}").ToList();
        await Task.WhenAll(all.Select(triplet => Task.Run(async () =>
        {
            await store.SeeAsync(triplet, s_hour);
            await store.PassAsync(triplet, "192.0.2.0/24", s_hour);
        })));
        Assert.Equal(20, (await store.FindNetworkAsync("192.0.2.0/24", default))!.Passes);
    }
}
