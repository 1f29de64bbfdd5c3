using CsCheck;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Tests;

/// <summary>Whose recipient is next, of senders whose mail waits for the same domain.</summary>
public sealed class FlowTurnsTests
{
    private readonly FlowTurns _turns = new(SenderPolicy.None);

    [Fact]
    public void Who_sends_one_message_waits_for_one_turn_of_who_sends_thousands()
    {
        Add("bulk@example.com", Enumerable.Range(1, 2000));
        Assert.Equal([1, 2, 3], Take(3));
        Add("ann@example.org", [5000]);
        Assert.Equal([4, 5000, 5], Take(3));
        Assert.Equal(1995, _turns.Count);
        Assert.Equal([6, 7], Take(2));
    }

    [Fact]
    public void Accounts_of_one_domain_are_one_flow_and_the_null_sender_is_one()
    {
        Add("a@example.com", [1]);
        Add("b@EXAMPLE.com", [2]);
        Add("", [3, 4]);
        Assert.Equal([1, 3, 2, 4], Take(4));
        Assert.Null(_turns.Next);
    }

    [Fact]
    public void A_turn_is_a_message_with_all_its_recipients()
    {
        AddMessage("bulk@example.com", 1, recipients: 4);
        AddMessage("bulk@example.com", 2, recipients: 1);
        AddMessage("ann@example.org", 3, recipients: 2);
        Assert.Equal([1, 1, 1, 1, 3, 3, 2], Take(10));
    }

    [Fact]
    public void A_message_that_does_not_fit_goes_on_in_the_next_turn_of_its_sender()
    {
        AddMessage("bulk@example.com", 1, recipients: 5);
        AddMessage("ann@example.org", 2, recipients: 1);
        Assert.Equal([1, 1, 1], Take(3));
        Assert.Equal([2, 1, 1], Take(3));
    }

    [Fact]
    public void Whose_next_recipient_goes_another_way_keeps_his_place()
    {
        Add("a@example.com", [1], RecipientRoute.Local);
        Add("a@example.com", [2]);
        Add("b@example.net", [3, 4]);
        Assert.Equal([3], Take(1, RecipientRoute.Remote));
        Assert.Equal(1, _turns.Next!.MessageId);
        Assert.Equal([1], Take(5, RecipientRoute.Local));
        Assert.Equal([4, 2], Take(5, RecipientRoute.Remote));
    }

    [Fact]
    public void Who_is_removed_leaves_the_turns_of_the_others_as_they_were()
    {
        Add("a@example.com", [1, 2]);
        Add("b@example.net", [3]);
        Add("c@example.org", [4, 5]);
        Assert.Equal([2, 3], _turns.Remove(recipient => recipient.MessageId is 2 or 3).Select(recipient => recipient.MessageId));
        Assert.Equal(3, _turns.Count);
        Add("b@example.net", [6]);
        Assert.Equal([1, 4, 6, 5], Take(9));
        Assert.Equal(0, _turns.Count);
    }

    [Fact]
    public void What_a_sender_calls_urgent_overtakes_his_own_mail_and_nobody_elses()
    {
        Add("bulk@example.com", [1, 2, 3]);
        Add("ann@example.org", [10, 11]);
        _turns.Add(Recipient("bulk@example.com", 4, 0, RecipientRoute.Remote) with { Priority = -1 });
        _turns.Add(Recipient("bulk@example.com", 5, 0, RecipientRoute.Remote) with { Priority = 9 });
        _turns.Add(Recipient("bulk@example.com", 6, 0, RecipientRoute.Remote) with { Priority = 9 });
        Assert.Equal([5, 10, 6, 11, 1, 2], Take(6));
        Add("bulk@example.com", [7]);
        Assert.Equal([7], _turns.Remove(recipient => recipient.MessageId == 7).Select(recipient => recipient.MessageId));
        Assert.Equal([3, 4], Take(9));
        Assert.Equal((0, null), (_turns.Count, _turns.Next));
    }

    [Fact]
    public void What_is_urgent_comes_between_two_batches_of_a_large_message()
    {
        AddMessage("bulk@example.com", 1, recipients: 4);
        Assert.Equal([1, 1], Take(2));
        _turns.Add(Recipient("bulk@example.com", 2, 0, RecipientRoute.Remote) with { Priority = 1 });
        Assert.Equal([2, 1, 1], Take(9));
    }

    [Fact]
    public void What_is_urgent_enters_a_window_that_is_behind_storage_as_far_as_others_are_left_their_room()
    {
        var window = new DomainWindow(8, 3, SenderPolicy.None);
        window.Load([.. Enumerable.Range(1, 4).Select(message => Recipient("bulk@example.com", message, 0, RecipientRoute.Remote))], askedFor: 4);
        Assert.True(window.MoreInStore);
        window.Offer([.. Enumerable.Range(10, 5).Select(message => Recipient("bulk@example.com", message, 0, RecipientRoute.Remote) with { Priority = message % 2 })]);
        Assert.Equal(2, window.Room);
        Assert.Equal([11, 13, 1], window.Take(3, RecipientRoute.Remote).Select(recipient => recipient.MessageId));
    }

    [Theory]
    [InlineData(1, 1, 250)]
    [InlineData(5, 1, 250)]
    [InlineData(1, 7, 250)]
    [InlineData(40, 3, 250)]
    public void Senders_who_both_have_much_share_by_weight_whatever_number_of_recipients_their_messages_have(int ofOne, int ofThree, int expected)
    {
        var turns = new FlowTurns(Weights(("ann@example.org", 1), ("bob@example.org", 3)));
        foreach (var (account, recipients, first) in new[] { ("ann@example.org", ofOne, 1), ("bob@example.org", ofThree, 100_000) })
        {
            for (var i = 0; i < 2_000; i++)
                turns.Add(Recipient("x@example.org", first + (i / recipients), i % recipients, RecipientRoute.Remote) with { Flow = account });
        }
        var taken = new List<Recipient>();
        while (taken.Count < 1_000)
            taken.AddRange(turns.Take(Math.Min(100, 1_000 - taken.Count), RecipientRoute.Remote));
        // To within five of a hundred, and a message that has begun.
        Assert.InRange(taken.Count(recipient => recipient.Flow == "ann@example.org"), expected * 0.95, (expected * 1.05) + ofOne - 1);
        // Within a batch a message is whole.
        foreach (var message in taken.Take(100).GroupBy(recipient => recipient.MessageId).SkipLast(1))
            Assert.Equal(Math.Min(message.Key < 100_000 ? ofOne : ofThree, message.Count()), message.Count());
    }

    [Fact]
    public void One_message_of_a_sender_with_little_weight_comes_before_the_second_one_of_a_sender_with_much()
    {
        var turns = new FlowTurns(Weights(("bulk@example.com", 1_000), ("ann@example.org", 0.01)));
        for (var i = 0; i < 500; i++)
            turns.Add(Recipient("x@example.com", 1 + i, 0, RecipientRoute.Remote) with { Flow = "bulk@example.com" });
        turns.Take(100, RecipientRoute.Remote);
        turns.Add(Recipient("x@example.org", 9_000, 0, RecipientRoute.Remote) with { Flow = "ann@example.org" });
        Assert.Contains(turns.Take(2, RecipientRoute.Remote), recipient => recipient.MessageId == 9_000);
        // His next one costs what it costs.
        turns.Add(Recipient("x@example.org", 9_001, 0, RecipientRoute.Remote) with { Flow = "ann@example.org" });
        Assert.DoesNotContain(turns.Take(100, RecipientRoute.Remote), recipient => recipient.MessageId == 9_001);
    }

    [Fact]
    public void Who_has_always_one_message_waiting_does_not_stop_who_has_many()
    {
        Add("bulk@example.com", Enumerable.Range(1, 100));
        var ofBulk = 0;
        for (var message = 1_000; message < 1_100; message++)
        {
            Add("ann@example.org", [message]);
            ofBulk += Take(1)[0] < 1_000 ? 1 : 0;
        }
        Assert.InRange(ofBulk, 45, 55);
    }

    [Fact]
    public void A_weight_that_changes_counts_from_the_next_turn_on()
    {
        var turns = new FlowTurns(Weights(("ann@example.org", 1), ("bob@example.org", 1)));
        foreach (var (account, first) in new[] { ("ann@example.org", 1), ("bob@example.org", 100_000) })
        {
            for (var i = 0; i < 2_000; i++)
                turns.Add(Recipient("x@example.org", first + i, 0, RecipientRoute.Remote) with { Flow = account });
        }
        Assert.Equal(50, turns.Take(100, RecipientRoute.Remote).Count(recipient => recipient.Flow == "ann@example.org"));
        turns.SetSenders(Weights(("ann@example.org", 9), ("bob@example.org", 1)));
        Assert.InRange(turns.Take(100, RecipientRoute.Remote).Count(recipient => recipient.Flow == "ann@example.org"), 88, 92);
    }

    [Fact]
    public void What_is_urgent_is_first_within_its_sender_whatever_the_weights()
    {
        var turns = new FlowTurns(Weights(("ann@example.org", 1), ("bob@example.org", 3)));
        for (var i = 0; i < 100; i++)
        {
            turns.Add(Recipient("x@example.org", 1 + i, 0, RecipientRoute.Remote) with { Flow = "ann@example.org" });
            turns.Add(Recipient("x@example.org", 1_000 + i, 0, RecipientRoute.Remote) with { Flow = "bob@example.org" });
        }
        turns.Add(Recipient("x@example.org", 500, 0, RecipientRoute.Remote) with { Flow = "ann@example.org", Priority = 4 });
        var taken = turns.Take(40, RecipientRoute.Remote).Select(recipient => recipient.MessageId).ToList();
        Assert.Equal(500, taken.First(message => message < 1_000));
        Assert.InRange(taken.Count(message => message < 1_000), 9, 11);
    }

    [Fact]
    public void Who_waits_for_his_rate_is_passed_over_until_he_has_a_permit()
    {
        var turns = new FlowTurns(new SenderPolicy([new SenderOptions { From = "slow@example.org", MessagesPerSecond = 1 }]));
        for (var i = 0; i < 3; i++)
            turns.Add(Recipient("x@example.org", 1 + i, 0, RecipientRoute.Remote) with { Flow = "slow@example.org" });
        Assert.Null(turns.Next);
        Assert.Equal([("slow@example.org", 3)], turns.Unpermitted);
        turns.Add(Recipient("b@example.com", 10, 0, RecipientRoute.Remote));
        Assert.Equal([10], turns.Take(9, RecipientRoute.Remote).Select(recipient => recipient.MessageId));
        turns.Permit("slow@example.org", isPermitted: true);
        Assert.Equal(1, turns.Next!.MessageId);
        // Only by the permit.
        Assert.Empty(turns.Take(9, RecipientRoute.Remote));
        Assert.Equal([1, 2], turns.TakeOf("slow@example.org", 9, mostMessages: 2).Select(recipient => recipient.MessageId));
        Assert.Null(turns.Next);
        // The rate is of mail to other systems.
        turns.Add(Recipient("x@example.org", 4, 0, RecipientRoute.Local) with { Flow = "slow@example.org", Priority = 1 });
        Assert.Equal([4], turns.Take(9, RecipientRoute.Local).Select(recipient => recipient.MessageId));
        turns.SetSenders(SenderPolicy.None);
        Assert.Equal([3], turns.Take(9, RecipientRoute.Remote).Select(recipient => recipient.MessageId));
    }

    [Fact]
    public void Mail_that_waits_for_a_rate_does_not_fill_the_window()
    {
        var window = new DomainWindow(80, 10, new SenderPolicy([new SenderOptions { From = "slow@example.org", MessagesPerSecond = 1 }]));
        Recipient[] slow = [.. Enumerable.Range(1, 60).Select(i => Recipient("x@example.org", i, 0, RecipientRoute.Remote) with { Flow = "slow@example.org" })];
        window.Load(slow, askedFor: 60);
        Assert.Equal(10, window.Count);
        Assert.True(window.ReadsFlowsOnly && window.MoreInStore && window.IsHalfEmpty);
        // As storage has it, flow by flow.
        window.LoadFlows([.. slow.Take(10), Recipient("b@example.com", 100, 0, RecipientRoute.Remote)], "", DateTimeOffset.UnixEpoch, ofEach: 10);
        Assert.Equal((11, false), (window.Count, window.MoreInStore));
        Assert.Equal([100], window.Take(9, RecipientRoute.Remote).Select(recipient => recipient.MessageId));

        Assert.Null(window.NextTail);
        window.Permit("slow@example.org", isPermitted: true);
        window.Forget(window.TakeOf("slow@example.org", 5, 5));
        Assert.Equal(("slow@example.org", 5), window.NextTail is var (flow, after, most) && after.RecipientId == RecipientIds.Of(11, 0) - 1 ? (flow, most) : default);
        window.LoadTail("slow@example.org", slow[10..15], askedFor: 5);
        Assert.Equal(10, window.Count);
        // What comes goes behind it, and is read when it is its turn.
        window.Offer([Recipient("x@example.org", 200, 0, RecipientRoute.Remote) with { Flow = "slow@example.org" }]);
        Assert.Equal((10, false), (window.Count, window.MoreInStore));
        window.Forget(window.TakeOf("slow@example.org", 10, 10));
        window.LoadTail("slow@example.org", [], askedFor: 10);
        Assert.False(window.ReadsFlowsOnly);
    }

    [Fact]
    public void A_sender_who_fills_the_window_and_gets_a_rate_makes_room_for_others()
    {
        var window = new DomainWindow(80, 10, SenderPolicy.None);
        window.Load([.. Enumerable.Range(1, 80).Select(i => Recipient("x@slow.example", i, 0, RecipientRoute.Remote))], askedFor: 80);
        Assert.Equal(0, window.Room);
        window.SetSenders(new SenderPolicy([new SenderOptions { From = "slow.example", MessagesPerHour = 10 }]));
        Assert.Equal((80, true), (window.Room, window.MoreInStore));
    }

    [Fact]
    public void Nobody_is_lost_and_each_sender_keeps_the_order_of_his_mail() =>
        Gen.Int[0, 5].Array[0, 200].Sample(steps =>
        {
            var turns = new FlowTurns(SenderPolicy.None);
            var (waiting, next, count) = (new Dictionary<string, Queue<long>>(), 1L, 0);
            foreach (var step in steps)
            {
                if (step < 4)
                {
                    var sender = $"a@d{step}.example";
                    turns.Add(Recipient(sender, next, 0, RecipientRoute.Remote));
                    (waiting.TryGetValue(sender, out var queue) ? queue : waiting[sender] = new()).Enqueue(next++);
                    count++;
                    continue;
                }
                var first = waiting.Where(flow => flow.Value.Count > 0).Select(flow => flow.Key).ToHashSet();
                var taken = turns.Take(step, RecipientRoute.Remote);
                if (taken.Length != Math.Min(step, count) || taken.Any(recipient => waiting[recipient.Sender].Dequeue() != recipient.MessageId))
                    return false;
                // Each sender who waits has his turn before anybody has a third one.
                if (taken.GroupBy(recipient => recipient.Sender).Any(turns => turns.Count() > 2) && first.Count > taken.DistinctBy(recipient => recipient.Sender).Count())
                    return false;
                count -= taken.Length;
            }
            return turns.Count == count;
        });

    private long[] Take(int most, RecipientRoute route = RecipientRoute.Remote) => [.. _turns.Take(most, route).Select(recipient => recipient.MessageId)];

    private void Add(string sender, IEnumerable<int> messages, RecipientRoute route = RecipientRoute.Remote)
    {
        foreach (var message in messages)
            _turns.Add(Recipient(sender, message, 0, route));
    }

    private void AddMessage(string sender, long message, int recipients)
    {
        for (var number = 0; number < recipients; number++)
            _turns.Add(Recipient(sender, message, number, RecipientRoute.Remote));
    }

    private static SenderPolicy Weights(params (string From, double Weight)[] weights) =>
        new(weights.Select(entry => new SenderOptions { From = entry.From, Weight = entry.Weight }));

    private static Recipient Recipient(string sender, long message, int number, RecipientRoute route) => new(
        RecipientIds.Of(message, number), $"r{number}@example.net", sender, 100, BodyType.SevenBit, 0, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch,
        route, "", Flow: FlowKey.Of("", sender));
}
