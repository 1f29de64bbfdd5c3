using System.Net;

namespace MailPipeline.Mail.Tests;

/// <summary>Client networks that nobody serves, for all servers.</summary>
public abstract partial class StoreTests
{
    private static readonly OperatorIdentity s_joe = new("joe", "host");

    [Fact]
    public async Task A_ban_is_set_replaced_ends_and_is_lifted()
    {
        var store = new BanStore(Store.Database);
        var network = IPNetwork.Parse("203.0.113.0/24");
        var set = await store.SetAsync(network, TimeSpan.FromHours(1), "spam", s_joe);
        Assert.Equal(new Ban(network, Store.Time.GetUtcNow(), Store.Time.GetUtcNow().AddHours(1), "joe", "spam"), set);
        Assert.Equal([set], await store.ListAsync(10, default));
        // A rule takes nothing away from it, and adds what lasts longer.
        Assert.False(await store.SetByRuleAsync(network, TimeSpan.FromMinutes(5), "limit x"));
        Assert.True(await store.SetByRuleAsync(network, TimeSpan.FromHours(2), "limit x"));
        Assert.Equal("limit x", Assert.Single(await store.ListAsync(10, default)).SetBy);
        Assert.Null(await store.LiftAsync(IPNetwork.Parse("203.0.113.0/25"), s_joe));
        Assert.Equal("limit x", (await store.LiftAsync(network, s_joe))!.SetBy);
        Assert.Empty(await store.ListAsync(10, default));
        Assert.Null(await store.LiftAsync(network, s_joe));

        await store.SetAsync(network, TimeSpan.FromHours(1), "", s_joe);
        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.Empty(await store.ListAsync(10, default));
        Assert.Null(await store.LiftAsync(network, s_joe));
        Assert.True(await store.SetByRuleAsync(network, TimeSpan.FromMinutes(1), "limit x"));
        Store.Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(1, await store.ForgetAsync(default));
        Assert.Equal(0, await store.ForgetAsync(default));
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1/32")]
    [InlineData("::ffff:192.0.2.1", "192.0.2.1/32")]
    [InlineData("192.0.2.0/24", "192.0.2.0/24")]
    [InlineData("::ffff:192.0.2.0/120", "192.0.2.0/24")]
    [InlineData("2001:DB8::/32", "2001:db8::/32")]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("8.0.0.0/7", null)]
    [InlineData("0.0.0.0/0", null)]
    [InlineData("::/0", null)]
    [InlineData("::ffff:0:0/96", null)]
    [InlineData("192.0.2.1/24", "192.0.2.0/24")]
    [InlineData("127.1", null)]
    [InlineData("example.org", null)]
    public void What_is_banned_is_an_address_or_a_network(string typed, string? network) =>
        Assert.Equal(network, BanStore.TryParse(typed, out var parsed) ? parsed.ToString() : null);
}
