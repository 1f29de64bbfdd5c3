using System.Globalization;
using StackExchange.Redis;

namespace MailPipeline.Ingress.Limits;

/// <summary>
/// Buckets in Redis, for all servers that are given the same one: a script looks at all drafts of a call and takes from them, by the clock of
/// Redis, so that no two servers come between each other. A bucket that nobody takes from is gone when it would be full. Redis that does not
/// answer soon is away: mail does not wait for it.
/// </summary>
internal sealed class RedisBuckets(string connectionString, TimeProvider time) : ITokenBuckets, IAsyncDisposable
{
    private const string Prefix = "mailpipeline:{door}:";

    // As HSET writes it, a number keeps its fraction only as text.
    private const string Script =
        """
        local t = redis.call('TIME')
        local now = t[1] * 1000 + math.floor(t[2] / 1000)
        local left = {}
        for i, key in ipairs(KEYS) do
            local at = (i - 1) * 4
            local capacity, window, need, take = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
            local bucket = redis.call('HMGET', key, 'n', 'at')
            local tokens = capacity
            if bucket[1] then
                tokens = math.min(capacity, tonumber(bucket[1]) + math.max(0, now - tonumber(bucket[2])) * capacity / window)
            end
            if tokens < need then return {i - 1, -1} end
            left[i] = math.max(0, math.min(capacity, tokens - take))
        end
        local emptied = -1
        for i, key in ipairs(KEYS) do
            local at = (i - 1) * 4
            if tonumber(ARGV[at + 4]) ~= 0 then
                local capacity, window = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
                local full = math.ceil((capacity - left[i]) * window / capacity)
                if full <= 0 then
                    redis.call('DEL', key)
                else
                    redis.call('HSET', key, 'n', string.format('%.6f', left[i]), 'at', string.format('%.0f', now))
                    redis.call('PEXPIRE', key, string.format('%.0f', full))
                end
                if left[i] < 1 and emptied < 0 then emptied = i - 1 end
            end
        end
        return {-1, emptied}
        """;

    /// <summary>Longest wait for Redis: a client waits as long with each command while it hangs.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500);

    private readonly Lock _gate = new();
    private Task<ConnectionMultiplexer>? _connection;

    /// <summary>Says what is wrong with a connection string; null: nothing.</summary>
    public static string? FaultOf(string connectionString)
    {
        try
        {
            ConfigurationOptions.Parse(connectionString);
            return null;
        }
        catch (ArgumentException unreadable)
        {
            return unreadable.Message;
        }
    }

    public async ValueTask<BucketAnswer> DrawAsync(IReadOnlyList<BucketDraft> drafts)
    {
        var keys = new RedisKey[drafts.Count];
        var values = new RedisValue[drafts.Count * 4];
        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Prefix + drafts[i].Key;
            RedisValue[] own = [drafts[i].Capacity, drafts[i].Window.TotalMilliseconds.ToString("0", CultureInfo.InvariantCulture), drafts[i].Need, drafts[i].Take];
            own.CopyTo(values, i * 4);
        }

        try
        {
            using var patience = new CancellationTokenSource(s_patience, time);
            var redis = await ConnectAsync().WaitAsync(patience.Token);
            var answer = (int[]?)await redis.GetDatabase().ScriptEvaluateAsync(Script, keys, values).WaitAsync(patience.Token);
            return answer is [var refused, var emptied] ? new BucketAnswer(refused, emptied) : throw new BucketsAwayException("Redis answered what it was not asked.");
        }
        catch (Exception away) when (away is RedisException or RedisTimeoutException or OperationCanceledException or ObjectDisposedException)
        {
            throw new BucketsAwayException($"Redis: {away.Message}", away);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_connection is { IsCompletedSuccessfully: true } connected)
            await connected.Result.DisposeAsync();
    }

    /// <summary>One connection, which comes back by itself; a first one that fails is tried again.</summary>
    private Task<ConnectionMultiplexer> ConnectAsync()
    {
        lock (_gate)
        {
            if (_connection is { IsFaulted: false, IsCanceled: false })
                return _connection;
            var options = ConfigurationOptions.Parse(connectionString);
            options.AbortOnConnectFail = false;
            options.ConnectTimeout = (int)s_patience.TotalMilliseconds;
            options.AsyncTimeout = (int)s_patience.TotalMilliseconds;
            // What cannot be sent now is not wanted later.
            options.BacklogPolicy = BacklogPolicy.FailFast;
            return _connection = ConnectionMultiplexer.ConnectAsync(options);
        }
    }
}
