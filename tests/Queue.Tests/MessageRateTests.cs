using CsCheck;
using MailPipeline.Queue.Sites;

namespace MailPipeline.Queue.Tests;

public sealed class MessageRateTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Without_a_limit_there_is_always_room()
    {
        var rate = new MessageRate();
        rate.Take(1_000_000);
        Assert.Equal(int.MaxValue, rate.Room(s_start));
        Assert.Null(rate.NextAt(s_start));
        Assert.False(rate.IsSet);
    }

    [Fact]
    public void It_begins_with_nothing_and_says_when_there_is_room()
    {
        var rate = new MessageRate();
        rate.Set(10, s_start);
        Assert.Equal(0, rate.Room(s_start));
        // What went out before was not counted: for a second nothing does.
        Assert.Equal(s_start.AddSeconds(1), rate.NextAt(s_start));
        Assert.Equal(2, rate.Room(s_start.AddSeconds(1)));
    }

    [Fact]
    public void What_is_under_way_counts_however_long_it_takes()
    {
        var rate = new MessageRate();
        rate.Set(10, s_start);
        var now = s_start.AddSeconds(10);
        for (var sent = 0; sent < 11; sent++, now += TimeSpan.FromMilliseconds(500))
        {
            Assert.True(rate.Room(now) > 0);
            rate.Take(1);
        }
        Assert.Equal(0, rate.Room(now.AddMinutes(1)));
        // Only a report makes room.
        Assert.Null(rate.NextAt(now.AddMinutes(1)));
        now = now.AddMinutes(1);
        rate.Report(1, [TimeSpan.Zero], now);
        Assert.Equal(now.AddSeconds(1), rate.NextAt(now));
        Assert.Equal(1, rate.Room(now.AddSeconds(1)));
    }

    [Fact]
    public void What_was_not_sent_costs_nothing()
    {
        var rate = new MessageRate();
        rate.Set(10, s_start);
        var now = s_start.AddSeconds(5);
        Assert.Equal(2, rate.Room(now));
        rate.Take(2);
        Assert.Equal(0, rate.Room(now));
        rate.Report(2, [], now);
        Assert.Equal(2, rate.Room(now));
    }

    [Fact]
    public void A_changed_rate_counts_at_once()
    {
        var rate = new MessageRate();
        rate.Set(1, s_start);
        var now = s_start.AddSeconds(5);
        rate.Take(rate.Room(now));
        rate.Set(50, now);
        Assert.Equal(5, rate.Room(now.AddMilliseconds(100)));
        rate.Set(null, now);
        Assert.Equal(int.MaxValue, rate.Room(now));
    }

    [Fact]
    public void A_rate_below_one_has_a_longer_second()
    {
        var rate = new MessageRate();
        rate.Set(0.1, s_start);
        var now = s_start.AddSeconds(20);
        Assert.Equal(1, rate.Room(now));
        rate.Take(1);
        rate.Report(1, [TimeSpan.Zero], now);
        Assert.Equal(0, rate.Room(now.AddSeconds(9.9)));
        Assert.Equal(1, rate.Room(now.AddSeconds(10)));
    }

    [Fact]
    public void A_clock_that_is_set_back_stops_it_for_a_second_only()
    {
        var rate = new MessageRate();
        rate.Set(10, s_start);
        var now = s_start.AddHours(1);
        rate.Take(rate.Room(now));
        now = s_start.AddMinutes(1);
        Assert.Equal(0, rate.Room(now));
        Assert.True(rate.Room(now.AddSeconds(1.1)) > 0);
    }

    /// <summary>Whatever the delays on the way: the worst is a pause in which all that was given out arrives in one stroke.</summary>
    [Fact]
    public void No_second_has_more_than_a_tenth_beyond_and_the_average_is_kept()
    {
        Gen.Select(Gen.Int[1, 200], Gen.Int[0, 1_000_000]).Sample(
            (perSecond, seed) =>
            {
                var random = new Random(seed);
                var rate = new MessageRate();
                rate.Set(perSecond, s_start);
                var now = s_start;
                var arrivals = new List<DateTimeOffset>();
                var underWay = new PriorityQueue<DateTimeOffset, DateTimeOffset>();
                var stall = s_start.AddSeconds(10);
                while (now < s_start.AddSeconds(30))
                {
                    while (underWay.TryPeek(out var arrivedAt, out var reportedAt) && reportedAt <= now)
                    {
                        underWay.Dequeue();
                        arrivals.Add(arrivedAt);
                        rate.Report(1, [TimeSpan.Zero], now);
                    }
                    for (var room = rate.Room(now); room > 0; room--)
                    {
                        rate.Take(1);
                        var arrivesAt = now.AddMilliseconds(random.Next(2, 40));
                        // All that is given out in this time comes at its end.
                        if (now >= stall && arrivesAt < stall.AddMilliseconds(700))
                            arrivesAt = stall.AddMilliseconds(700);
                        underWay.Enqueue(arrivesAt, arrivesAt.AddMilliseconds(random.Next(0, 20)));
                    }
                    now = now.AddMilliseconds(5);
                }
                arrivals.Sort();
                var most = Math.Max(1, (int)(perSecond * 1.1 + 1e-6));
                for (int first = 0, last = 0; last < arrivals.Count; last++)
                {
                    while (arrivals[last] - arrivals[first] >= TimeSpan.FromSeconds(1))
                        first++;
                    Assert.True(last - first + 1 <= most, $"{perSecond}/s: {last - first + 1} in a second");
                }
                // Of a rate that is no larger than its last message's way takes from it, the bound is the second alone.
                if (perSecond >= 10)
                    Assert.True(arrivals.Count(at => at >= s_start.AddSeconds(12)) >= 0.9 * perSecond * 17.8, $"{perSecond}/s: {arrivals.Count} in all");
            },
            iter: 200);
    }
}
