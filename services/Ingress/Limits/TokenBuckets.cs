namespace MailPipeline.Ingress.Limits;

/// <summary>What is asked of one bucket, which is full until somebody takes from it, and fills up again evenly within its window.</summary>
/// <param name="Key">Whose bucket it is.</param>
/// <param name="Capacity">Tokens of a full one.</param>
/// <param name="Need">So many have to be there.</param>
/// <param name="Take">So many are taken, as far as they are there; less than 0: they are given back.</param>
internal readonly record struct BucketDraft(string Key, int Capacity, TimeSpan Window, int Need, int Take);

/// <summary>What became of drafts.</summary>
/// <param name="Refused">The first that did not have what is needed: then nothing was taken from any. -1: none.</param>
/// <param name="Emptied">The first that has no whole token left. -1: none.</param>
internal readonly record struct BucketAnswer(int Refused, int Emptied)
{
    public static readonly BucketAnswer Fine = new(-1, -1);
}

/// <summary>
/// Counts what clients do, in one place for all that count together. All drafts of a call are looked at and taken from at once: nobody
/// comes between.
/// </summary>
internal interface ITokenBuckets
{
    /// <exception cref="BucketsAwayException">Nobody knows what is in them.</exception>
    ValueTask<BucketAnswer> DrawAsync(IReadOnlyList<BucketDraft> drafts);
}

/// <summary>The place where buckets are cannot be reached.</summary>
internal sealed class BucketsAwayException(string message, Exception? cause = null) : Exception(message, cause);
