using MailPipeline.Queue.Reconciling;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

public sealed class SteadyStorageTests
{
    private static readonly TimeSpan s_lease = TimeSpan.FromSeconds(15);

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private readonly SteadyStorage _steady;

    public SteadyStorageTests() => _steady = new SteadyStorage(s_lease, () => TimeSpan.FromSeconds(1), _time);

    [Fact]
    public void Whoever_begins_waits_for_a_lease()
    {
        Assert.False(_steady.HasCommitted());
        Assert.Equal(15, SecondsUntilSteady());
    }

    [Theory]
    [InlineData(5, true)]
    [InlineData(6, false)]
    [InlineData(20, false)]
    // The clock was set back.
    [InlineData(-3600, false)]
    public void A_gap_that_claims_may_not_outlive_is_followed_by_a_lease_of_waiting(int seconds, bool isSteady)
    {
        _steady.HasCommitted();
        SecondsUntilSteady();
        _time.AdjustTime(_time.GetUtcNow().AddSeconds(seconds));
        Assert.Equal(isSteady, _steady.HasCommitted());
        if (!isSteady)
            Assert.Equal(15, SecondsUntilSteady());
    }

    [Fact]
    public void Who_does_not_hear_of_a_commit_is_not_steady()
    {
        _steady.HasCommitted();
        Assert.False(_steady.IsSteady);
        SecondsUntilSteady();
        Assert.True(_steady.IsSteady);
        _time.Advance(TimeSpan.FromSeconds(5));
        Assert.True(_steady.IsSteady);
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(_steady.IsSteady);
    }

    private int SecondsUntilSteady()
    {
        for (var seconds = 1; ; seconds++)
        {
            _time.Advance(TimeSpan.FromSeconds(1));
            if (_steady.HasCommitted())
                return seconds;
        }
    }
}
