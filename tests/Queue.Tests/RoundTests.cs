using MailPipeline.Mail;
using MailPipeline.Queue.Reconciling;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>What is done again and again: how often, and how long.</summary>
public sealed class RoundTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    [Theory]
    [InlineData(0.01, null, 1)]
    [InlineData(1, null, 49)]
    [InlineData(30, null, 60)]
    [InlineData(10, 1200, 490)]
    [InlineData(30, 1200, 1200)]
    public void What_was_in_vain_keeps_to_its_share_up_to_the_longest_pause(double seconds, int? longest, double pause) => Assert.Equal(
        TimeSpan.FromSeconds(pause),
        new DutyPace(TimeSpan.FromSeconds(1), Share: 0.02, longest is { } most ? TimeSpan.FromSeconds(most) : null).PauseAfter(TimeSpan.FromSeconds(seconds)));

    [Fact]
    public async Task Rounds_in_vain_take_their_share_of_the_time_and_useful_ones_all_they_need()
    {
        var round = new Round(new DutyPace(TimeSpan.FromSeconds(1), Share: 0.2), _time);
        var (runs, took, useful) = (0, TimeSpan.FromSeconds(2), false);
        Task<bool> RunAsync()
        {
            runs++;
            _time.Advance(took);
            return Task.FromResult(useful);
        }

        Assert.Equal(1, await RunsWithinAsync(8));
        Assert.Equal(1, await RunsWithinAsync(8));
        took = TimeSpan.FromHours(1);
        Assert.Equal(1, await RunsWithinAsync(1));
        took = TimeSpan.Zero;
        // Never less often than once a minute.
        Assert.Equal(0, await RunsWithinAsync(58));
        useful = true;
        Assert.Equal(1, await RunsWithinAsync(2));
        Assert.Equal(10, await RunsWithinAsync(10));

        async Task<int> RunsWithinAsync(int seconds)
        {
            var before = runs;
            for (var i = 0; i < seconds; i++)
            {
                await round.RunAsync(RunAsync);
                _time.Advance(TimeSpan.FromSeconds(1));
            }
            return runs - before;
        }
    }

    [Fact]
    public async Task Calls_that_come_while_a_round_goes_on_or_too_early_do_nothing()
    {
        var round = new Round(new DutyPace(TimeSpan.FromSeconds(1), Share: 0.5), _time);
        var (runs, end) = (0, new TaskCompletionSource<bool>());
        Task<bool> RunAsync()
        {
            runs++;
            return end.Task;
        }

        var running = round.RunAsync(RunAsync);
        _time.Advance(TimeSpan.FromSeconds(10));
        await round.RunAsync(RunAsync);
        end.SetResult(false);
        await running;
        Assert.Equal(1, runs);
        await round.RunAsync(RunAsync);
        Assert.Equal(1, runs);
        await round.RunAsync(RunAsync, atOnce: true);
        Assert.Equal(2, runs);

        end = new TaskCompletionSource<bool>();
        running = round.RunAsync(RunAsync, atOnce: true);
        await round.RunAsync(RunAsync, atOnce: true);
        Assert.Equal(3, runs);
        end.SetResult(false);
        await running;
        Assert.Equal(4, runs);
    }

    [Fact]
    public async Task A_round_of_waking_is_bounded_in_time_and_the_next_goes_on_behind_it()
    {
        var all = Enumerable.Range(0, 5000).Select(i => new DueDomain($"d{i:0000}.example.net", DateTimeOffset.UnixEpoch)).ToList();
        var woken = new List<DueDomain>();
        var waking = new Waking(
            (after, most) => Task.FromResult<IReadOnlyList<DueDomain>>([.. all.Where(domain => string.CompareOrdinal(domain.Domain, after.Domain) > 0).Take(most)]),
            async domain =>
            {
                woken.Add(domain);
                await Task.Delay(TimeSpan.FromSeconds(1), _time);
                return false;
            },
            _time);
        for (var round = 1; round <= 27; round++)
        {
            var running = waking.RoundAsync();
            var seconds = 0;
            for (; !running.IsCompleted; seconds++)
                _time.Advance(TimeSpan.FromSeconds(1));
            Assert.False(await running);
            Assert.InRange(seconds, 1, 3);
        }
        // Every one of them once, and then from the beginning.
        Assert.Equal(all, woken);
        var again = waking.RoundAsync();
        Assert.Equal(all[0], woken[5000]);
        Assert.False(again.IsCompleted);
    }

    [Fact]
    public async Task A_round_that_was_asked_for_during_another_is_run_though_that_one_fails()
    {
        var round = new Round(new DutyPace(TimeSpan.FromSeconds(1), Share: 0.5), _time);
        var (runs, first) = (0, new TaskCompletionSource<bool>());
        Task<bool> RunAsync() => ++runs == 1 ? first.Task : Task.FromResult(true);

        var running = round.RunAsync(RunAsync);
        await round.RunAsync(RunAsync, atOnce: true);
        first.SetException(new InvalidOperationException("the store is away"));
        // And whoever began the first is told.
        await Assert.ThrowsAsync<InvalidOperationException>(() => running);
        Assert.Equal(2, runs);
    }
}
