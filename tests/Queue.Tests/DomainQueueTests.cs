using CsCheck;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue.Tests;

public sealed class DomainQueueTests
{
    private static readonly DateTimeOffset s_now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly QueueOptions _options = new()
    {
        RetrySteps = QueueOptions.DefaultRetrySteps, WindowRecipients = 10, BatchRecipients = 3, InitialConcurrency = 2, DomainConcurrency = 4,
    };

    private readonly DomainQueue _queue;
    private long _claim;

    public DomainQueueTests()
    {
        _queue = new DomainQueue(_options, new ScheduleTable(_options, new QueuePolicyOptions()), SenderPolicy.None);
        _queue.Load([], 10);
    }

    [Fact]
    public void Hands_out_in_batches_up_to_the_allowed_number()
    {
        _queue.Offer(Recipients(1, 10), s_now);
        Assert.Equal([1, 2, 3], Ids(NextBatch()));
        Assert.Equal([4, 5, 6], Ids(NextBatch()));
        Assert.Null(NextBatch());
        Assert.Equal(4, _queue.Waiting);
    }

    [Fact]
    public void Each_batch_that_reaches_the_domain_allows_one_more_up_to_the_cap()
    {
        for (var round = 0; round < 20; round++)
        {
            _queue.Offer([Recipient(100 + round)], s_now);
            _queue.Complete(NextBatch()!.Id);
            _queue.Conclude("example.net", unreachable: false, "", s_now, 0);
        }
        _queue.Offer(Recipients(1, 10), s_now);
        _queue.NoteMoreInStore();
        _queue.Load(Recipients(11, 10), 10);
        var handedOut = 0;
        while (NextBatch() is not null)
            handedOut++;
        Assert.Equal(_options.DomainConcurrency, handedOut);
    }

    [Fact]
    public void The_window_of_a_hot_domain_reads_on_behind_what_it_has_until_something_may_lie_before()
    {
        _queue.NoteDue();
        Assert.Equal(default, _queue.NextPage(s_now));
        _queue.Load(Recipients(1, 10), 10);
        var first = NextBatch()!;
        NextBatch();
        Assert.True(_queue.WantsMore(s_now));
        Assert.Equal(new DuePlace(s_now, 10), _queue.NextPage(s_now.AddSeconds(1)));
        _queue.Load(Recipients(11, 6), 6);
        Assert.Equal(10, _queue.Waiting);
        // The reconciler wakes busy domains all the time.
        _queue.NoteDue();
        Assert.Equal(new DuePlace(s_now, 16), _queue.NextPage(s_now.AddSeconds(5)));

        Assert.Equal(default, _queue.NextPage(s_now.AddSeconds(6)));
        _queue.Load(Recipients(7, 10), 10);
        Assert.Equal(10, _queue.Waiting);
        Assert.Equal(new DuePlace(s_now, 16), _queue.NextPage(s_now.AddSeconds(7)));
        _queue.TakeBack(first.Id);
        Assert.Equal(default, _queue.NextPage(s_now.AddSeconds(7)));
        // Fewer than asked for: the next page is the first.
        _queue.Load(Recipients(1, 3), 10);
        Assert.Equal(default, _queue.NextPage(s_now.AddSeconds(7)));
    }

    [Fact]
    public void Flows_are_read_when_a_sender_comes_of_whom_nobody_waits_here_while_storage_has_more()
    {
        _queue.Load(Recipients(1, 6), 6);
        _queue.LoadFlows([], "", s_now);
        var later = s_now.AddSeconds(1);
        Assert.False(_queue.WantsFlows(later));
        _queue.Offer([Recipient(50)], s_now);
        Assert.False(_queue.WantsFlows(later));

        _queue.Offer([Recipient(51) with { Flow = "ann@example.com" }], s_now);
        // Not for each of many that come.
        Assert.False(_queue.WantsFlows(s_now));
        Assert.True(_queue.WantsFlows(later));
        Assert.Equal(("", new DuePlace(s_now, 6), Recipient(1).Flow), _queue.NextFlows);
        _queue.LoadFlows([Recipient(51) with { Flow = "ann@example.com" }], "", later);
        Assert.False(_queue.WantsFlows(later.AddSeconds(1)));
        NextBatch();
        Assert.Equal(51, Ids(NextBatch())[0]);
        Assert.True(_queue.MoreInStore);
    }

    [Fact]
    public void The_window_is_bounded_and_the_rest_is_left_in_storage()
    {
        _queue.Offer(Recipients(1, 11), s_now);
        Assert.Equal(0, _queue.Waiting);
        Assert.True(_queue.MoreInStore);
        _queue.Offer([Recipient(50)], s_now);
        Assert.Equal(0, _queue.Waiting);
    }

    [Fact]
    public void The_same_recipient_is_never_in_memory_twice()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batch = NextBatch()!;
        _queue.NoteMoreInStore();
        _queue.Load(Recipients(1, 5), 10);
        Assert.Equal([4, 5], Ids(NextBatch()));
        _queue.Complete(batch.Id);
        _queue.Offer([Recipient(1)], s_now);
        Assert.Equal([1], Ids(NextBatch()));
    }

    [Fact]
    public void An_unreachable_domain_backs_off_longer_each_time_and_is_then_tried_with_few()
    {
        _queue.Offer(Recipients(1, 9), s_now);
        var (first, second) = (NextBatch()!, NextBatch()!);
        _queue.Complete(first.Id);
        Assert.True(_queue.Conclude("example.net", unreachable: true, "connection refused", s_now, 0));
        _queue.Complete(second.Id);
        Assert.False(_queue.Conclude("example.net", unreachable: true, "connection refused", s_now, 0));
        Assert.Equal(new DomainBackoff(1, s_now.AddMinutes(5), "connection refused"), _queue.Backoff);
        Assert.Equal(0, _queue.Waiting);

        _queue.Offer(Recipients(20, 3), s_now);
        Assert.Null(NextBatch());

        var later = s_now.AddMinutes(5);
        _queue.Load(Recipients(1, 9), 10);
        var probe = NextBatch(later)!;
        Assert.True(probe.Probe);
        Assert.Equal(2, probe.Recipients.Length);
        Assert.Null(NextBatch(later));
        _queue.Complete(probe.Id);
        _queue.Conclude("example.net", unreachable: true, "connection refused", later, 0);
        Assert.Equal(later.AddMinutes(10), _queue.Backoff.BackoffUntil);
    }

    [Theory]
    [InlineData(3, 0, true)]
    // The store has not heard of the last failure yet.
    [InlineData(2, 0, false)]
    [InlineData(3, 20, false)]
    public void A_backoff_that_was_ended_in_the_store_is_over(int failures, int minutes, bool isOver)
    {
        _queue.Remember(new DomainBackoff(3, s_now.AddMinutes(10), "down"));
        _queue.Shorten(new DomainBackoff(failures, s_now.AddMinutes(minutes), "down"));
        Assert.Equal(isOver, !_queue.BacksOff(s_now));
        Assert.Equal(3, _queue.Backoff.Failures);
    }

    [Fact]
    public void A_domain_that_answers_again_backs_off_no_longer()
    {
        _queue.Remember(new DomainBackoff(3, s_now, "down"));
        _queue.Offer(Recipients(1, 3), s_now);
        var probe = NextBatch()!;
        _queue.Complete(probe.Id);
        Assert.True(_queue.Conclude("example.net", unreachable: false, "", s_now, 0));
        Assert.Equal(DomainBackoff.None with { BackoffUntil = s_now }, _queue.Backoff);
        Assert.False(NextBatch()!.Probe);
    }

    [Theory]
    [InlineData(AttemptOutcome.NotAttempted, false, true, false)]
    [InlineData(AttemptOutcome.Delivered, false, true, true)]
    [InlineData(AttemptOutcome.Failed, false, true, true)]
    [InlineData(AttemptOutcome.Deferred, true, true, true)]
    // Of a batch that nobody waits for any more: bad news is believed, good news may be old.
    [InlineData(AttemptOutcome.Delivered, false, false, false)]
    [InlineData(AttemptOutcome.Deferred, true, false, true)]
    public void A_report_says_something_of_the_domain_when_something_was_tried(
        AttemptOutcome outcome, bool unreachable, bool isUnderWay, bool saysSomething)
    {
        var report = new AttemptReport(
            "example.net", 1, 2, [new AttemptResult(1, outcome, "4.0.0", "", "", s_now, s_now)], unreachable);
        Assert.Equal(saysSomething, DomainQueue.SaysSomething(report, isUnderWay));
    }

    [Fact]
    public void What_a_worker_who_stops_hands_back_is_read_again_while_his_batch_counts()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batch = NextBatch()!;
        Assert.Equal((RecipientRoute.Remote, 2), _queue.HandBack(batch.Id, [2, 3]));
        Assert.True(_queue.MoreInStore);
        Assert.Equal([batch.Id], _queue.BatchIds);
        Assert.Equal([(RecipientRoute.Remote, 1)], _queue.UnderWay);
        // Of the second report nothing is left; one of a batch from before this queue was in memory is unknown.
        Assert.Equal(0, _queue.HandBack(batch.Id, [2, 3]).Count);
        Assert.Equal(0, _queue.HandBack(4711, [2]).Count);

        _queue.Load(Recipients(1, 3), 10);
        var second = NextBatch()!;
        Assert.Equal([2, 3], Ids(second));
        _queue.Complete(batch.Id);
        // The first report says nothing of what the second worker has.
        _queue.NoteMoreInStore();
        _queue.Load(Recipients(1, 3), 10);
        Assert.Equal([1], Ids(NextBatch()));
    }

    [Fact]
    public void Who_was_handed_back_without_anybody_hearing_of_it_is_handed_out_again()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batch = NextBatch()!;

        // As long as the batch may be on its way, free is what they have to be.
        _queue.NoteMoreInStore();
        Assert.Empty(_queue.Load(Recipients(1, 3), 10));
        Assert.Equal(0, _queue.Waiting);

        _queue.NoteClaimed(batch.Id, s_now);
        Assert.Equal([(RecipientRoute.Remote, 2)], _queue.Load(Recipients(2, 2), 10));
        Assert.Equal([2, 3], Ids(NextBatch()));
        Assert.Equal([1], Ids(_queue.Complete(batch.Id)));
    }

    [Fact]
    public void A_batch_of_which_nobody_is_left_makes_room_at_once()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batch = NextBatch()!;
        _queue.NoteClaimed(batch.Id, s_now);
        Assert.Empty(_queue.Overdue(s_now));
        _queue.NoteMoreInStore();
        _queue.Load(Recipients(1, 3), 10);
        Assert.Equal(batch.Id, Assert.Single(_queue.Overdue(s_now)).Id);
        // Its worker lives after all.
        _queue.NoteClaimed(batch.Id, s_now);
        Assert.Empty(_queue.Overdue(s_now));
    }

    /// <summary>The silo has died, and a worker with it: his recipients go on, though those of the others take long.</summary>
    [Fact]
    public void The_place_of_a_dead_worker_is_given_to_others_while_more_are_under_way_than_a_domain_begins_with()
    {
        _queue.Adopt([101, 102, 103, 104], s_now);
        _queue.Offer(Recipients(1, 10), s_now);
        Assert.Null(NextBatch());
        _queue.TakeBack(101);
        _queue.Load(Recipients(1, 3), 10);
        Assert.Equal([1, 2, 3], Ids(NextBatch()));
        Assert.Null(NextBatch());
    }

    [Fact]
    public void A_domain_that_could_not_be_reached_is_tried_by_one_whatever_is_under_way()
    {
        _queue.Remember(new DomainBackoff(1, s_now, "down"));
        _queue.Adopt([101, 102, 103], s_now);
        _queue.Remember(DomainBackoff.None);
        _queue.TakeBack(101);
        _queue.Load(Recipients(1, 3), 10);
        Assert.Null(NextBatch());
    }

    [Fact]
    public void Nobody_is_given_up_without_an_attempt()
    {
        var late = s_now.AddDays(6);
        _queue.Offer([Recipient(1), Recipient(2) with { Attempts = 1 }], late);
        Assert.Empty(_queue.TakeExpired(late));
        Assert.Equal([1, 2], Ids(NextBatch(late)));
    }

    [Fact]
    public void Whose_time_is_over_is_given_up_while_his_domain_cannot_be_reached()
    {
        _queue.Remember(new DomainBackoff(3, s_now, "down"));
        _queue.Offer([Recipient(1), Recipient(2) with { AcceptedAt = s_now.AddDays(-6) }], s_now);
        Assert.Equal(2, Assert.Single(_queue.TakeExpired(s_now)).RecipientId);
        Assert.Equal([1], Ids(NextBatch()));
    }

    [Fact]
    public void A_batch_that_is_not_heard_of_becomes_overdue()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batch = NextBatch()!;
        Assert.Empty(_queue.Overdue(s_now + _options.BatchTimeout));
        Assert.Equal(batch, Assert.Single(_queue.Overdue(s_now + _options.BatchTimeout + TimeSpan.FromTicks(1))));
        _queue.TakeBack(batch.Id);
        Assert.True(_queue.IsIdle);
        Assert.True(_queue.MoreInStore);
    }

    [Fact]
    public void A_batch_that_a_worker_holds_is_looked_at_less_and_less_often()
    {
        _queue.Offer(Recipients(1, 3), s_now);
        var batchId = NextBatch()!.Id;
        var now = s_now + _options.BatchTimeout;
        foreach (var seconds in (int[])[1, 2, 4, 8, 15, 15])
        {
            _queue.NoteClaimed(batchId, now);
            Assert.Empty(_queue.Overdue(now.AddSeconds(seconds)));
            now = now.AddSeconds(seconds).AddTicks(1);
            Assert.Single(_queue.Overdue(now));
        }
    }

    [Fact]
    public void What_came_to_nothing_is_handed_out_after_a_pause_that_grows_until_somebody_is_tried()
    {
        var now = s_now;
        foreach (var milliseconds in (int[])[500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
        {
            _queue.NoteMoreInStore();
            _queue.Load(Recipients(1, 6), 10);
            var (first, second) = (NextBatch(now)!, NextBatch(now)!);
            // Both were under way, and came to nothing together.
            _queue.TakeBack(first.Id);
            _queue.SetBack(BusEndpoints.Deliver, now);
            _queue.TakeBack(second.Id);
            _queue.SetBack(BusEndpoints.Deliver, now);
            _queue.Load(Recipients(1, 6), 10);
            Assert.Null(NextBatch(now));
            Assert.Null(NextBatch(now.AddMilliseconds(milliseconds - 1)));
            now = now.AddMilliseconds(milliseconds);
            Assert.True(_queue.CanSend(now));
        }
        _queue.SetBack(BusEndpoints.Deliver, now);
        Assert.False(_queue.CanSend(now));
        _queue.ForgetSetbacks(BusEndpoints.Deliver);
        Assert.True(_queue.CanSend(now));
        _queue.SetBack(BusEndpoints.Deliver, now);
        Assert.True(_queue.CanSend(now.AddMilliseconds(500)));
    }

    [Fact]
    public void What_came_to_nothing_by_one_endpoint_is_not_forgotten_for_another()
    {
        _queue.Offer([Recipient(1), Recipient(2) with { Route = RecipientRoute.Local }], s_now);
        _queue.SetBack(BusEndpoints.Deliver, s_now);
        _queue.ForgetSetbacks(BusEndpoints.Store);
        _queue.ForgetSetbacks(BusEndpoints.DeliverRetry);
        Assert.Equal(BusEndpoints.Deliver, _queue.NextEndpoint);
        Assert.Null(NextBatch());

        // A domain that could not be reached goes by the other endpoint.
        Assert.True(_queue.Conclude("example.net", unreachable: true, "no route", s_now, 0));
        var later = _queue.Backoff.BackoffUntil;
        _queue.Load([Recipient(1)], 10);
        Assert.Equal(BusEndpoints.DeliverRetry, _queue.NextEndpoint);
        _queue.SetBack(BusEndpoints.DeliverRetry, later);
        _queue.ForgetSetbacks(BusEndpoints.Deliver);
        Assert.False(_queue.CanSend(later));
        _queue.ForgetSetbacks(BusEndpoints.DeliverRetry);
        Assert.True(_queue.CanSend(later));
    }

    [Fact]
    public void Who_waits_for_workers_that_are_not_there_is_left_to_the_store_and_the_others_are_handed_out()
    {
        _queue.Offer([Recipient(1) with { Route = RecipientRoute.Local }, Recipient(2), Recipient(3) with { Route = RecipientRoute.Local }], s_now);
        Assert.Equal(BusEndpoints.Store, _queue.NextEndpoint);
        _queue.LeaveToStore(RecipientRoute.Local);
        Assert.Equal([2], Ids(NextBatch()));
        Assert.Null(_queue.NextEndpoint);
        _queue.Load([Recipient(1) with { Route = RecipientRoute.Local }], 10);
        Assert.Equal([1], Ids(NextBatch()));
    }

    [Fact]
    public void Who_is_left_to_the_store_for_want_of_workers_is_not_read_again_before_they_are_back()
    {
        _queue.NoteMoreInStore();
        Assert.Equal(default, _queue.NextPage(s_now));
        _queue.Load([.. Recipients(1, 10).Select(recipient => recipient with { Route = RecipientRoute.Local })], 10);
        _queue.LeaveToStore(RecipientRoute.Local);
        Assert.True(_queue.WantsMore(s_now));
        Assert.Equal(new DuePlace(s_now, 10), _queue.NextPage(s_now));
        _queue.NoteMoreInStore();
        Assert.Equal(default, _queue.NextPage(s_now));
    }

    [Fact]
    public void A_batch_never_mixes_routes()
    {
        _queue.Offer([Recipient(1), Recipient(2) with { Route = RecipientRoute.Local }, Recipient(3)], s_now);
        Assert.Equal([1], Ids(NextBatch()));
        Assert.Equal([2], Ids(NextBatch()));
    }

    [Fact]
    public void What_is_left_to_the_store_is_read_again_and_what_is_handed_out_stays_known()
    {
        _queue.Offer(Recipients(1, 5), s_now);
        Assert.Equal([1, 2, 3], Ids(NextBatch()));
        _queue.LeaveToStore();
        Assert.Null(NextBatch());
        Assert.True(_queue.MoreInStore);
        _queue.Load(Recipients(1, 5), 10);
        Assert.Equal([4, 5], Ids(NextBatch()));
    }

    [Fact]
    public void No_order_of_events_loses_a_recipient_or_hands_one_out_twice() =>
        Gen.Int[0, 6].Array[0, 200].Sample(steps =>
        {
            var stored = new Dictionary<long, bool>();
            var queue = new DomainQueue(_options, new ScheduleTable(_options, new QueuePolicyOptions()), SenderPolicy.None);
            var under = new Dictionary<long, Batch>();
            var (next, claim, now) = (1L, 1L, s_now);
            void Step(int step)
            {
                now = now.AddSeconds(1);
                switch (step)
                {
                    case 0:
                        stored[next] = false;
                        queue.Offer([Recipient(next++)], now);
                        break;
                    case 1 or 2:
                        Load();
                        if (queue.TryTakeBatch(claim++, now) is { } batch)
                        {
                            if (under.Values.SelectMany(h => h.Recipients).Any(r => batch.Recipients.Contains(r)))
                                throw new InvalidOperationException("handed out twice");
                            under.Add(batch.Id, batch);
                        }
                        break;
                    case 3 or 4 when under.Count > 0:
                        var (id, done) = under.First();
                        under.Remove(id);
                        queue.Complete(id);
                        foreach (var recipient in done.Recipients)
                            stored[recipient.RecipientId] = step == 3;
                        queue.Conclude("example.net", unreachable: step == 4, "down", now, 0);
                        queue.NoteMoreInStore();
                        break;
                    case 5 when under.Count > 0:
                        queue.TakeBack(under.First().Key);
                        under.Remove(under.First().Key);
                        break;
                    case 6:
                        queue.LeaveToStore();
                        break;
                }
            }

            void Load()
            {
                if (!queue.WantsMore(now))
                    return;
                var held = under.Values.SelectMany(h => h.Recipients).Select(r => r.RecipientId).ToHashSet();
                var room = queue.Room;
                var after = queue.NextPage(now);
                queue.Load([.. stored.Where(row => !row.Value && !held.Contains(row.Key) && row.Key > after.RecipientId).Take(room).Select(row => Recipient(row.Key))], room);
            }

            foreach (var step in steps)
                Step(step);
            for (var i = 0; i < 1000 && stored.ContainsValue(false); i++)
            {
                now = now.AddHours(3);
                Step(1);
                Step(3);
            }
            return !stored.ContainsValue(false);
        });

    private Batch? NextBatch(DateTimeOffset? at = null) => _queue.TryTakeBatch(++_claim, at ?? s_now);

    private static long[] Ids(Batch? batch) => [.. batch!.Recipients.Select(r => r.RecipientId)];

    private static Recipient[] Recipients(long first, int count) => [.. Enumerable.Range(0, count).Select(i => Recipient(first + i))];

    private static Recipient Recipient(long id) =>
        new(id, $"user{id}@example.net", "sender@example.org", 100, BodyType.SevenBit, 0, s_now, s_now, RecipientRoute.Remote, "");
}
