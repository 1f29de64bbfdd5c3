using MailPipeline.Mail;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// The batches of one domain that workers have, or may have, and when storage is to be asked what became of each. Pure: time comes in.
/// </summary>
/// <param name="timeout">How long a batch may go unclaimed and unreported before storage is asked about it.</param>
internal sealed class BatchesUnderWay(TimeSpan timeout)
{
    private static readonly TimeSpan s_firstLook = TimeSpan.FromSeconds(1);

    private readonly Dictionary<long, Entry> _batches = [];

    public int Count => _batches.Count;

    public IEnumerable<long> BatchIds => _batches.Keys;

    /// <summary>Those that a worker was found to hold a claim for.</summary>
    public IEnumerable<long> Claimed => _batches.Values.Where(entry => entry.IsClaimed).Select(entry => entry.Batch.Id);

    /// <summary>Recipients that are under way, by route.</summary>
    public IEnumerable<(RecipientRoute Route, int Recipients)> Recipients => _batches.Values
        .GroupBy(entry => entry.Batch.Route, (route, entries) => (route, entries.Sum(entry => entry.Batch.Recipients.Length)));

    public bool Contains(long batchId) => _batches.ContainsKey(batchId);

    public void Add(Batch batch, DateTimeOffset now) => _batches.Add(batch.Id, Begin(batch, now));

    /// <summary>Batches that workers hold from before count as well, and end like any other.</summary>
    public void Adopt(IEnumerable<long> batchIds, DateTimeOffset now)
    {
        foreach (var batchId in batchIds)
            _batches.TryAdd(batchId, Begin(new Batch(batchId, RecipientRoute.Remote, [], Probe: false), now));
    }

    /// <summary>Ends a batch. Null when it is not known (any more).</summary>
    public Batch? End(long batchId) => _batches.Remove(batchId, out var entry) ? entry.Batch : null;

    /// <summary>Takes these recipients out of a batch that goes on; returns those that it had.</summary>
    public (RecipientRoute Route, Recipient[] Recipients) TakeOut(long batchId, IEnumerable<long> recipientIds)
    {
        if (!_batches.TryGetValue(batchId, out var entry))
            return (default, []);
        var left = entry.Batch.Recipients.ExceptBy(recipientIds, recipient => recipient.RecipientId).ToArray();
        var taken = entry.Batch.Recipients.Except(left).ToArray();
        // Of a batch that nobody is left of the end is looked for at once: others may wait for its place.
        _batches[batchId] = entry with { Batch = entry.Batch with { Recipients = left }, LookAt = left.Length == 0 && taken.Length > 0 ? DateTimeOffset.MinValue : entry.LookAt };
        return (entry.Batch.Route, taken);
    }

    /// <summary>Batches of which nothing has been heard for longer than they may take to be claimed.</summary>
    public List<Batch> Overdue(DateTimeOffset now) => [.. _batches.Values.Where(entry => now > entry.LookAt).Select(entry => entry.Batch)];

    /// <summary>A worker was found to hold a claim for this batch.</summary>
    public bool WasClaimed(long batchId) => _batches.GetValueOrDefault(batchId) is { IsClaimed: true };

    /// <summary>
    /// A worker holds a claim for this batch, of which nothing has been heard for long. The batch is looked at again after a second, and
    /// then at intervals that grow up to the time within which a claim that has ended has to be found.
    /// </summary>
    public void NoteClaimed(long batchId, DateTimeOffset now)
    {
        if (!_batches.TryGetValue(batchId, out var entry))
            return;
        var pause = entry.IsClaimed ? entry.Pause * 2 : s_firstLook;
        if (pause > timeout)
            pause = timeout;
        _batches[batchId] = entry with { LookAt = now + pause, Pause = pause, IsClaimed = true };
    }

    private Entry Begin(Batch batch, DateTimeOffset now) => new(batch, now + timeout, TimeSpan.Zero, IsClaimed: false);

    /// <param name="LookAt">When nothing has been heard of the batch by then, storage is asked whether anybody holds a claim for it.</param>
    /// <param name="Pause">The time between the last two looks that found its claim held.</param>
    private sealed record Entry(Batch Batch, DateTimeOffset LookAt, TimeSpan Pause, bool IsClaimed);
}
