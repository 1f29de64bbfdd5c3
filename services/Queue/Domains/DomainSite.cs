using MailPipeline.Mail;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Where the mail of one domain goes, as far as attempts have told, and the permits of that site that its batches have. One for each activation
/// of the domain's grain, and on its scheduler alone.
/// </summary>
internal sealed class DomainSite(IGrainFactory grains, SiteMemory memory, QueueTelemetry telemetry)
{
    /// <summary>Handed back so often in a row without an attempt: DNS answers now this and now that, and mail goes wherever it leads.</summary>
    private const int MostFlips = 3;

    /// <summary>Ticks between two words about permits that are held, or waited for.</summary>
    private const int TicksBetweenWords = 5;

    /// <summary>By batch, the site that gave it, and whether its end may be told late.</summary>
    private readonly Dictionary<long, (string Site, bool MayEndLate)> _permits = [];

    /// <summary>Ends that the site is told of with the next question, or soon.</summary>
    private readonly List<(string Site, SiteReport Report)> _late = [];

    private SiteAsk? _asked;
    private bool _isAsking;
    private bool _isUnheard;
    private bool _insists;
    private bool _isUnsteady;
    private int _flips;
    private int _ticks;

    /// <summary>The same of the rates of senders: what has a permit of the site ends there as well.</summary>
    public DomainSenders Senders { get; } = new(grains);

    /// <summary>Of the site; empty: it is not known, or there is none.</summary>
    public string Key { get; private set; } = "";

    /// <summary>What a command says of where it may go: null says nothing.</summary>
    public string? Bound => _isUnsteady ? null : Key;

    /// <summary>A permit was asked for, and has not come.</summary>
    public bool IsWaiting => _asked is not null;

    /// <summary>What it asked for last was not to be had at once.</summary>
    public bool IsHeldUp { get; private set; }

    /// <param name="stored">As storage remembers it.</param>
    /// <param name="insists">Storage says that the domain, which could not be reached, may be tried now.</param>
    public void Begin(string domain, string stored, bool insists)
    {
        Key = memory.Find(domain) is { Length: > 0 } known ? known : stored;
        _insists = insists;
    }

    /// <summary>Somebody wants the domain tried now, whatever was said before.</summary>
    public void Insist() => _insists = true;

    /// <summary>Batches that workers held before this queue was in memory.</summary>
    public void Adopt(IEnumerable<long> batchIds)
    {
        if (Key.Length == 0)
            return;
        foreach (var batchId in batchIds)
            _permits.TryAdd(batchId, (Key, MayEndLate: false));
    }

    /// <summary>Asks for a permit. Null where none is to be had now: then the domain waits for the site's call, or for the end of the rest.</summary>
    /// <param name="messages">Wanted at most.</param>
    public async Task<SiteAnswer> AskAsync(string domain, long batchId, int messages)
    {
        var site = Key;
        var ask = new SiteAsk(domain, batchId, messages, _insists) { TakesKept = true };
        var ends = TakeLate(site);
        _asked = ask;
        _isAsking = true;
        try
        {
            var answer = await grains.GetGrain<ISiteGrain>(site).AskAsync(ends.Length == 0 ? ask : ask with { Ends = ends });
            ends = [];
            _isUnheard = false;
            IsHeldUp = answer.Permit is null;
            if (answer.Permit is { } permit)
            {
                if (Take(site, permit))
                    return answer;
                // Given by a call while this was on its way it is the same one.
                if (!_permits.ContainsKey(batchId))
                    grains.GetGrain<ISiteGrain>(site).EndAsync(SiteReport.Untouched(domain, batchId)).Ignore();
                return SiteAnswer.Wait;
            }

            if (answer.Rest is not null)
                _asked = null;
            return answer;
        }
        catch (Exception exception) when (exception is OrleansException or TimeoutException or Storage.StorageUnavailableException)
        {
            // Its silo has died, or storage is away: it is asked again, for the same batch.
            _isUnheard = true;
            return SiteAnswer.Wait;
        }
        finally
        {
            _isAsking = false;
            if (_asked is null)
                _insists = false;
            // Perhaps it has heard them: twice is once.
            Tell(site, ends);
        }
    }

    /// <summary>It is this domain's turn. False: it does not wait for that any more.</summary>
    public bool Take(string site, SitePermit permit)
    {
        if (_asked?.BatchId != permit.BatchId || site != Key)
            return false;

        _asked = null;
        _insists = IsHeldUp = false;
        _permits[permit.BatchId] = (site, permit.MayEndLate);
        return true;
    }

    /// <summary>Waits for nothing any more; a permit that comes all the same is not taken.</summary>
    public void StopWaiting() => _asked = null;

    /// <summary>What is to be asked again: nobody knows whether the site, which may be in another silo by now, still knows of it.</summary>
    public SiteAsk? Tick(string domain)
    {
        TellEnds();
        var isTime = ++_ticks % TicksBetweenWords == 0;
        if (isTime)
        {
            foreach (var site in _permits.GroupBy(permit => permit.Value.Site, permit => permit.Key))
                grains.GetGrain<ISiteGrain>(site.Key).AssertAsync(domain, [.. site]).Ignore();
        }

        return !_isAsking && (isTime || _isUnheard) ? _asked : null;
    }

    /// <summary>A batch has ended, whatever became of it. Of one without a permit there is nothing to say.</summary>
    /// <param name="reportedSite">Where it was, should its permit be from before this queue was in memory.</param>
    public void End(SiteReport report, string reportedSite = "")
    {
        Senders.End(report);
        var (site, mayEndLate) = _permits.Remove(report.BatchId, out var permit) ? permit : (reportedSite, false);
        if (site.Length == 0)
            return;
        // Where hosts want less, or a connection is kept, others are to know it.
        if (mayEndLate && report is { State: SiteState.Answered, Connection: ConnectionEnd.Closed })
            _late.Add((site, report));
        else
            Tell(site, [report]);
    }

    /// <summary>A permit that nothing was begun with, or, unless it is <see cref="ConnectionEnd.Unused"/>, nobody knows what was.</summary>
    public void GiveBack(string domain, long batchId, ConnectionEnd connection = ConnectionEnd.Unused) => End(SiteReport.Untouched(domain, batchId, connection));

    /// <summary>The permit of the site alone: its batch is under way to somewhere else, by that of its sender's rate if it has one.</summary>
    public void GiveBackUnused(string domain, long batchId)
    {
        if (_permits.Remove(batchId, out var permit))
            Tell(permit.Site, [SiteReport.Untouched(domain, batchId)]);
    }

    /// <summary>The site knows at once what has ended, whatever may be told late.</summary>
    public void TellEnds()
    {
        while (_late.Count > 0)
            Tell(_late[0].Site, TakeLate(_late[0].Site));
    }

    /// <summary>Somebody waits there.</summary>
    public void TellEndsFromNow(string site)
    {
        foreach (var (batchId, permit) in _permits)
        {
            if (permit is { MayEndLate: true } && permit.Site == site)
                _permits[batchId] = (site, MayEndLate: false);
        }

        Tell(site, TakeLate(site));
    }

    /// <summary>Perhaps a worker takes the batch all the same: the site finds out.</summary>
    public void Leave(long batchId)
    {
        Senders.Leave(batchId);
        _permits.Remove(batchId);
    }

    /// <summary>Somebody was tried there.</summary>
    public void Learn(string domain, string site)
    {
        if (site.Length == 0)
            return;
        _flips = 0;
        Move(domain, site);
    }

    /// <summary>A batch was handed back because its mail goes there. False: that was known, and its permit counts no more.</summary>
    public bool Correct(string domain, string site)
    {
        telemetry.HandedBackForSite();
        if (site == Key)
            return false;
        _isUnsteady |= Key.Length > 0 && ++_flips >= MostFlips;
        Move(domain, site);
        return true;
    }

    private SiteReport[] TakeLate(string site)
    {
        if (_late.Count == 0)
            return [];
        SiteReport[] taken = [.. _late.Where(end => end.Site == site).Select(end => end.Report)];
        _late.RemoveAll(end => end.Site == site);
        return taken;
    }

    private void Tell(string site, SiteReport[] ends)
    {
        foreach (var end in ends)
            grains.GetGrain<ISiteGrain>(site).EndAsync(end).Ignore();
    }

    private void Move(string domain, string site)
    {
        if (site == Key)
            return;
        Key = site;
        // What it waits for at the other one is not what it needs.
        _asked = null;
        memory.Note(domain, site);
    }
}
