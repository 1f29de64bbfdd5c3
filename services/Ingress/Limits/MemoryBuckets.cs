namespace MailPipeline.Ingress.Limits;

/// <summary>Buckets of this process alone. Bounded in number: where there are too many the fullest are forgotten, which nobody misses.</summary>
internal sealed class MemoryBuckets(TimeProvider time) : ITokenBuckets
{
    internal const int MaxBuckets = 100_000;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Bucket> _buckets = new(StringComparer.Ordinal);

    internal int Count => _buckets.Count;

    public ValueTask<BucketAnswer> DrawAsync(IReadOnlyList<BucketDraft> drafts)
    {
        var now = time.GetTimestamp();
        lock (_gate)
        {
            for (var i = 0; i < drafts.Count; i++)
            {
                if (TokensOf(drafts[i], now) < drafts[i].Need)
                    return new(new BucketAnswer(i, -1));
            }

            var emptied = -1;
            for (var i = 0; i < drafts.Count; i++)
            {
                if (drafts[i].Take == 0)
                    continue;
                var left = Math.Clamp(TokensOf(drafts[i], now) - drafts[i].Take, 0, drafts[i].Capacity);
                if (left < 1 && emptied < 0)
                    emptied = i;
                Keep(drafts[i], left, now);
            }

            return new(new BucketAnswer(-1, emptied));
        }
    }

    private double TokensOf(BucketDraft draft, long now) => _buckets.TryGetValue(draft.Key, out var bucket)
        ? Math.Min(draft.Capacity, bucket.Tokens + (draft.Capacity * (time.GetElapsedTime(bucket.At, now) / draft.Window))) : draft.Capacity;

    private void Keep(BucketDraft draft, double left, long now)
    {
        if (_buckets.Count >= MaxBuckets && !_buckets.ContainsKey(draft.Key))
            Forget(now);
        _buckets[draft.Key] = new Bucket(left, now, draft.Window, draft.Capacity);
    }

    /// <summary>Those that are full by now, and the fullest eighth at least: all are looked at, which is not to be done for each new one.</summary>
    private void Forget(long now)
    {
        var byShare = _buckets.Select(bucket => (bucket.Key, Share: ShareOf(bucket.Value, now))).OrderByDescending(bucket => bucket.Share).ToList();
        var full = byShare.FindLastIndex(bucket => bucket.Share >= 1) + 1;
        foreach (var (key, _) in byShare.Take(Math.Max(full, byShare.Count / 8)))
            _buckets.Remove(key);
    }

    private double ShareOf(Bucket bucket, long now) => (bucket.Tokens / bucket.Capacity) + (time.GetElapsedTime(bucket.At, now) / bucket.Window);

    private readonly record struct Bucket(double Tokens, long At, TimeSpan Window, int Capacity);
}
