using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What others cause is logged so often and then counted.</summary>
public sealed class LogCapTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly List<string> _unsaid = [];

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

    private LogCap<string> Cap() => new(_time, lines: 3, TimeSpan.FromSeconds(1), (key, count) => _unsaid.Add($"{key} {count}"));
}
