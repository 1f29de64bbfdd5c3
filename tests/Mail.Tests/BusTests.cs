namespace MailPipeline.Mail.Tests;

/// <summary>What the bus says is held against storage.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task A_key_is_made_once_for_all_processes()
    {
        var keys = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => new SecretStore(Store.Database).GetKeyAsync("bus", default)));

        Assert.All(keys, key => Assert.Equal(keys[0], key));
        Assert.Equal(32, keys[0].Length);
        Assert.NotEqual(keys[0], await new SecretStore(Store.Database).GetKeyAsync("other", default));
    }

    [Fact]
    public async Task Of_messages_that_a_hint_names_only_those_that_wait_are_found_as_they_were_accepted()
    {
        var waiting = await Store.AcceptAsync("x"u8.ToArray(), "a@example.net", "b@example.com");
        var routed = await Store.AcceptAsync("y"u8.ToArray(), "c@example.net");
        await Store.Queue.RouteAsync([StoreFixture.Route(routed, RecipientRoute.Remote)]);

        var found = Assert.Single(await Store.Queue.FindUnroutedAsync([1L << 40, routed.MessageId, waiting.MessageId, -1], default));
        Assert.Equal((waiting.MessageId, waiting.Sender), (found.MessageId, found.Sender));
        Assert.Equal(waiting.Recipients, found.Recipients);
        Assert.Empty(await Store.Queue.FindUnroutedAsync([], default));
    }

    [Fact]
    public async Task A_report_ends_no_claim_of_another_domain()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);

        await Store.Outcomes.RecordAsync(7, "example.com", [], TimeSpan.Zero);
        Assert.Equal([7], await Store.Queue.ListHeldAsync("example.net", default));

        await Store.Outcomes.RecordAsync(7, "example.net", [], TimeSpan.Zero);
        Assert.Empty(await Store.Queue.ListHeldAsync("example.net", default));
    }
}
