namespace MailPipeline.Mail;

/// <summary>By what is counted what waits. The numbers are stored.</summary>
public enum WaitingBy
{
    Domain = 1,

    /// <summary>Where mail goes, which several domains may have in common.</summary>
    Site = 2,

    /// <summary>By <see cref="WaitKind"/>.</summary>
    Reason = 3,

    /// <summary>By whose mail it is where senders take turns (<see cref="FlowKey"/>).</summary>
    Sender = 4,
}

/// <summary>What waits and has something in common.</summary>
/// <param name="Key">The domain, the site, the word of the reason, the sender.</param>
/// <param name="BeingTried">Of those that wait, the ones that workers try.</param>
/// <param name="Due">Those that nobody tries, though their time has come, and whose domain does not back off.</param>
/// <param name="NextAt">The first time of the others; null where there are none, or no time is set.</param>
/// <param name="Kind">Why what is tried next of it waits; null where that is not one reason.</param>
/// <param name="Oldest">Id of the recipient whose message came first; 0: not known.</param>
/// <param name="Example">Id of a recipient who says what was last replied: of its domain, and by sender of itself; 0: nobody does.</param>
public sealed record WaitingGroup(
    string Key, long Waiting, long BeingTried, long Due, DateTimeOffset? NextAt, WaitKind? Kind, long Oldest, long Example);

/// <summary>All that waits, in groups.</summary>
/// <param name="CountedAt">As of when; what changed while it was counted is counted as it was or as it is.</param>
/// <param name="Waiting">Recipients, in all groups. By reason also those that are held, and messages that are not routed.</param>
/// <param name="GroupCount">How many groups there are; each of very many counts, though not all are told apart.</param>
/// <param name="Groups">The largest, largest first.</param>
public sealed record WaitingGroups(
    WaitingBy By, DateTimeOffset CountedAt, long Waiting, long BeingTried, long GroupCount, IReadOnlyList<WaitingGroup> Groups)
{
    /// <summary>So many groups are told apart in the end.</summary>
    public const int Most = 1000;
}

/// <summary>One group while it is counted.</summary>
internal sealed class WaitingTally
{
    private long _exampleOf;
    private long _oldest;
    private long _nextAt;
    private long _example;

    public long Waiting { get; private set; }

    public long BeingTried { get; private set; }

    private long Due { get; set; }

    /// <param name="nextAt">0: no time is set.</param>
    /// <param name="oldest">0: not known.</param>
    /// <param name="example">That of the largest part is kept.</param>
    public void Add(long waiting, long beingTried, long due, long nextAt, long oldest, long example)
    {
        if (waiting == 0)
            return;
        Waiting += waiting;
        BeingTried += beingTried;
        Due += due;
        _nextAt = MeasureStore.Earlier(_nextAt, nextAt);
        _oldest = MeasureStore.Earlier(_oldest, oldest);
        if (waiting > _exampleOf && example != 0)
            (_exampleOf, _example) = (waiting, example);
    }

    /// <summary>Of those that were added as due, so many are being tried.</summary>
    public void NoteClaimed(long count)
    {
        BeingTried += Math.Min(count, Waiting);
        Due = Math.Max(0, Due - count);
    }

    public WaitingGroup ToGroup(string key, WaitKind? kind) => new(
        key, Waiting, BeingTried, Due, _nextAt == 0 ? null : DateTimeOffset.FromUnixTimeMilliseconds(_nextAt), kind, _oldest, _example);
}

/// <summary>Keeps the largest groups of any number.</summary>
internal sealed class LargestGroups
{
    private readonly PriorityQueue<WaitingGroup, long> _kept = new();

    public long Count { get; private set; }

    public void Add(WaitingGroup group)
    {
        Count++;
        if (_kept.Count < WaitingGroups.Most)
            _kept.Enqueue(group, group.Waiting);
        else
            _kept.EnqueueDequeue(group, group.Waiting);
    }

    public IReadOnlyList<WaitingGroup> ToList() =>
        [.. _kept.UnorderedItems.Select(item => item.Element).OrderByDescending(group => group.Waiting).ThenBy(group => group.Key, StringComparer.Ordinal)];
}

/// <summary>Counts by names of which there may be very many. Those that come when there are too many are counted, and not told apart.</summary>
internal sealed class NamedTallies
{
    private const int MostNames = 50_000;

    private readonly Dictionary<string, WaitingTally> _tallies = new(StringComparer.Ordinal);
    private readonly WaitingTally _others = new();

    public WaitingTally Of(string name)
    {
        if (_tallies.TryGetValue(name, out var tally))
            return tally;
        if (_tallies.Count == MostNames)
            return _others;
        _tallies.Add(name, tally = new WaitingTally());
        return tally;
    }

    public WaitingGroups ToGroups(WaitingBy by, DateTimeOffset now)
    {
        var largest = new LargestGroups();
        // Of which there is none left there may be a claim that has just ended.
        foreach (var (name, tally) in _tallies.Where(tally => tally.Value.Waiting > 0))
            largest.Add(tally.ToGroup(name, null));
        return new(
            by, now, _tallies.Values.Sum(tally => tally.Waiting) + _others.Waiting, _tallies.Values.Sum(tally => tally.BeingTried) + _others.BeingTried,
            largest.Count, largest.ToList());
    }
}
