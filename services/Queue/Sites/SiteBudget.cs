using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Sites;

/// <summary>
/// What one site bears: the permits that are out, the connections that workers keep between two of them, who waits for one, how many there may
/// be now, how many messages a second, and whether it rests. Pure: time comes in, decisions come out.
/// </summary>
/// <param name="initial">Connections at first; one more for each that answered.</param>
/// <param name="cap">Most connections where no limit says otherwise.</param>
/// <param name="pause">How long the rest is after so many failures in a row.</param>
/// <param name="countsConnections">False: permits are for messages alone, as those of a sender's rate are, and whose connections are kept is others' affair.</param>
internal sealed class SiteBudget(int initial, int cap, Func<int, TimeSpan> pause, bool countsConnections = true)
{
    /// <summary>Twice as long as domains are silent.</summary>
    private static readonly TimeSpan s_claimedSilence = TimeSpan.FromSeconds(10);

    private readonly Dictionary<long, Held> _held = [];
    private readonly KeptConnections _kept = new();
    private readonly LinkedList<SiteAsk> _waiting = [];
    private readonly Dictionary<string, LinkedListNode<SiteAsk>> _places = new(StringComparer.Ordinal);
    private readonly MessageRate _rate = new();

    private DestinationLimits _limits = DestinationLimits.None;
    private int _allowed = initial;

    /// <summary>Up to so many one more for each answer, beyond only one more for as many answers as there are connections.</summary>
    private int _steep = int.MaxValue;
    private int _answers;
    private DateTimeOffset _answeredAt = DateTimeOffset.MinValue;
    private DateTimeOffset _slowedAt = DateTimeOffset.MinValue;
    private long _epoch;

    /// <summary>Before this nothing is given out: workers may keep connections of a former life that nobody can count.</summary>
    private DateTimeOffset _from = DateTimeOffset.MinValue;

    /// <summary>Permits whose end may be told late.</summary>
    private int _late;

    /// <summary>Rests in a row, and until when; none since the site has answered.</summary>
    public SiteRest Rest { get; private set; } = new(0, DateTimeOffset.UnixEpoch, "");

    /// <summary>Connections that there may be: those of permits, and those that are kept.</summary>
    public int Permits => _held.Count + _kept.Count;

    public int Waiting => _waiting.Count;

    public bool IsIdle => Permits + _waiting.Count == 0;

    /// <summary>Most connections at once now.</summary>
    public int Allowed => Math.Min(_allowed, Cap);

    /// <summary>An operator's limit of connections or of messages: permits count only by an epoch, so that none of a former life does.</summary>
    public bool NeedsEpoch => (_limits.Connections is not null || _rate.IsSet) && _epoch == 0;

    private int Cap => _limits.Connections ?? cap;

    public bool Rests(DateTimeOffset now) => now < Rest.Until;

    public void Remember(SiteRest rest)
    {
        Rest = rest;
        if (rest.Failures > 0)
            _allowed = 1;
    }

    /// <summary>What storage has ends earlier: somebody wants the site tried. Of another number of failures it is older than what is known.</summary>
    public void Shorten(SiteRest stored)
    {
        if (stored.Failures == Rest.Failures && stored.Until < Rest.Until)
            Rest = stored;
    }

    public void SetLimits(DestinationLimits limits, DateTimeOffset now)
    {
        _limits = limits;
        _rate.Set(limits.MessagesPerSecond, now);
        if (limits.Connections is null && !_rate.IsSet)
            _epoch = 0;
    }

    /// <summary>All of the rate is there.</summary>
    public bool IsRested(DateTimeOffset now) => _rate.IsRested(now);

    /// <summary>From now on permits are given by this epoch; whoever else has given some and is counted nowhere wins no claim by them.</summary>
    /// <param name="claimed">All batches that workers hold a claim for.</param>
    /// <param name="isAfterOthers">Somebody gave out permits before, and did not end in order: what was kept under them is waited for.</param>
    /// <param name="isRested">Nobody has used the rate lately.</param>
    public void Begin(long epoch, IEnumerable<HeldBatch> claimed, bool isAfterOthers, DateTimeOffset now, bool isRested = false)
    {
        _epoch = epoch;
        if (isAfterOthers && countsConnections)
            _from = now + KeptConnection.Gone;
        if (isRested)
            _rate.Rest(now);
        foreach (var batch in claimed)
        {
            if (_held.TryAdd(batch.BatchId, new Held(batch.Domain, batch.Recipients, now, now, HeldSince.ClaimedBefore)))
                _rate.Take(batch.Recipients);
        }

        AllowInherited();
    }

    /// <summary>Nothing is out, and nobody gives out permits by this epoch any more. Returns it; 0: there was none.</summary>
    public long EndEpoch()
    {
        var epoch = _epoch;
        _epoch = 0;
        return epoch;
    }

    /// <summary>Wants a permit; whether it is had now is for <see cref="Serve"/> to say.</summary>
    public void Ask(SiteAsk ask)
    {
        if (_places.TryGetValue(ask.Domain, out var place))
            place.Value = ask;
        else
            _places.Add(ask.Domain, _waiting.AddLast(ask));
    }

    /// <summary>Gives out what there is, in the order in which it was asked for.</summary>
    public IReadOnlyList<(string Domain, SitePermit Permit)> Serve(DateTimeOffset now)
    {
        List<(string, SitePermit)>? served = null;
        _kept.Forget(now);
        while (_waiting.First is { } first && !Rests(now) && MayServe(now) && !NeedsEpoch && _rate.Room(now) is > 0 and var room)
        {
            var ask = first.Value;
            Leave(first);
            // Asked again after the answer was lost.
            if (!_held.TryGetValue(ask.BatchId, out var held))
            {
                var messages = Math.Min(Math.Min(ask.Messages, room), _limits.MessagesPerConnection ?? int.MaxValue);
                held = new Held(ask.Domain, messages, now, now, HeldSince.Granted)
                {
                    From = ask.TakesKept ? _kept.TakeFor(ask.Domain) : null,
                    MayEndLate = countsConnections && _limits == DestinationLimits.None && _held.Count < Allowed / 2,
                };
                _late += held.MayEndLate ? 1 : 0;
                _held.Add(ask.BatchId, held);
                _rate.Take(messages);
            }

            (served ??= []).Add((ask.Domain, new SitePermit(ask.BatchId, held.Messages, _epoch, _limits != DestinationLimits.None, _rate.IsSet)
            {
                Kept = held.From is { } kept ? new KeptPermit(kept.After, kept.Worker) : null,
                MayKeep = countsConnections,
                MayEndLate = held.MayEndLate,
                MessagesPerConnection = _limits.MessagesPerConnection ?? 0,
            }));
        }

        return served ?? [];
    }

    /// <summary>Somebody waits: the domains that might tell late of what has ended are to do it now. Each is named once.</summary>
    public IReadOnlyCollection<string> TakeLate()
    {
        if (_waiting.Count == 0 || _late == 0)
            return [];
        _late = 0;
        HashSet<string> domains = new(StringComparer.Ordinal);
        foreach (var (batchId, held) in _held)
        {
            if (!held.MayEndLate)
                continue;
            domains.Add(held.Domain);
            _held[batchId] = held with { MayEndLate = false };
        }

        return domains;
    }

    /// <summary>Everybody who waits while the site rests is told so, and waits elsewhere.</summary>
    public IReadOnlyList<string> DismissWaiting()
    {
        string[] domains = [.. _waiting.Select(ask => ask.Domain)];
        _waiting.Clear();
        _places.Clear();
        return domains;
    }

    /// <summary>A batch has ended. True: whether the site rests, or did lately, has changed.</summary>
    public bool End(SiteReport report, DateTimeOffset now)
    {
        var grantedAt = DateTimeOffset.MinValue;
        var held = Remove(report.BatchId);
        if (held is not null)
        {
            grantedAt = held.GrantedAt;
            _rate.Report(held.Messages, report.Sent, now);
            Keep(report, held, now);
        }
        else if (report.Connection == ConnectionEnd.Kept)
        {
            _kept.Learn(report.BatchId, report.Worker);
        }

        return report.State switch
        {
            SiteState.Answered => Answered(now),
            SiteState.SlowDown or SiteState.Unreachable => Refused(report, grantedAt, held is not null, now),
            _ => false,
        };
    }

    /// <summary>These are under way. Whoever has them was given them in a former life of the site.</summary>
    public void Assert(string domain, IEnumerable<long> batchIds, DateTimeOffset now)
    {
        var known = _held.Count;
        foreach (var batchId in batchIds)
        {
            // Where permits count by an epoch, all that do are known.
            if (_held.TryGetValue(batchId, out var held))
                _held[batchId] = held with { AssertedAt = now };
            else if (_epoch == 0)
                _held.Add(batchId, new Held(domain, 0, now, now, HeldSince.Before));
        }

        if (_held.Count > known)
            AllowInherited();
    }

    /// <summary>
    /// Permits of which nothing has been heard for so long. Those that were claimed in a former life need not be waited for until somebody claims
    /// them: where others wait, the silence of a domain whose silo and worker have died is broken soon.
    /// </summary>
    public IReadOnlyList<long> Silent(TimeSpan time, DateTimeOffset now)
    {
        var claimed = _waiting.Count > 0 && s_claimedSilence < time ? s_claimedSilence : time;
        return [.. _held.Where(held => (now - held.Value.AssertedAt).Duration() > (held.Value.Since == HeldSince.ClaimedBefore ? claimed : time)).Select(held => held.Key)];
    }

    /// <summary>Nobody holds a claim for this batch, and nobody can win one any more. What it sent before is not known.</summary>
    public void Drop(long batchId, DateTimeOffset now)
    {
        if (Remove(batchId) is not { } held)
            return;
        _rate.Report(held.Messages, [.. Enumerable.Repeat(TimeSpan.Zero, held.Messages)], now);
        Keep(SiteReport.Untouched(held.Domain, batchId, ConnectionEnd.Unknown), held, now);
    }

    /// <summary>When somebody who waits may have a permit without a report; null: nobody waits, or a report decides.</summary>
    public DateTimeOffset? NextAt(DateTimeOffset now) =>
        _waiting.Count == 0 ? null : Rests(now) ? Rest.Until : now < _from ? _from : MayServe(now) ? _rate.NextAt(now) : _kept.NextGone;

    /// <summary>What keeps those waiting who wait.</summary>
    public SiteNote Describe(DateTimeOffset now) => new(
        Allowed, Permits, _waiting.Count, _waiting.Count == 0 ? SiteHoldUp.None : MayServe(now) && _rate.Room(now) == 0 ? SiteHoldUp.Rate : SiteHoldUp.Connections);

    /// <summary>There is room for a new connection, or one that is kept to be handed on. More than there may be now become fewer first.</summary>
    private bool MayServe(DateTimeOffset now) =>
        now >= _from && (Permits < Allowed || (Permits == Allowed && _kept.HasKnown && _waiting.First is { Value.TakesKept: true }));

    private Held? Remove(long batchId)
    {
        if (!_held.Remove(batchId, out var held))
            return null;
        _late -= held.MayEndLate ? 1 : 0;
        return held;
    }

    /// <summary>What counts of a connection when its permit has ended.</summary>
    private void Keep(SiteReport report, Held held, DateTimeOffset now)
    {
        if (!countsConnections)
            return;
        switch (report.Connection)
        {
            case ConnectionEnd.Kept:
                _kept.Add(new Kept(report.BatchId, held.Domain, report.Worker, now + KeptConnection.Gone));
                break;
            case ConnectionEnd.Unused when held.From is { } from && from.Until > now:
                _kept.Add(from);
                break;
            // Nobody keeps one that nobody has said is counted.
            case ConnectionEnd.Unknown when _limits != DestinationLimits.None:
                _kept.Add(new Kept(report.BatchId, held.Domain, "", now + KeptConnection.Gone));
                break;
            default:
                break;
        }
    }

    private bool Answered(DateTimeOffset now)
    {
        _answeredAt = now;
        if (_allowed < _steep || ++_answers >= _allowed)
        {
            _answers = 0;
            _allowed = Math.Min(_allowed + 1, Math.Max(Cap, 1));
        }

        if (Rest.Failures == 0)
            return false;
        Rest = new(0, DateTimeOffset.UnixEpoch, "");
        return true;
    }

    /// <summary>
    /// Half as many connections; where no batch has been answered since this one was given its permit, none at all for a while. Batches that
    /// were under way together were refused together: that is once, not many times.
    /// </summary>
    private bool Refused(SiteReport report, DateTimeOffset grantedAt, bool isKnown, DateTimeOffset now)
    {
        if (Rests(now) || (isKnown && grantedAt < _slowedAt))
            return false;
        var open = Math.Min(Allowed, Permits + 1);
        _allowed = _steep = Math.Max(1, open / 2);
        (_slowedAt, _answers) = (now, 0);
        if (!isKnown || report.HasProgressed || _answeredAt > grantedAt)
            return false;
        var failures = Rest.Failures + 1;
        Rest = new(failures, now + pause(failures), report.Reason);
        _allowed = 1;
        return true;
    }

    /// <summary>
    /// The hosts bear at once what a former life has given out: with fewer allowed than that nobody would be served before most of these have
    /// ended, however long the hosts take. Where they have refused anything since, that counts.
    /// </summary>
    private void AllowInherited()
    {
        if (Rest.Failures == 0 && _slowedAt == DateTimeOffset.MinValue)
            _allowed = Math.Max(_allowed, _held.Values.Count(held => held.Since != HeldSince.Granted));
    }

    private void Leave(LinkedListNode<SiteAsk> place)
    {
        _waiting.Remove(place);
        _places.Remove(place.Value.Domain);
    }

    /// <param name="AssertedAt">When its domain spoke of it last.</param>
    private sealed record Held(string Domain, int Messages, DateTimeOffset GrantedAt, DateTimeOffset AssertedAt, HeldSince Since)
    {
        /// <summary>The connection that it was handed on.</summary>
        public Kept? From { get; init; }

        public bool MayEndLate { get; init; }
    }

    private enum HeldSince
    {
        /// <summary>This life of the site gave it.</summary>
        Granted,

        /// <summary>A former one did.</summary>
        Before,

        /// <summary>A former one did, and when this one began a worker held a claim by it.</summary>
        ClaimedBefore,
    }
}
