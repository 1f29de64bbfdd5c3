using System.Net;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Mail.Tests;

/// <summary>Guessers, however many, keep nobody waiting for long who knows the password.</summary>
public sealed class LoginTurnTests
{
    private static readonly IPNetwork s_guesser = IPNetwork.Parse("192.0.2.1/32");
    private static readonly IPNetwork s_other = IPNetwork.Parse("192.0.2.2/32");
    private static readonly IPNetwork s_user = IPNetwork.Parse("198.51.100.1/32");

    /// <summary>Of the same wide network as the first two.</summary>
    private static readonly IPNetwork s_another = IPNetwork.Parse("192.0.2.3/32");

    private readonly List<string> _order = [];
    private readonly TaskCompletionSource _busy = new();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Networks_take_turns_and_who_has_logged_in_lately_goes_first()
    {
        var turns = new LoginTurns(workers: 1, capacity: 100, capacityOfPrefix: 50, hasFailed: _ => false);
        var first = Occupy(turns);
        List<Task> all = [first];
        for (var i = 0; i < 20; i++)
            all.Add(Ask(turns, $"guess {i}", s_guesser));
        all.Add(Ask(turns, "other", s_other));
        all.Add(Ask(turns, "user", s_user));
        all.Add(Ask(turns, "known", s_user, isPreferred: true));

        _busy.SetResult();
        await Task.WhenAll(all);

        Assert.Equal(["known", "guess 0", "user", "other", "guess 1"], _order.Take(5));
        Assert.Equal(0, turns.Waiting);
    }

    [Fact]
    public async Task The_work_of_a_client_that_left_is_not_done()
    {
        var turns = new LoginTurns(1, 2000, 2000, _ => false);
        var first = Occupy(turns);
        using var left = new CancellationTokenSource();
        var gone = Enumerable.Range(0, 1000).Select(i => turns.RunAsync(s_guesser, false, Work($"gone {i}"), CancellationToken.None, left.Token)).ToList();
        var user = Ask(turns, "user", s_user);
        await left.CancelAsync();
        foreach (var task in gone)
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => task);

        Assert.Equal(1, turns.Waiting);
        _busy.SetResult();
        await Task.WhenAll(first, user);
        Assert.Equal(["user"], _order);
    }

    [Fact]
    public async Task Who_has_closed_his_side_comes_last_and_makes_room()
    {
        var turns = new LoginTurns(1, capacity: 3, capacityOfPrefix: 10, hasFailed: _ => false);
        var first = Occupy(turns);
        using var closedFirst = new CancellationTokenSource();
        using var closed = new CancellationTokenSource();
        var displaced = turns.RunAsync(s_guesser, true, Work("displaced"), closedFirst.Token, Cancellation);
        List<Task> all = [first, Ask(turns, "closed", s_guesser, closed: closed.Token), Ask(turns, "user", s_user)];
        await closedFirst.CancelAsync();
        await closed.CancelAsync();
        all.Add(Ask(turns, "other", s_other));
        Assert.Null(await displaced);

        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal(["user", "other", "closed"], _order);
        Assert.Equal(0, turns.Waiting);
    }

    [Fact]
    public async Task More_than_may_wait_are_told_at_once()
    {
        var turns = new LoginTurns(1, capacity: 3, capacityOfPrefix: 2, hasFailed: _ => false);
        List<Task> all = [Occupy(turns), Ask(turns, "a", s_guesser), Ask(turns, "b", s_guesser)];
        Assert.Null(await turns.RunAsync(s_guesser, false, Work("too many of one"), CancellationToken.None, Cancellation));
        all.Add(Ask(turns, "c", s_other));
        Assert.Null(await turns.RunAsync(s_another, false, Work("too many of all"), CancellationToken.None, Cancellation));
        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal(["a", "c", "b"], _order);
    }

    [Fact]
    public void Failures_pause_a_name_where_they_come_from_and_nowhere_else()
    {
        var time = new FakeTimeProvider();
        var history = new LoginHistory(time);
        for (var i = 0; i < 5; i++)
            history.Failed("ann", s_guesser);
        Assert.False(history.IsPaused("ann", s_guesser));
        history.Failed("ann", s_guesser);
        Assert.True(history.IsPaused("ann", s_guesser));
        Assert.False(history.IsPaused("ann", s_user));
        Assert.False(history.IsPaused("bob", s_guesser));

        // Longer and longer, a minute at most.
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.False(history.IsPaused("ann", s_guesser));
        for (var i = 0; i < 100; i++)
            history.Failed("ann", s_guesser);
        time.Advance(TimeSpan.FromSeconds(59));
        Assert.True(history.IsPaused("ann", s_guesser));
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(history.IsPaused("ann", s_guesser));
    }

    [Fact]
    public void Where_the_owner_has_logged_in_lately_mistakes_do_not_pause_him_and_a_guesser_beside_him_is_paused()
    {
        var time = new FakeTimeProvider();
        var history = new LoginHistory(time);
        history.Succeeded("ann", s_user);
        for (var i = 0; i < 5; i++)
            history.Failed("ann", s_user);
        Assert.True(history.HasSucceeded("ann", s_user));
        history.Failed("ann", s_user);
        Assert.False(history.HasSucceeded("ann", s_user));
        Assert.True(history.IsPaused("ann", s_user));
        Assert.False(history.IsPaused("ann", s_other));

        time.Advance(TimeSpan.FromSeconds(2));
        history.Succeeded("ann", s_user);
        Assert.False(history.IsPaused("ann", s_user));
        Assert.True(history.HasSucceeded("ann", s_user));
        time.Advance(TimeSpan.FromHours(1));
        Assert.False(history.HasSucceeded("ann", s_user));
    }

    [Fact(Timeout = 30_000)]
    public async Task Who_has_logged_in_lately_has_three_turns_of_four_and_as_many_places_as_others()
    {
        var turns = new LoginTurns(workers: 1, capacity: 100, capacityOfPrefix: 8, hasFailed: _ => false);
        List<Task> all = [Occupy(turns)];
        for (var i = 0; i < 8; i++)
            all.Add(Ask(turns, $"known {i}", s_guesser, isPreferred: true));
        Assert.Null(await turns.RunAsync(s_guesser, true, Work("too many of one"), CancellationToken.None, Cancellation));
        all.Add(Ask(turns, "new", s_other));
        all.Add(Ask(turns, "known elsewhere", s_user, isPreferred: true));
        all.Add(Ask(turns, "newer", s_other));

        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal(["known 0", "known elsewhere", "known 1", "new", "known 2", "known 3", "known 4", "newer"], _order.Take(8));
        Assert.Equal(0, turns.Waiting);
    }

    [Fact(Timeout = 30_000)]
    public async Task Where_all_places_are_taken_who_has_failed_makes_room_for_who_has_not()
    {
        var history = new LoginHistory(new FakeTimeProvider());
        var turns = new LoginTurns(workers: 1, capacity: 4, capacityOfPrefix: 3, history.HasFailed);
        history.Failed("ann", s_guesser);
        history.Failed("bob", s_other);
        List<Task> all = [Occupy(turns), Ask(turns, "guess 0", s_guesser)];
        var newest = turns.RunAsync(s_guesser, false, Work("guess 1"), CancellationToken.None, Cancellation);
        all.Add(Ask(turns, "other 0", s_other));
        all.Add(Ask(turns, "new 0", s_user));
        Assert.Null(await turns.RunAsync(s_other, false, Work("no better"), CancellationToken.None, Cancellation));

        all.Add(Ask(turns, "new 1", s_user));
        Assert.Null(await newest);
        // Who logged in from there is no guesser.
        history.Succeeded("joe", s_guesser);
        all.Add(Ask(turns, "new 2", s_guesser));
        Assert.Null(await turns.RunAsync(s_user, false, Work("nobody left who failed"), CancellationToken.None, Cancellation));

        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal(["guess 0", "new 0", "new 2", "new 1"], _order);
        Assert.Equal(0, turns.Waiting);
    }

    [Fact(Timeout = 30_000)]
    public async Task Who_has_logged_in_lately_takes_the_place_of_any_other_when_strangers_have_taken_all()
    {
        var turns = new LoginTurns(workers: 1, capacity: 100, capacityOfPrefix: 10, hasFailed: _ => false);
        List<Task> all = [Occupy(turns)];
        // Fresh networks, in as many wide ones: none has failed, and none has more than another.
        var strangers = Enumerable.Range(0, 100)
            .Select(i => turns.RunAsync(IPNetwork.Parse($"100.{i}.0.1/32"), false, Work($"stranger {i}"), CancellationToken.None, Cancellation)).ToList();
        Assert.Null(await turns.RunAsync(s_user, false, Work("one stranger more"), CancellationToken.None, Cancellation));
        all.Add(Ask(turns, "ann", s_user, isPreferred: true));
        Assert.Equal(100, turns.Waiting);

        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal("ann", _order[0]);
        Assert.Single(await Task.WhenAll(strangers), answer => answer is null);
    }

    [Theory(Timeout = 30_000)]
    [InlineData("127.50.{0}.1/32", "198.51.100.1/32")]
    [InlineData("2001:db8:1:{0}::/64", "2001:db8:2:1::/64")]
    public async Task However_many_prefixes_one_customer_has_another_network_has_its_first_login(string many, string one)
    {
        var turns = new LoginTurns(workers: 1, capacity: 100, capacityOfPrefix: 10, hasFailed: _ => false);
        var first = Occupy(turns);
        var strangers = Enumerable.Range(1, 150).Select(i => turns.RunAsync(
            IPNetwork.Parse(many.Replace("{0}", $"{i}", StringComparison.Ordinal)), false, Work($"stranger {i}"), CancellationToken.None, Cancellation)).ToList();
        List<Task> users = [Ask(turns, "user", IPNetwork.Parse(one)), Ask(turns, "user again", IPNetwork.Parse(one))];
        Assert.Equal(100, turns.Waiting);

        _busy.SetResult();
        await Task.WhenAll([first, .. users, .. strangers]);
        // The two take turns with all of the others together.
        Assert.Equal(["stranger 1", "user", "stranger 2", "user again"], _order.Take(4));
        Assert.Equal(100, _order.Count);
        Assert.Equal(0, turns.Waiting);
    }

    [Fact(Timeout = 30_000)]
    public async Task Of_those_that_have_logged_in_lately_no_wide_network_keeps_another_out()
    {
        var turns = new LoginTurns(workers: 1, capacity: 4, capacityOfPrefix: 4, hasFailed: _ => false);
        List<Task> all = [Occupy(turns), Ask(turns, "a", s_guesser, true), Ask(turns, "b", s_guesser, true), Ask(turns, "c", s_other, true)];
        var newest = turns.RunAsync(s_guesser, true, Work("d"), CancellationToken.None, Cancellation);
        all.Add(Ask(turns, "user", s_user, true));
        Assert.Null(await newest);
        Assert.Null(await turns.RunAsync(s_another, true, Work("no better"), CancellationToken.None, Cancellation));
        // A new network is no better than who has logged in.
        Assert.Null(await turns.RunAsync(IPNetwork.Parse("203.0.113.1/32"), false, Work("new"), CancellationToken.None, Cancellation));

        _busy.SetResult();
        await Task.WhenAll(all);
        Assert.Equal(["a", "user", "c", "b"], _order);
    }

    [Fact]
    public void A_login_with_a_remembered_password_goes_first_the_next_time_and_ends_nobodys_pause()
    {
        var time = new FakeTimeProvider();
        var history = new LoginHistory(time);
        history.SucceededAgain("ann", s_user);
        Assert.True(history.HasSucceeded("ann", s_user));
        for (var i = 0; i < 5; i++)
        {
            history.Failed("ann", s_user);
            history.SucceededAgain("ann", s_user);
        }

        Assert.False(history.HasFailed(s_user));
        history.Failed("ann", s_user);
        history.SucceededAgain("ann", s_user);
        Assert.True(history.IsPaused("ann", s_user));
        Assert.False(history.HasSucceeded("ann", s_user));
    }

    private Task Occupy(LoginTurns turns) => turns.RunAsync(s_guesser, false, () =>
    {
        _busy.Task.Wait(Cancellation);
        return Task.FromResult(true);
    }, CancellationToken.None, Cancellation);

    private Task Ask(LoginTurns turns, string name, IPNetwork prefix, bool isPreferred = false, CancellationToken closed = default) =>
        turns.RunAsync(prefix, isPreferred, Work(name), closed, Cancellation);

    private Func<Task<bool>> Work(string name) => () =>
    {
        lock (_order)
            _order.Add(name);
        return Task.FromResult(true);
    };
}
