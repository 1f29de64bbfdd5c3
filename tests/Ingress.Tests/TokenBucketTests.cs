using MailPipeline.Ingress.Limits;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Buckets in memory and in Redis.</summary>
public sealed class TokenBucketTests
{
    private static readonly TimeSpan s_hour = TimeSpan.FromHours(1);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task In_memory_they_fill_up_evenly()
    {
        var time = new FakeTimeProvider();
        var buckets = new MemoryBuckets(time);
        await ObeyAsync(buckets, "a");
        for (var i = 0; i < 3; i++)
        {
            time.Advance(TimeSpan.FromMinutes(15));
            Assert.Equal(new BucketAnswer(-1, 0), await buckets.DrawAsync([new("a", 4, s_hour, 1, 1)]));
            Assert.Equal(0, (await buckets.DrawAsync([new("a", 4, s_hour, 1, 1)])).Refused);
        }

        time.Advance(TimeSpan.FromDays(1));
        for (var i = 0; i < 4; i++)
            Assert.Equal(-1, (await buckets.DrawAsync([new("a", 4, s_hour, 1, 1)])).Refused);
        Assert.Equal(0, (await buckets.DrawAsync([new("a", 4, s_hour, 1, 1)])).Refused);
    }

    [Fact]
    public async Task In_memory_there_are_so_many_and_no_more()
    {
        var buckets = new MemoryBuckets(new FakeTimeProvider());
        await buckets.DrawAsync([new("empty", 1, s_hour, 1, 1)]);
        for (var i = 0; i < MemoryBuckets.MaxBuckets + 1000; i++)
            await buckets.DrawAsync([new($"b{i}", 10, s_hour, 1, 1)]);
        Assert.InRange(buckets.Count, 1000, MemoryBuckets.MaxBuckets);
        // Who has used up most is remembered.
        Assert.Equal(0, (await buckets.DrawAsync([new("empty", 1, s_hour, 1, 1)])).Refused);
    }

    [Fact]
    public async Task In_memory_room_is_made_for_many_at_once()
    {
        var time = new FakeTimeProvider();
        var buckets = new MemoryBuckets(time);
        await buckets.DrawAsync([new("quick", 1, TimeSpan.FromSeconds(1), 1, 1)]);
        for (var i = 1; i < MemoryBuckets.MaxBuckets; i++)
            await buckets.DrawAsync([new($"b{i}", 10, s_hour, 1, 1)]);
        // One of them is full.
        time.Advance(TimeSpan.FromSeconds(2));
        await buckets.DrawAsync([new("one more", 10, s_hour, 1, 1)]);
        Assert.InRange(buckets.Count, MemoryBuckets.MaxBuckets / 2, (MemoryBuckets.MaxBuckets / 8 * 7) + 1);
    }

    [Fact]
    public async Task In_Redis_they_are_gone_when_they_would_be_full()
    {
        await using var redis = await RedisServer.StartAsync(Cancellation);
        await using var buckets = new RedisBuckets(redis.ConnectionString, TimeProvider.System);
        await using var connection = await StackExchange.Redis.ConnectionMultiplexer.ConnectAsync(redis.ConnectionString);
        await buckets.DrawAsync([new("a", 60, s_hour, 1, 1)]);
        Assert.InRange((await connection.GetDatabase().KeyTimeToLiveAsync("mailpipeline:{door}:a"))!.Value, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(1));
        await buckets.DrawAsync([new("a", 60, s_hour, 0, -1)]);
        Assert.False(await connection.GetDatabase().KeyExistsAsync("mailpipeline:{door}:a"));
    }

    [Fact]
    public async Task In_Redis_they_are_the_the_same_for_all_servers_and_each_token_is_taken_once()
    {
        await using var redis = await RedisServer.StartAsync(Cancellation);
        await using var one = new RedisBuckets(redis.ConnectionString, TimeProvider.System);
        await using var other = new RedisBuckets(redis.ConnectionString, TimeProvider.System);
        await ObeyAsync(one, "a");
        Assert.Equal(0, (await other.DrawAsync([new("a", 4, s_hour, 1, 1)])).Refused);
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(i => (i % 2 == 0 ? one : other).DrawAsync([new("shared", 40, s_hour, 1, 1)]).AsTask()));
        Assert.Equal(40, answers.Count(answer => answer.Refused < 0));
        // They come back, by the clock of Redis.
        Assert.Equal(new BucketAnswer(-1, 0), await one.DrawAsync([new("quick", 1, TimeSpan.FromMilliseconds(50), 1, 1)]));
        await Eventually.TrueAsync(
            async () => (await other.DrawAsync([new("quick", 1, TimeSpan.FromMilliseconds(50), 1, 1)])).Refused < 0, TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Redis_that_is_not_there_or_hangs_is_away_soon()
    {
        await using var nowhere = new RedisBuckets($"127.0.0.1:{FreePorts.Next()}", TimeProvider.System);
        await Assert.ThrowsAsync<BucketsAwayException>(async () => await nowhere.DrawAsync([new("a", 1, s_hour, 1, 1)]));
        // It takes connections and says nothing.
        using var silent = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        await using var hanging = new RedisBuckets(silent.LocalEndpoint.ToString()!, TimeProvider.System);
        await Assert.ThrowsAsync<BucketsAwayException>(async () => await hanging.DrawAsync([new("a", 1, s_hour, 1, 1)]));
    }

    /// <summary>Of a bucket with four tokens.</summary>
    private static async Task ObeyAsync(ITokenBuckets buckets, string key)
    {
        Assert.Equal(BucketAnswer.Fine, await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
        Assert.Equal(BucketAnswer.Fine, await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
        // Of two none is taken from where one has not enough, and which that is is said.
        Assert.Equal(new BucketAnswer(1, -1), await buckets.DrawAsync([new(key, 4, s_hour, 1, 1), new(key + "2", 2, s_hour, 3, 3)]));
        Assert.Equal(BucketAnswer.Fine, await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
        Assert.Equal(BucketAnswer.Fine, await buckets.DrawAsync([new(key, 4, s_hour, 1, 0)]));
        Assert.Equal(new BucketAnswer(-1, 0), await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
        Assert.Equal(new BucketAnswer(0, -1), await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
        // Without need it stays empty, and what is given back can be taken again, up to what it holds.
        Assert.Equal(new BucketAnswer(-1, 0), await buckets.DrawAsync([new(key, 4, s_hour, 0, 1)]));
        Assert.Equal(BucketAnswer.Fine, await buckets.DrawAsync([new(key, 4, s_hour, 0, -9)]));
        Assert.Equal(new BucketAnswer(-1, 0), await buckets.DrawAsync([new(key, 4, s_hour, 4, 4)]));
        Assert.Equal(new BucketAnswer(0, -1), await buckets.DrawAsync([new(key, 4, s_hour, 1, 1)]));
    }
}
