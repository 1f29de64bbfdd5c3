using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What others cause is logged so often and then counted.</summary>
public sealed class LogCapTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<string> _unsaid = [];
    private readonly List<IDisposable> _caps = [];

    [Fact]
    public void Each_key_has_its_lines_in_a_window_and_the_rest_is_said_before_the_next()
    {
        var cap = Cap();
        Assert.Equal(3, Enumerable.Range(0, 10).Count(_ => cap.MayWrite("one")));
        Assert.True(cap.MayWrite("other"));
        Assert.Empty(_unsaid);

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(cap.MayWrite("one"));
        Assert.Equal(["one 7"], _unsaid);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.True(cap.MayWrite("one"));
        Assert.Equal(["one 7"], _unsaid);
    }

    [Fact]
    public void Keys_without_number_take_no_memory_without_bound_and_lose_no_count()
    {
        var cap = Cap();
        for (var i = 0; i < 5; i++)
            cap.MayWrite("first");
        for (var i = 0; i < LogCap<string>.MaxKeys; i++)
            cap.MayWrite($"{i}");
        Assert.Equal(["first 2"], _unsaid);
        Assert.True(cap.MayWrite("first"));
    }

    [Fact]
    public void The_rest_is_said_when_its_window_is_over_though_the_key_never_comes_again()
    {
        var cap = Cap();
        for (var i = 0; i < 5; i++)
            cap.MayWrite("one");
        _time.Advance(TimeSpan.FromSeconds(0.5));
        for (var i = 0; i < 6; i++)
            cap.MayWrite("other");
        Assert.Empty(_unsaid);

        _time.Advance(TimeSpan.FromSeconds(0.5));
        Assert.Equal(["one 2"], _unsaid);
        _time.Advance(TimeSpan.FromSeconds(0.6));
        Assert.Equal(["one 2", "other 3"], _unsaid);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(2, _unsaid.Count);
    }

    [Fact]
    public void A_sweep_writes_so_many_counts_and_the_next_one_the_others()
    {
        var cap = Cap();
        for (var key = 0; key < LogCap<string>.MaxSaidAtOnce + 5; key++)
        {
            for (var i = 0; i < 4; i++)
                cap.MayWrite($"{key}");
        }

        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(LogCap<string>.MaxSaidAtOnce, _unsaid.Count);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(LogCap<string>.MaxSaidAtOnce + 5, _unsaid.Count);
    }

    [Fact]
    public void At_the_end_the_rest_is_said_at_once()
    {
        using (var cap = Cap())
        {
            for (var i = 0; i < 5; i++)
                cap.MayWrite("one");
        }
        Assert.Equal(["one 2"], _unsaid);
    }

    [Fact]
    public void All_keys_together_have_their_lines_in_a_window_and_the_rest_is_said_once()
    {
        var cap = Cap(linesOfAll: 5);
        Assert.Equal(5, Enumerable.Range(0, 100).Count(key => cap.MayWrite($"{key}")));
        Assert.Empty(_unsaid);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["all 95"], _unsaid);

        Assert.Equal(5, Enumerable.Range(0, 7).Count(key => cap.MayWrite($"{key}")));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["all 95", "all 2"], _unsaid);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(2, _unsaid.Count);
    }

    [Fact]
    public void The_counts_of_keys_are_lines_of_all_and_none_is_lost()
    {
        var cap = Cap(linesOfAll: 10);
        for (var i = 0; i < 15; i++)
            cap.MayWrite($"{i % 3}");
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(["0 2", "1 2", "2 2"], _unsaid.Order());
        // Three of ten lines are taken.
        Assert.Equal(7, Enumerable.Range(0, 12).Count(key => cap.MayWrite($"{key}")));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal("all 5", _unsaid[^1]);

        _unsaid.Clear();
        for (var i = 0; i < 14; i++)
            cap.MayWrite(i < 9 ? $"{i % 3}" : "busy");
        cap.Dispose();
        // Ten are written; where no line is left, what a key has left unsaid is part of what all have.
        Assert.Equal(["all 4"], _unsaid);
    }

    [Fact]
    public void What_goes_on_has_its_count_in_each_window_and_is_written_anew_only_after_one_without_it()
    {
        var cap = new LogCap<string>(_time, lines: 1, TimeSpan.FromSeconds(6), (key, count) => _unsaid.Add($"{key} {count}")) { CountsOn = true };
        _caps.Add(cap);
        Assert.Equal(1, Enumerable.Range(0, 20).Count(_ => MayWriteNextSecond()));
        Assert.Equal(3, _unsaid.Count);

        _time.Advance(TimeSpan.FromSeconds(6));
        _time.Advance(TimeSpan.FromSeconds(6));
        Assert.True(cap.MayWrite("one"));
        Assert.Equal(19, _unsaid.Sum(line => int.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture)));

        // Whoever knows that it is over says so.
        Assert.False(cap.MayWrite("one"));
        cap.Forget();
        Assert.Equal("one 1", _unsaid[^1]);
        Assert.True(cap.MayWrite("one"));

        bool MayWriteNextSecond()
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            return cap.MayWrite("one");
        }
    }

    public void Dispose() => _caps.ForEach(cap => cap.Dispose());

    private LogCap<string> Cap(int? linesOfAll = null)
    {
        var window = TimeSpan.FromSeconds(1);
        var total = linesOfAll is { } lines ? new LogTotal(_time, lines, window, count => _unsaid.Add($"all {count}")) : null;
        var cap = new LogCap<string>(_time, lines: 3, window, (key, count) => _unsaid.Add($"{key} {count}"), total);
        _caps.Add(cap);
        return cap;
    }
}
