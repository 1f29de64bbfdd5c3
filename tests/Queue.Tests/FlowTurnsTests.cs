using CsCheck;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;

namespace MailPipeline.Queue.Tests;

/// <summary>Whose recipient is next, of senders whose mail waits for the same domain.</summary>
public sealed class FlowTurnsTests
{
    private readonly FlowTurns _turns = new();

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
        var window = new DomainWindow(8);
        window.Load([.. Enumerable.Range(1, 4).Select(message => Recipient("bulk@example.com", message, 0, RecipientRoute.Remote))], askedFor: 4);
        Assert.True(window.MoreInStore);
        window.Offer([.. Enumerable.Range(10, 5).Select(message => Recipient("bulk@example.com", message, 0, RecipientRoute.Remote) with { Priority = message % 2 })]);
        Assert.Equal(2, window.Room);
        Assert.Equal([11, 13, 1], window.Take(3, RecipientRoute.Remote).Select(recipient => recipient.MessageId));
    }

    [Fact]
    public void Nobody_is_lost_and_each_sender_keeps_the_order_of_his_mail() =>
        Gen.Int[0, 5].Array[0, 200].Sample(steps =>
        {
            var turns = new FlowTurns();
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
                // Each sender who waits has his turn before anybody has a second one.
                if (taken.Take(first.Count).Select(recipient => recipient.Sender).Distinct().Count() != Math.Min(taken.Length, first.Count))
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

    private static Recipient Recipient(string sender, long message, int number, RecipientRoute route) => new(
        RecipientIds.Of(message, number), $"r{number}@example.net", sender, 100, BodyType.SevenBit, 0, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch,
        route, "", Flow: FlowKey.Of("", sender));
}
