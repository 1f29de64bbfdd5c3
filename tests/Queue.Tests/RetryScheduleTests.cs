using CsCheck;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Tests;

public sealed class RetryScheduleTests
{
    private static readonly DateTimeOffset s_accepted = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly RetrySchedule _schedule = new(QueueOptions.DefaultRetrySteps, 0.1, TimeSpan.FromDays(5));

    [Theory]
    [InlineData(1, 5)]
    [InlineData(2, 10)]
    [InlineData(3, 20)]
    [InlineData(4, 30)]
    [InlineData(5, 60)]
    [InlineData(6, 120)]
    [InlineData(60, 120)]
    public void Pauses_follow_the_steps_and_the_last_one_repeats(int attempts, int minutes) =>
        Assert.Equal(s_accepted.AddMinutes(minutes), _schedule.Next(attempts, s_accepted, s_accepted, 0));

    [Fact]
    public void Jitter_lengthens_and_never_shortens() =>
        Gen.Select(Gen.Int[1, 100], Gen.Double[0, 1]).Sample((attempts, random) =>
        {
            var pause = _schedule.Pause(attempts, random);
            return pause >= _schedule.Pause(attempts, 0) && pause <= _schedule.Pause(attempts, 0) * 1.1;
        });

    [Fact]
    public void A_schedule_goes_forward_and_ends_at_the_maximum_age() =>
        Gen.Double[0, 1].Array[500].Sample(random =>
        {
            var now = s_accepted;
            for (var attempts = 1; attempts <= random.Length; attempts++)
            {
                if (_schedule.Next(attempts, s_accepted, now, random[attempts - 1]) is not { } next)
                    return now == s_accepted.AddDays(5);
                if (next <= now || next > s_accepted.AddDays(5))
                    return false;
                now = next;
            }
            return false;
        });
}
