namespace MailPipeline.Mail.Tests;

/// <summary>Recipients that wait under a claim that is not there.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task Who_waits_under_a_claim_that_is_not_there_is_found_and_freed_and_nobody_else_is()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net", "d@example.net");
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "e@example.com");
        await Store.TakeAsync(7, "example.net", recipients.Take(2).ToList(), begun: true, default);
        await Store.TakeAsync(8, "example.net", [recipients[2]], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[1], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        // What a fault would do: the claim ends without its recipients.
        await Store.RunAsync("DELETE FROM claims WHERE id = 7");
        var now = Store.Time.GetUtcNow();
        Assert.DoesNotContain(recipients[0], await Store.Queue.ListDueAsync("example.net", now, 10, default));

        // A domain at a time, in the order of their names.
        await ExpectAsync("", [], "example.com");
        await ExpectAsync("example.com", [new OwnerlessRecipient(recipients[0].RecipientId, "a@example.net", 7)], "example.net");
        await ExpectAsync("example.net", [], null);

        Assert.Equal([recipients[0], recipients[3]], await Store.Queue.ListDueAsync("example.net", now, 10, default));
        Assert.Equal(ClaimUpdate.Applied, await Store.Claims.BeginAsync(8, default));
        await ExpectAsync("example.com", [], "example.net");

        async Task ExpectAsync(string after, OwnerlessRecipient[] freed, string? last)
        {
            var found = await Store.Ownerless.FreeAsync(after, 1, now, default);
            Assert.Equal(freed, found.Freed);
            Assert.Equal(last, found.Last);
        }
    }

    [Fact]
    public async Task Who_is_not_due_yet_is_looked_for_later()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.RunAsync("DELETE FROM claims WHERE id = 7");
        Assert.Empty((await Store.Ownerless.FreeAsync("", 10, Store.Time.GetUtcNow().AddMinutes(-1), default)).Freed);
        Assert.Single((await Store.Ownerless.FreeAsync("", 10, Store.Time.GetUtcNow(), default)).Freed);
    }
}
