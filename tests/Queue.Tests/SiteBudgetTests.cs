using CsCheck;
using MailPipeline.Mail;
using MailPipeline.Queue.Policies;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Tests;

public sealed class SiteBudgetTests
{
    private const int Cap = 8;

    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly SiteBudget _site = Make();
    private DateTimeOffset _now = s_start;
    private long _batch;
    private SitePermit? _lastServed;

    [Fact]
    public void It_begins_with_few_and_allows_one_more_for_each_that_answered_up_to_the_cap()
    {
        Assert.Equal(2, Ask("a", "b", "c", "d").Count);
        for (var i = 1; i <= 20; i++)
            End(_site, i, SiteState.Answered);
        Assert.Equal(Cap, _site.Allowed);
    }

    [Fact]
    public void Who_waits_has_his_turn_in_the_order_of_asking_when_another_has_ended()
    {
        Assert.Equal(["a", "b"], Ask("a", "b", "c", "d", "e"));
        // Asking again keeps the place.
        Assert.Empty(Ask("c"));
        Assert.Equal(3, _site.Waiting);
        End(_site, 1, SiteState.Unsaid);
        Assert.Equal(["c"], Serve());
        End(_site, 2, SiteState.Unsaid);
        Assert.Equal(["d"], Serve());
        Assert.Empty(Serve());
    }

    [Fact]
    public void Who_asks_again_for_a_batch_that_has_its_permit_has_it()
    {
        Assert.Equal(["a"], Ask("a"));
        _site.Ask(new SiteAsk("a", _batch, 10, Insists: false));
        Assert.Equal((_batch, 1), (Assert.Single(_site.Serve(_now)).Permit.BatchId, _site.Permits));
    }

    [Fact]
    public void A_limit_of_an_operator_needs_an_epoch_before_anything_is_given()
    {
        _site.SetLimits(new DestinationLimits(3, null, 5), _now);
        Assert.True(_site.NeedsEpoch);
        Assert.Empty(Ask("a"));
        Begin();
        Assert.False(_site.NeedsEpoch);
        Assert.Equal(new SitePermit(_batch, 5, 77, IsLimited: true, IsPaced: false) { MayKeep = true, MessagesPerConnection = 5 }, Assert.Single(_site.Serve(_now)).Permit);
        // Where the limit is gone, there is none to keep.
        _site.SetLimits(DestinationLimits.None, _now);
        Ask("b");
        Assert.False(_site.NeedsEpoch);
        _site.SetLimits(new DestinationLimits(3, null, null), _now);
        Assert.True(_site.NeedsEpoch);
    }

    [Fact]
    public void What_workers_hold_counts_from_the_first_moment()
    {
        _site.SetLimits(new DestinationLimits(3, null, null), _now);
        Begin(new HeldBatch(101, "x", 4), new HeldBatch(102, "y", 1));
        Assert.Equal(2, _site.Permits);
        Assert.Empty(Ask("a"));
        End(_site, 101, SiteState.Unsaid);
        Assert.Equal(["a"], Serve());
        // Under an epoch all are known: a batch that somebody speaks of and that is not among them wins no claim.
        _site.Assert("z", [103], _now);
        Assert.Equal(2, _site.Permits);
    }

    [Fact]
    public void Without_an_epoch_what_domains_speak_of_counts()
    {
        _site.Assert("x", [101, 102], _now);
        Assert.Equal(2, _site.Permits);
        Assert.Empty(Ask("a"));
    }

    /// <summary>The silo of the site has died, and a worker with it: his recipients go on, though those of the others take long.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void The_place_of_a_dead_worker_is_given_to_others_while_more_are_under_way_than_a_site_begins_with(bool isLimited)
    {
        if (isLimited)
        {
            _site.SetLimits(new DestinationLimits(Cap, null, null), _now);
            _site.Begin(77, [.. Enumerable.Range(101, 6).Select(batch => new HeldBatch(batch, "x", 1))], isAfterOthers: false, _now);
        }
        else
        {
            _site.Assert("x", [101, 102, 103], _now);
            _site.Assert("y", [104, 105, 106], _now);
        }
        Assert.Empty(Ask("a", "b"));
        End(_site, 101, SiteState.Unsaid);
        Assert.Equal(["a"], Serve());
        Assert.Empty(Serve());
        // Hosts that want less have less.
        End(_site, 102, SiteState.SlowDown, hasProgressed: true);
        _site.Assert("z", [107], _now);
        Assert.Equal(3, _site.Allowed);
    }

    [Fact]
    public void A_site_that_could_not_be_reached_is_tried_by_one_whatever_is_under_way()
    {
        _site.Remember(new SiteRest(1, _now, "down"));
        _site.Assert("x", [101, 102, 103], _now);
        Assert.Equal(1, _site.Allowed);
    }

    [Fact]
    public void What_was_claimed_before_is_looked_for_sooner_while_somebody_waits()
    {
        _site.SetLimits(new DestinationLimits(2, null, null), _now);
        _site.Begin(77, [new HeldBatch(101, "x", 1), new HeldBatch(102, "y", 1)], isAfterOthers: false, _now);
        _now += TimeSpan.FromSeconds(11);
        _site.Assert("y", [102], _now);
        Assert.Empty(_site.Silent(TimeSpan.FromSeconds(30), _now));
        Assert.Empty(Ask("a"));
        Assert.Equal([101L], _site.Silent(TimeSpan.FromSeconds(30), _now));
    }

    [Fact]
    public void A_raised_limit_counts_for_who_waits_and_a_lowered_one_drains()
    {
        _site.SetLimits(new DestinationLimits(2, null, null), _now);
        Begin();
        for (var i = 0; i < 20; i++)
            End(_site, 1000 + i, SiteState.Answered);
        Assert.Equal(2, Ask("a", "b", "c", "d", "e", "f").Count);
        _site.SetLimits(new DestinationLimits(4, null, null), _now);
        End(_site, 1, SiteState.Answered);
        End(_site, 2, SiteState.Answered);
        Assert.Equal(4, Serve().Count);
        _site.SetLimits(new DestinationLimits(1, null, null), _now);
        Ask("g");
        for (var i = 3; i < 6; i++)
        {
            End(_site, i, SiteState.Answered);
            Assert.Empty(Serve());
        }
        End(_site, 6, SiteState.Answered);
        Assert.Equal(["g"], Serve());
    }

    [Fact]
    public void A_host_that_wants_less_gets_half_as_many_and_once_for_all_that_were_under_way()
    {
        Open(Cap);
        foreach (var batch in new[] { 1, 2, 3 })
            End(_site, batch, SiteState.SlowDown, hasProgressed: true);
        Assert.Equal(Cap / 2, _site.Allowed);
        Assert.False(_site.Rests(_now));
        // From there on it grows by one for as many answers as there are connections.
        for (var i = 0; i < 3; i++)
            End(_site, 4 + i, SiteState.Answered);
        Assert.Equal(4, _site.Allowed);
        End(_site, 7, SiteState.Answered);
        Assert.Equal(5, _site.Allowed);
    }

    [Fact]
    public void Half_is_half_of_those_that_there_are()
    {
        Open(Cap);
        for (var batch = 1; batch <= Cap; batch++)
            End(_site, batch, SiteState.Answered);
        _now += TimeSpan.FromSeconds(1);
        Ask("a", "b");
        End(_site, _batch, SiteState.SlowDown, hasProgressed: true);
        Assert.Equal(1, _site.Allowed);
    }

    [Theory]
    [InlineData(SiteState.SlowDown)]
    [InlineData(SiteState.Unreachable)]
    public void Where_nothing_could_be_done_the_site_rests_longer_each_time_and_is_tried_by_one(SiteState state)
    {
        Ask("a", "b", "c");
        Assert.True(End(_site, 1, state));
        Assert.True(_site.Rests(_now));
        Assert.Equal(new SiteRest(1, _now.AddMinutes(1), "refused"), _site.Rest);
        // It was the same failure.
        Assert.False(End(_site, 2, state));
        Assert.Equal(["c"], _site.DismissWaiting());

        _now = _site.Rest.Until;
        Assert.Equal(["a"], Ask("a", "b", "c"));
        Assert.True(End(_site, _batch - 2, state));
        Assert.Equal(new SiteRest(2, _now.AddMinutes(2), "refused"), _site.Rest);
        Assert.Empty(Serve());

        _now = _site.Rest.Until;
        Assert.Equal(["b"], Serve());
        Assert.True(End(_site, _batch - 1, SiteState.Answered));
        Assert.Equal(0, _site.Rest.Failures);
        Assert.Equal(2, _site.Allowed);
    }

    [Fact]
    public void A_batch_that_failed_beside_one_that_was_answered_is_no_reason_to_rest()
    {
        Ask("a", "b");
        _now += TimeSpan.FromSeconds(1);
        End(_site, 1, SiteState.Answered);
        Assert.False(End(_site, 2, SiteState.Unreachable));
        Assert.False(_site.Rests(_now));
    }

    [Fact]
    public void An_old_report_is_no_reason_to_rest()
    {
        Assert.False(End(_site, 4711, SiteState.Unreachable));
        Assert.False(_site.Rests(_now));
    }

    [Fact]
    public void A_remembered_rest_lasts_and_storage_may_shorten_it()
    {
        _site.Remember(new SiteRest(3, _now.AddHours(1), "down"));
        Assert.Empty(Ask("a", "b"));
        Assert.Equal(_now.AddHours(1), _site.NextAt(_now));
        _site.Shorten(new SiteRest(2, _now, "down"));
        Assert.True(_site.Rests(_now));
        _site.Shorten(new SiteRest(3, _now, "down"));
        Assert.Equal(["a"], Serve());
    }

    [Fact]
    public void What_is_not_spoken_of_for_long_is_looked_for_and_dropped()
    {
        Ask("a", "b");
        _now += TimeSpan.FromSeconds(31);
        _site.Assert("a", [1], _now);
        Assert.Equal([2L], _site.Silent(TimeSpan.FromSeconds(30), _now));
        _site.Drop(2, _now);
        Assert.Equal(1, _site.Permits);
    }

    [Fact]
    public void The_rate_bounds_batches_and_says_when_the_next_one_may_go()
    {
        _site.SetLimits(new DestinationLimits(null, 20, null), _now);
        Begin();
        _now += TimeSpan.FromSeconds(2);
        _site.Ask(new SiteAsk("a", 1, 10, Insists: false));
        Assert.Equal(new SitePermit(1, 4, 77, IsLimited: true, IsPaced: true) { MayKeep = true }, Assert.Single(_site.Serve(_now)).Permit);
        Assert.Empty(Ask("b"));
        Assert.Equal(SiteHoldUp.Rate, _site.Describe(_now).HoldUp);
        Assert.Equal(_now.AddMilliseconds(50), _site.NextAt(_now));
        _now += TimeSpan.FromMilliseconds(50);
        Assert.Equal(["b"], Serve());
    }

    [Fact]
    public void What_keeps_those_waiting_who_wait_is_said()
    {
        Ask("a", "b", "c");
        Assert.Equal(new SiteNote(2, 2, 1, SiteHoldUp.Connections), _site.Describe(_now));
        End(_site, 1, SiteState.Unsaid);
        Serve();
        Assert.Equal(SiteHoldUp.None, _site.Describe(_now).HoldUp);
    }

    [Fact]
    public void A_connection_that_is_kept_is_handed_on_with_the_next_permit_and_counts_until_then()
    {
        Limit(1);
        Assert.Equal(["a"], Ask("a", "b"));
        Keep(1, "pod1");
        Assert.Equal(1, _site.Permits);
        var (domain, permit) = Assert.Single(_site.Serve(_now));
        Assert.Equal(("b", new KeptPermit(1, "pod1")), (domain, permit.Kept));
        Assert.Equal(1, _site.Permits);
        // Whoever takes it may have closed it: that is one connection all the same.
        End(_site, 2, SiteState.Answered);
        Assert.Equal(["c"], Ask("c"));
        Keep(3, "pod1");
        _now += KeptConnection.Gone;
        Ask("d");
        Assert.Null(_lastServed!.Kept);
        Assert.Equal(1, _site.Permits);
    }

    [Fact]
    public void A_silo_that_knows_nothing_of_kept_connections_waits_for_their_end()
    {
        Limit(1);
        Ask("a");
        Keep(1, "pod1");
        _site.Ask(new SiteAsk("b", ++_batch, 10, Insists: false));
        Assert.Empty(Serve());
        _now += KeptConnection.Gone;
        Assert.Equal(["b"], Serve());
        Assert.Null(_lastServed!.Kept);
    }

    [Fact]
    public void A_domain_has_its_own_one_first_so_that_no_more_carry_its_mail_than_it_has_batches()
    {
        Limit(3);
        Answer(3);
        Ask("a", "b", "c");
        Keep(1, "pod1", "a");
        Keep(2, "pod2", "b");
        Keep(3, "pod3", "c");
        Ask("a");
        Assert.Equal(new KeptPermit(1, "pod1"), _lastServed!.Kept);
        // Without one of its own it has that of another rather than a new one.
        Ask("x");
        Assert.Equal(new KeptPermit(3, "pod3"), _lastServed!.Kept);
        Assert.Equal(3, _site.Permits);
    }

    [Fact]
    public void Where_nobody_says_what_became_of_a_connection_it_counts_until_it_is_gone()
    {
        Limit(1);
        Ask("a", "b");
        _site.End(SiteReport.Untouched("a", 1, ConnectionEnd.Unknown), _now);
        Assert.Empty(Serve());
        Assert.Equal(_now + KeptConnection.Gone, _site.NextAt(_now));
        // Its worker says so late.
        Keep(1, "pod1");
        Assert.Equal(["b"], Serve());
        _site.Drop(2, _now);
        Ask("c");
        _now += KeptConnection.Gone;
        Assert.Equal(["c"], Serve());
    }

    [Fact]
    public void A_permit_that_nobody_used_leaves_the_connection_to_the_next()
    {
        Limit(1);
        Ask("a");
        Keep(1, "pod1");
        Ask("b");
        _site.End(SiteReport.Untouched("b", 2), _now);
        Assert.Equal(1, _site.Permits);
        Ask("c");
        Assert.Equal(new KeptPermit(1, "pod1"), _lastServed!.Kept);
        _now += KeptConnection.Gone;
        _site.End(SiteReport.Untouched("c", 3), _now);
        Assert.Equal(0, _site.Permits);
    }

    [Fact]
    public void A_lowered_limit_hands_on_none_before_there_are_fewer()
    {
        Limit(2);
        Ask("a", "b");
        Keep(1, "pod1");
        _site.SetLimits(new DestinationLimits(1, null, null), _now);
        Assert.Empty(Ask("c"));
        End(_site, 2, SiteState.Unsaid);
        Assert.Equal(["c"], Serve());
        Assert.Equal(1, _site.Permits);
    }

    [Fact]
    public void Behind_somebody_who_did_not_end_in_order_what_he_let_be_kept_is_waited_for()
    {
        _site.SetLimits(new DestinationLimits(3, null, null), _now);
        _site.Begin(77, [], isAfterOthers: true, _now);
        Assert.Empty(Ask("a"));
        Assert.Equal(_now + KeptConnection.Gone, _site.NextAt(_now));
        _now += KeptConnection.Gone;
        Assert.Equal(["a"], Serve());
    }

    [Fact]
    public void Permits_of_a_senders_rate_say_nothing_of_connections()
    {
        var rate = new SiteBudget(int.MaxValue, int.MaxValue, _ => TimeSpan.Zero, countsConnections: false);
        rate.SetLimits(new DestinationLimits(null, 100, null), _now);
        rate.Begin(77, [], isAfterOthers: true, _now, isRested: true);
        for (var batch = 1; batch <= 3; batch++)
        {
            rate.Ask(new SiteAsk("a", batch, 1, Insists: false) { TakesKept = true });
            Assert.True(Assert.Single(rate.Serve(_now)).Permit is { Kept: null, MayKeep: false, MayEndLate: false, Epoch: 77 });
        }

        rate.End(new SiteReport("a", 1, 1, [], SiteState.Unsaid, HasProgressed: true, "") { Connection = ConnectionEnd.Kept, Worker = "pod1" }, _now);
        rate.End(SiteReport.Untouched("a", 2, ConnectionEnd.Unknown), _now);
        rate.Drop(3, _now);
        Assert.True(rate is { IsIdle: true, Permits: 0 });
    }

    [Fact]
    public void Who_may_tell_late_is_asked_as_soon_as_somebody_waits()
    {
        Answer(2);
        Ask("a");
        Assert.True(_lastServed!.MayEndLate);
        Ask("b");
        Assert.True(_lastServed!.MayEndLate);
        Ask("c");
        Assert.False(_lastServed!.MayEndLate);
        Assert.Empty(_site.TakeLate());
        Ask("d", "e");
        Assert.Equal(["a", "b"], _site.TakeLate().Order());
        Assert.Empty(_site.TakeLate());
        // Nobody waits under a limit for one who tells late.
        Limit(8);
        End(_site, 1, SiteState.Answered);
        Serve();
        Assert.False(_lastServed!.MayEndLate);
    }

    /// <summary>Whatever is asked, ended, kept, asserted and taken over, in any order: connections are never more than the limit.</summary>
    [Fact]
    public void No_order_of_events_gives_more_connections_than_the_limit()
    {
        const int limit = 3;
        Gen.Int[0, 14].Array[1, 300].Sample(events =>
        {
            var now = s_start;
            var batch = 0L;
            var epoch = 0L;
            // Batches on the bus, and what workers have: what was not claimed before the next epoch wins no claim. A connection is open from the claim on; one that is
            // kept, by the batch that left it, until its time is over or its next batch comes.
            var unclaimed = new List<(long Batch, long Epoch, KeptPermit? Kept)>();
            var claimed = new List<long>();
            var kept = new Dictionary<long, DateTimeOffset>();
            var lost = new List<SiteReport>();
            var site = Start();
            foreach (var happens in events)
            {
                now += TimeSpan.FromMilliseconds(400);
                foreach (var (after, _) in kept.Where(one => one.Value <= now).ToList())
                    kept.Remove(after);
                switch (happens)
                {
                    case 0 or 1 or 2 or 3:
                        site.Ask(new SiteAsk($"d{happens}", ++batch, 1, Insists: false) { TakesKept = happens > 0 });
                        break;
                    case 4 or 5 when unclaimed.Count > 0:
                        var (taken, by, permit) = unclaimed[0];
                        unclaimed.RemoveAt(0);
                        // It goes over the one that was kept, or in its place.
                        kept.Remove(permit?.After ?? 0);
                        if (by == epoch)
                            claimed.Add(taken);
                        else
                            site.End(SiteReport.Untouched("d", taken, ConnectionEnd.Unknown), now);
                        break;
                    case 6 when unclaimed.Count > 0:
                        // The domain had nothing to send any more.
                        site.End(SiteReport.Untouched("d", unclaimed[^1].Batch), now);
                        unclaimed.RemoveAt(unclaimed.Count - 1);
                        break;
                    case 7 when claimed.Count > 0:
                        site.End(Ended(keeps: false), now);
                        break;
                    case 8 or 9 when claimed.Count > 0:
                        site.End(Ended(keeps: true), now);
                        break;
                    case 10 when claimed.Count > 0:
                        // Its report is lost, or late; its domain's queue finds that it has ended.
                        var late = Ended(keeps: true);
                        site.End(SiteReport.Untouched("d", late.BatchId, ConnectionEnd.Unknown), now);
                        lost.Add(late);
                        break;
                    case 11 when lost.Count > 0:
                        site.End(lost[0], now);
                        lost.RemoveAt(0);
                        break;
                    case 12 when claimed.Count > 0:
                        // Nobody speaks of it, and it has ended.
                        site.Drop(Ended(keeps: true).BatchId, now);
                        break;
                    case 13:
                        site.Assert("d", [.. claimed, .. unclaimed.Select(one => one.Batch)], now);
                        break;
                    case 14:
                        // Its silo dies.
                        site = Start();
                        break;
                }

                unclaimed.AddRange(site.Serve(now).Select(served => (served.Permit.BatchId, served.Permit.Epoch, served.Permit.Kept)));
                var open = claimed.Count + kept.Count + unclaimed.Count(one => one.Epoch == epoch && !kept.ContainsKey(one.Kept?.After ?? 0));
                Assert.True(open <= limit, $"{claimed.Count} + {kept.Count} kept + {unclaimed.Count} on their way");
            }

            SiteReport Ended(bool keeps)
            {
                var ended = claimed[^1];
                claimed.RemoveAt(claimed.Count - 1);
                if (keeps)
                    kept.Add(ended, now + KeptConnection.Time);
                return new SiteReport("d", ended, 1, [], SiteState.Answered, HasProgressed: true, "")
                {
                    Connection = keeps ? ConnectionEnd.Kept : ConnectionEnd.Closed, Worker = keeps ? "pod" : "",
                };
            }

            SiteBudget Start()
            {
                var started = Make();
                started.SetLimits(new DestinationLimits(limit, null, null), now);
                var isAfterOthers = epoch > 0;
                started.Begin(++epoch, [.. claimed.Select(held => new HeldBatch(held, "d", 1))], isAfterOthers, now);
                return started;
            }
        });
    }

    private static SiteBudget Make() => new(initial: 2, Cap, failures => TimeSpan.FromMinutes(failures));

    private void Begin(params HeldBatch[] claimed) => _site.Begin(77, claimed, isAfterOthers: false, _now);

    private void Limit(int connections)
    {
        _site.SetLimits(new DestinationLimits(connections, null, null), _now);
        Begin();
    }

    /// <summary>So many answers more than it begins with.</summary>
    private void Answer(int times)
    {
        for (var i = 0; i < times; i++)
            End(_site, -100 - i, SiteState.Answered);
    }

    /// <summary>Its worker says that it keeps its connection.</summary>
    private void Keep(long batch, string worker, string domain = "d") => _site.End(
        new SiteReport(domain, batch, 1, [], SiteState.Unsaid, HasProgressed: true, "") { Connection = ConnectionEnd.Kept, Worker = worker }, _now);

    /// <summary>So many are under way.</summary>
    private void Open(int count)
    {
        for (var i = 0; i < count; i++)
            End(_site, -1 - i, SiteState.Answered);
        _now += TimeSpan.FromSeconds(1);
        Assert.Equal(count, Ask([.. Enumerable.Range(0, count).Select(i => $"d{i}")]).Count);
        _now += TimeSpan.FromSeconds(1);
    }

    /// <summary>Asks for one batch of each; returns those that have their turn now.</summary>
    private List<string> Ask(params string[] domains)
    {
        foreach (var domain in domains)
            _site.Ask(new SiteAsk(domain, ++_batch, 10, Insists: false) { TakesKept = true });
        return Serve();
    }

    private List<string> Serve()
    {
        var served = _site.Serve(_now);
        if (served.Count > 0)
            _lastServed = served[^1].Permit;
        return [.. served.Select(one => one.Domain)];
    }

    private bool End(SiteBudget site, long batch, SiteState state, bool hasProgressed = false) =>
        site.End(new SiteReport("d", batch, 1, [], state, hasProgressed, "refused"), _now);
}
