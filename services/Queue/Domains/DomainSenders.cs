using MailPipeline.Mail;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Domains;

/// <summary>The right of one batch to a sender's messages, which may be used once.</summary>
/// <param name="Flow">Whose.</param>
/// <param name="Messages">At most so many may be in the batch.</param>
/// <param name="Epoch">By which the claim is won.</param>
internal sealed record SenderPermit(string Flow, long BatchId, int Messages, long Epoch)
{
    public string Key => SenderRate.Key(Flow);
}

/// <summary>
/// The permits that batches of one domain have of the rates of their senders, and those that it waits for: one at a time for each sender. What cannot be used
/// at once is given back, so that others of the sender's domains have it. One for each activation of the domain's grain, and on its scheduler alone.
/// </summary>
internal sealed class DomainSenders(IGrainFactory grains)
{
    /// <summary>Ticks between two words about permits that are held.</summary>
    private const int TicksBetweenWords = 5;

    /// <summary>Ticks after which is asked again what was not answered: there may be very many domains that wait for the same sender.</summary>
    private const int TicksBetweenAsks = 15;

    /// <summary>
    /// Ticks for which a permit is kept that has not been used, because the domain or its site is at its limit. Twice as many each time, so that both are there
    /// together in the end.
    /// </summary>
    private const int FirstHold = 3;
    private const int LongestHold = 60;

    private readonly Dictionary<string, Asked> _asked = new(StringComparer.Ordinal);
    private readonly Dictionary<long, InHand> _inHand = [];

    /// <summary>Of batches that are under way.</summary>
    private readonly Dictionary<long, string> _used = [];
    private readonly Dictionary<string, int> _holds = new(StringComparer.Ordinal);
    private int _ticks;

    /// <summary>A permit that has not been used; null: none is to be used for this batch.</summary>
    public SenderPermit? Find(long batchId) => _inHand.GetValueOrDefault(batchId)?.Permit;

    /// <summary>The same of this sender.</summary>
    public SenderPermit? FindOf(string flow)
    {
        foreach (var inHand in _inHand.Values)
        {
            if (inHand.Permit.Flow == flow)
                return inHand.Permit;
        }
        return null;
    }

    public bool MayAsk(string flow) => !_asked.ContainsKey(flow) && FindOf(flow) is null;

    /// <summary>To be said before it is asked: nobody else asks for the same sender meanwhile.</summary>
    public void Begin(string flow) => _asked.TryAdd(flow, new Asked());

    /// <summary>It was not asked, because it has no number.</summary>
    public void StopAsking(string flow)
    {
        if (_asked.GetValueOrDefault(flow) is { Ask: null })
            _asked.Remove(flow);
    }

    /// <summary>Null: it is not to be had now. Whoever asked is called then, or asks again.</summary>
    public async Task<SenderPermit?> AskAsync(string flow, SiteAsk ask)
    {
        var asked = _asked[flow] = new Asked { Ask = ask, IsAsking = true };
        try
        {
            var answer = await grains.GetGrain<ISiteGrain>(SenderRate.Key(flow)).AskAsync(ask);
            asked.IsUnheard = false;
            if (answer.Permit is not { } permit)
                return null;
            if (Take(flow, permit) is { } taken)
                return taken;
            // Given by a call while this was on its way it is the same one.
            if (!_inHand.ContainsKey(ask.BatchId) && !_used.ContainsKey(ask.BatchId))
                Return(flow, SiteReport.Untouched(ask.Domain, ask.BatchId));
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException or Storage.StorageUnavailableException)
        {
            asked.IsUnheard = true;
        }
        finally
        {
            asked.IsAsking = false;
        }
        return null;
    }

    /// <summary>Null: nobody waits here for that any more.</summary>
    public SenderPermit? Take(string flow, SitePermit permit)
    {
        if (_asked.GetValueOrDefault(flow)?.Ask?.BatchId != permit.BatchId)
            return null;
        _asked.Remove(flow);
        var taken = new SenderPermit(flow, permit.BatchId, permit.Messages, permit.Epoch);
        _inHand[permit.BatchId] = new InHand(taken);
        return taken;
    }

    /// <summary>The batch of this permit is under way.</summary>
    public void Use(SenderPermit permit)
    {
        if (!_inHand.Remove(permit.BatchId))
            return;
        _holds.Remove(permit.Flow);
        _used[permit.BatchId] = permit.Flow;
    }

    /// <summary>A batch has ended, whatever became of it. What its hosts had to say, and who keeps its connection, is not its sender's affair.</summary>
    public void End(SiteReport report)
    {
        if (_used.Remove(report.BatchId, out var flow))
            Return(flow, report with { State = SiteState.Unsaid, HasProgressed = false, Reason = "", Connection = ConnectionEnd.Closed, Worker = "" });
    }

    /// <summary>Perhaps a worker takes the batch all the same: whoever gave the permit finds out.</summary>
    public void Leave(long batchId) => _used.Remove(batchId);

    /// <summary>
    /// Gives back what nobody waits for any more and what has not been used for long, and says what is under way. Returns senders whose permits are gone, and
    /// what is to be asked once more.
    /// </summary>
    /// <param name="isWanted">Somebody waits for a permit of this sender.</param>
    public (IReadOnlyList<string> Gone, IReadOnlyList<(string Flow, SiteAsk Ask)> Again) Tick(string domain, Predicate<string> isWanted)
    {
        _ticks++;
        if (_asked.Count + _inHand.Count + _used.Count == 0)
            return ([], []);
        var gone = new List<string>();
        foreach (var (batchId, inHand) in _inHand.ToList())
        {
            var flow = inHand.Permit.Flow;
            var hold = _holds.GetValueOrDefault(flow, FirstHold);
            var isWaited = isWanted(flow);
            if (isWaited && ++inHand.Ticks < hold)
                continue;
            if (isWaited)
                _holds[flow] = Math.Min(2 * hold, LongestHold);
            else
                _holds.Remove(flow);
            _inHand.Remove(batchId);
            Return(flow, SiteReport.Untouched(domain, batchId));
            gone.Add(flow);
        }
        foreach (var flow in _asked.Keys.Where(flow => !isWanted(flow)).ToList())
            _asked.Remove(flow);
        if (_ticks % TicksBetweenWords == 0)
        {
            foreach (var flow in _used.Concat(_inHand.Select(inHand => KeyValuePair.Create(inHand.Key, inHand.Value.Permit.Flow))).GroupBy(used => used.Value, used => used.Key))
                grains.GetGrain<ISiteGrain>(SenderRate.Key(flow.Key)).AssertAsync(domain, [.. flow]).Ignore();
        }
        return (gone,
        [
            .. _asked.Where(asked => asked.Value is { IsAsking: false, Ask: not null } && (asked.Value.IsUnheard || ++asked.Value.Ticks % TicksBetweenAsks == 0))
                .Select(asked => (asked.Key, asked.Value.Ask!)),
        ]);
    }

    private void Return(string flow, SiteReport report) => grains.GetGrain<ISiteGrain>(SenderRate.Key(flow)).EndAsync(report).Ignore();

    private sealed class Asked
    {
        /// <summary>Null: its number is being drawn.</summary>
        public SiteAsk? Ask { get; init; }

        public bool IsAsking { get; set; }

        public bool IsUnheard { get; set; }

        public int Ticks { get; set; }
    }

    private sealed class InHand(SenderPermit permit)
    {
        public SenderPermit Permit => permit;

        public int Ticks { get; set; }
    }
}
