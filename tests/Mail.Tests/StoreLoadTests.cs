namespace MailPipeline.Mail.Tests;

public abstract partial class StoreTests
{
    [Fact]
    public async Task A_queue_far_from_its_bound_is_counted_every_five_seconds_and_one_near_it_each_time()
    {
        await Store.QueueAsync([1], RecipientRoute.Remote, "a@example.net");
        Assert.Equal(1, await CountAsync(2_000_000));
        await Store.QueueAsync([1], RecipientRoute.Remote, "b@example.net");
        Assert.Equal(1, await CountAsync(2_000_000));
        Assert.Equal(2, await CountAsync(100_000));
        await Store.QueueAsync([1], RecipientRoute.Remote, "c@example.net");
        Assert.Equal(2, await CountAsync(2_000_000));
        Store.Time.Advance(TimeSpan.FromSeconds(5));
        Assert.Equal(3, await CountAsync(2_000_000));

        async Task<long> CountAsync(long max) => (await Store.Messages.MeasureLoadAsync(10, max, default)).Queued;
    }
}
