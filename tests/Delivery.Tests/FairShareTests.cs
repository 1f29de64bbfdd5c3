using System.Globalization;
using System.Net;
using MailPipeline.Delivery.Connections;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Destinations that never answer, however many, hold up nobody who does.</summary>
public sealed class FairShareTests : IAsyncDisposable
{
    private const int Limit = 20;
    private const int OnProbation = 15;
    private const int Stalled = 30;

    private static readonly TimeSpan s_probation = TimeSpan.FromSeconds(20);

    private readonly FakeTimeProvider _time = new();
    private readonly RecentEvents _answered;
    private readonly ConnectionSlots _slots;

    public FairShareTests()
    {
        _answered = new RecentEvents(100, TimeSpan.FromHours(1), _time);
        _slots = new ConnectionSlots(new SlotLimits(Limit, Stalled, 0.25, s_probation), TimeSpan.Zero, _answered, _time);
    }

    [Fact]
    public void A_reserve_is_kept_for_destinations_that_answered_lately()
    {
        _answered.Note("healthy.example");
        for (var i = 0; i < OnProbation; i++)
            Assert.NotNull(TryTake(i));
        Assert.Null(TryTake(OnProbation));
        var waiting = TakeAsync(OnProbation);
        Assert.False(waiting.IsCompleted);

        for (var i = OnProbation; i < Limit; i++)
            Assert.NotNull(_slots.TryTake("healthy.example", Address(1000 + i)));
        Assert.Null(_slots.TryTake("healthy.example", Address(1)));
    }

    [Fact]
    public async Task Who_answered_lately_goes_before_those_that_wait_longer()
    {
        var slots = Enumerable.Range(0, OnProbation).Select(TryTake).ToList();
        _answered.Note("healthy.example");
        var reserved = Enumerable.Range(OnProbation, Limit - OnProbation).Select(i => _slots.TryTake("healthy.example", Address(i))).ToList();
        var stranger = TakeAsync(100);
        var healthy = _slots.TakeAsync("healthy.example", Address(200), CancellationToken.None);

        slots[0]!.Release();

        await healthy;
        Assert.False(stranger.IsCompleted);
        reserved[0]!.Release();
        await stranger;
    }

    [Fact]
    public async Task While_others_wait_a_connection_without_a_result_is_waited_for_without_a_slot()
    {
        var slots = Enumerable.Range(0, OnProbation).Select(TryTake).ToList();
        _time.Advance(s_probation * 3);
        Assert.Equal((OnProbation, 0), (_slots.Taken, _slots.Stalled));

        // One waits, so one makes room, and goes on.
        var waiting = TakeAsync(100);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await waiting;
        Assert.Equal((OnProbation, 1), (_slots.Taken, _slots.Stalled));
        Assert.DoesNotContain(slots, slot => slot!.GiveUp.IsCancellationRequested);

        slots[0]!.Release();
        Assert.Equal((OnProbation, 0), (_slots.Taken, _slots.Stalled));
    }

    [Fact]
    public async Task What_was_waited_for_without_a_slot_counts_again_when_it_answers()
    {
        var slots = Enumerable.Range(0, OnProbation).Select(TryTake).ToList();
        var waiting = TakeAsync(100);
        _time.Advance(ConnectionSlots.StalledAfter);
        await waiting;

        slots[0]!.Answered();
        Assert.Equal((OnProbation + 1, 0), (_slots.Taken, _slots.Stalled));
        slots[0]!.Release();
        Assert.Equal((OnProbation, 0), (_slots.Taken, _slots.Stalled));
    }

    [Fact]
    public async Task Tarpits_by_the_hundred_let_a_new_destination_pass_within_two_seconds()
    {
        await using var slots = new ConnectionSlots(
            new SlotLimits(200, 1000, 0.25, s_probation), TimeSpan.Zero, _answered, _time);
        // Three batches for each tarpit, all at once.
        for (var i = 0; i < 900; i++)
            _ = slots.TakeAsync(Domain(i % 300), Address(i % 300), CancellationToken.None);
        var healthy = slots.TakeAsync("new.example", Address(5000), CancellationToken.None);

        _time.Advance(TimeSpan.FromSeconds(1));
        _time.Advance(TimeSpan.FromSeconds(1));

        await healthy.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task A_connection_without_a_result_is_given_up_when_others_wait_and_no_more_can_be_stalled_and_not_before()
    {
        var slots = new List<ConnectionSlot>();
        for (var i = 0; i < OnProbation + Stalled; i++)
            slots.Add(await TakenAsync(i));
        Assert.Equal((OnProbation, Stalled), (_slots.Taken, _slots.Stalled));
        _time.Advance(s_probation * 3);
        Assert.DoesNotContain(slots, slot => slot.GiveUp.IsCancellationRequested);

        // One waits, so one is given up, and that is the oldest.
        var waiting = TakeAsync(100);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal([true, false, false], slots.Take(3).Select(slot => slot.GiveUp.IsCancellationRequested));
        slots[0].Release();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await waiting;

        async Task<ConnectionSlot> TakenAsync(int number)
        {
            var taking = TakeAsync(number);
            if (!taking.IsCompleted)
                _time.Advance(ConnectionSlots.StalledAfter);
            return await taking;
        }
    }

    [Fact]
    public async Task A_far_end_that_answered_once_and_then_stalls_makes_room_and_is_ended_when_there_is_no_more_room()
    {
        var slots = new List<ConnectionSlot>();
        _answered.Note("once.example");
        for (var i = 0; i < Limit + Stalled; i++)
        {
            var taking = _slots.TakeAsync("once.example", Address(1), CancellationToken.None);
            if (!taking.IsCompleted)
                _time.Advance(s_probation);
            slots.Add(await taking);
        }
        Assert.Equal((Limit, Stalled), (_slots.Taken, _slots.Stalled));
        Assert.DoesNotContain(slots, slot => slot.GiveUp.IsCancellationRequested);

        var waiting = TakeAsync(100);
        _time.Advance(s_probation * 3);
        Assert.Single(slots, slot => slot.GiveUp.IsCancellationRequested);
        slots[0].Release();
        _time.Advance(TimeSpan.FromMilliseconds(1));
        await waiting;
    }

    [Fact]
    public void Slow_answers_are_progress_and_a_quick_one_makes_known()
    {
        var slot = TryTake(0)!;
        _time.Advance(s_probation);
        slot.Answered();
        Assert.False(_answered.Has("d0.example"));
        _time.Advance(s_probation / 2);
        slot.Answered();
        Assert.True(_answered.Has("d0.example"));
        slot.Release();
        Assert.Equal((0, 0), (_slots.Taken, _slots.Stalled));
    }

    [Fact]
    public async Task Who_has_nothing_open_to_his_destination_goes_before_those_who_have()
    {
        var slots = Enumerable.Range(0, OnProbation).Select(TryTake).ToList();
        var second = TakeAsync(1);
        var other = TakeAsync(100);

        slots[0]!.Release();

        await other;
        Assert.False(second.IsCompleted);
    }

    [Fact]
    public async Task An_answer_ends_the_probation_and_makes_room_for_the_next()
    {
        var slots = Enumerable.Range(0, OnProbation).Select(TryTake).ToList();
        var waiting = TakeAsync(100);
        slots[0]!.Answered();
        await waiting;
        Assert.True(_answered.Has("d0.example"));
    }

    [Fact]
    public void An_answer_that_came_late_reserves_nothing()
    {
        var slot = TryTake(0)!;
        _time.Advance(s_probation);
        slot.Answered();
        Assert.False(_answered.Has("d0.example"));
    }

    [Fact]
    public async Task Domains_of_one_address_do_not_take_all_that_comes_free()
    {
        var one = Address(1);
        var slots = Enumerable.Range(0, OnProbation).Select(i => _slots.TryTake(Domain(i), one)).ToList();
        var more = Enumerable.Range(100, 5).Select(i => _slots.TakeAsync(Domain(i), one, CancellationToken.None)).ToList();
        var other = TakeAsync(200);

        slots[0]!.Release();

        await other;
        Assert.DoesNotContain(more, task => task.IsCompleted);
        slots[1]!.Release();
        await more[0];
    }

    [Fact]
    public void What_is_remembered_is_bounded_in_number_and_time()
    {
        var events = new RecentEvents(3, TimeSpan.FromHours(1), _time);
        foreach (var name in new[] { "a", "b", "c", "a", "d" })
            events.Note(name);
        Assert.Equal([true, false, true, true], new[] { "a", "b", "c", "d" }.Select(events.Has));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.False(events.Has("a"));
    }

    public ValueTask DisposeAsync() => _slots.DisposeAsync();

    private static string Domain(int number) => string.Create(CultureInfo.InvariantCulture, $"d{number}.example");

    private static IPAddress Address(int number) => new([198, 51, (byte)(number >> 8), (byte)number]);

    private ConnectionSlot? TryTake(int number) => _slots.TryTake(Domain(number), Address(number));

    private Task<ConnectionSlot> TakeAsync(int number) => _slots.TakeAsync(Domain(number), Address(number), CancellationToken.None);
}
