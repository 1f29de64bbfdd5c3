using CsCheck;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Tests;

/// <summary>What follows an attempt that did not deliver.</summary>
public sealed class AttemptDecisionTests
{
    private static readonly DateTimeOffset s_noon = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    private readonly QueueOptions _settings = new() { RetrySteps = QueueOptions.DefaultRetrySteps, Uncertain = { Steps = UncertainOptions.DefaultSteps }, RetryJitter = 0 };
    private readonly QueuePolicyOptions _policy = new();

    [Theory]
    [InlineData(AttemptOutcome.NotAttempted, RecipientState.Queued, 0)]
    [InlineData(AttemptOutcome.Deferred, RecipientState.Queued, 5)]
    [InlineData(AttemptOutcome.Failed, RecipientState.Bounced, 0)]
    [InlineData(AttemptOutcome.Uncertain, RecipientState.Queued, 15)]
    public void Without_a_policy_the_settings_say_what_follows(AttemptOutcome outcome, RecipientState state, int minutes) =>
        Assert.Equal((state, s_noon.AddMinutes(minutes)), Follows(outcome));

    [Fact]
    public void What_may_have_been_delivered_waits_longer_each_time_and_is_held_after_the_third()
    {
        Assert.Equal((RecipientState.Queued, s_noon.AddMinutes(15)), Follows(AttemptOutcome.Uncertain, uncertain: 0, attempts: 4));
        Assert.Equal((RecipientState.Queued, s_noon.AddHours(1)), Follows(AttemptOutcome.Uncertain, uncertain: 1));
        var last = Decide(AttemptOutcome.Uncertain, uncertain: 2);
        Assert.Equal((RecipientState.Held, "3 attempts ended without an answer to the final dot; a copy may have arrived each time"), (last.State, last.HoldReason));

        _settings.Uncertain.Most = 4;
        Assert.Equal((RecipientState.Queued, s_noon.AddHours(4)), Follows(AttemptOutcome.Uncertain, uncertain: 2));
        Assert.Equal(RecipientState.Held, Follows(AttemptOutcome.Uncertain, uncertain: 3).State);
        // The rule may have become stricter meanwhile.
        Assert.Equal(RecipientState.Held, Follows(AttemptOutcome.Uncertain, uncertain: 7).State);
    }

    [Theory]
    [InlineData(null, RecipientState.Held)]
    [InlineData(UncertainEnd.Hold, RecipientState.Held)]
    [InlineData(UncertainEnd.Report, RecipientState.Bounced)]
    public void Nothing_is_sent_twice_where_one_attempt_is_the_most(UncertainEnd? then, RecipientState expected)
    {
        _policy.Destinations.Add(new() { For = "example.net", Uncertain = { Most = 1, Then = then } });
        var decision = Decide(AttemptOutcome.Uncertain);
        Assert.Equal(expected, decision.State);
        Assert.Equal(expected == RecipientState.Held ? "1 attempt ended without an answer to the final dot; a copy may have arrived" : "", decision.HoldReason);
        // Others of it go on.
        Assert.Equal(RecipientState.Queued, Follows(AttemptOutcome.Deferred).State);
        // At the end of its time it is nothing else.
        Assert.Equal(expected, Follows(AttemptOutcome.Uncertain, age: TimeSpan.FromDays(9)).State);
    }

    [Theory]
    [InlineData(false, 1, RecipientState.Queued, 5)]
    [InlineData(false, 2, RecipientState.Queued, 10)]
    [InlineData(true, 1, RecipientState.Queued, 15)]
    [InlineData(true, 2, RecipientState.Queued, 60)]
    [InlineData(true, 3, RecipientState.Held, 0)]
    public void A_dead_workers_recipient_follows_the_same_rule(bool mayHaveArrived, int times, RecipientState state, int minutes)
    {
        var decision = OfLeft(mayHaveArrived, times);
        Assert.Equal((state, s_noon.AddMinutes(minutes)), (decision.State, decision.NextAttemptAt));
        Assert.Equal(state == RecipientState.Held ? HoldRule.Uncertain(3) : "", decision.HoldReason);

        _policy.Senders.Add(new() { From = "bank.example", Uncertain = { Most = 1, Then = UncertainEnd.Report } });
        Assert.Equal(mayHaveArrived ? RecipientState.Bounced : RecipientState.Queued, OfLeft(mayHaveArrived, times).State);
    }

    [Fact]
    public void A_dead_workers_recipient_whose_time_is_over_is_tried_once_more() =>
        Assert.Equal(new TakeBackDecision(RecipientState.Queued, s_noon), OfLeft(mayHaveArrived: false, times: 1, TimeSpan.FromDays(6)));

    [Fact]
    public void An_operator_says_what_a_reply_means()
    {
        _policy.Replies.Add(new() { Text = "no such user", Class = ReplyClass.Policy, Then = ReplyThen.Retry, RetrySteps = [TimeSpan.FromMinutes(40), TimeSpan.FromMinutes(50)] });
        _policy.Replies.Add(new() { Text = "greylisted", Class = ReplyClass.Policy, RetrySteps = [TimeSpan.FromMinutes(2)] });
        _policy.Replies.Add(new() { Text = "never", Class = ReplyClass.Content, Then = ReplyThen.Bounce });

        var retried = Decide(AttemptOutcome.Failed, reply: "550 5.1.1 No such user");
        Assert.Equal((RecipientState.Queued, s_noon.AddMinutes(40), ReplyClass.Policy), (retried.State, retried.NextAttemptAt, retried.Result.Class));
        Assert.Equal(s_noon.AddMinutes(50), Follows(AttemptOutcome.Failed, reply: "550 5.1.1 No such user", attempts: 1).Next);
        // Its time ends all the same.
        Assert.Equal(RecipientState.Expired, Follows(AttemptOutcome.Failed, reply: "550 5.1.1 No such user", age: TimeSpan.FromDays(5)).State);
        Assert.Equal(s_noon.AddMinutes(2), Follows(AttemptOutcome.Deferred, reply: "451 greylisted").Next);
        Assert.Equal(RecipientState.Bounced, Follows(AttemptOutcome.Deferred, reply: "451 never").State);
        Assert.Equal(ReplyClass.Other, Decide(AttemptOutcome.Deferred, reply: "451 other").Result.Class);
    }

    [Fact]
    public void A_recipient_gets_no_more_copies_than_the_rule_says_whatever_else_happens() =>
        Gen.Select(Gen.Int[1, 5], Gen.Enum<UncertainEnd>(), Gen.Int[2, 4].Array[40]).Sample((most, then, outcomes) =>
        {
            var schedules = new ScheduleTable(_settings, new QueuePolicyOptions { Destinations = [new() { For = "*", Uncertain = { Most = most, Then = then } }] });
            var (now, copies) = (s_noon, 0);
            for (var attempts = 0; attempts < outcomes.Length; attempts++)
            {
                var result = Result((AttemptOutcome)outcomes[attempts], "451 later");
                var decision = AttemptDecision.Of(Recipient(attempts, s_noon), result, copies, schedules, new ReplyTable([]), now, 0.5);
                copies += result.Outcome == AttemptOutcome.Uncertain ? 1 : 0;
                if (decision.State != RecipientState.Queued)
                    break;
                now = decision.NextAttemptAt;
            }
            return copies <= most;
        });

    /// <summary>What a worker cannot do for want of something of ours: it knows when there is use in trying again.</summary>
    [Fact]
    public void What_a_worker_puts_off_is_due_when_it_says_and_within_its_own_time()
    {
        Assert.Equal((RecipientState.Queued, s_noon.AddSeconds(2)), PutOff(AttemptOutcome.NotAttempted, s_noon.AddSeconds(2)));
        Assert.Equal((RecipientState.Queued, s_noon.AddHours(12)), PutOff(AttemptOutcome.Deferred, s_noon.AddHours(12)));
        // Not behind the end of its time, not for ever, and not in the past.
        Assert.Equal((RecipientState.Queued, s_noon.AddHours(1)), PutOff(AttemptOutcome.Deferred, s_noon.AddHours(12), age: _settings.MaxAge - TimeSpan.FromHours(1)));
        Assert.Equal((RecipientState.Queued, s_noon.AddHours(26)), PutOff(AttemptOutcome.NotAttempted, s_noon.AddDays(300)));
        Assert.Equal((RecipientState.Queued, s_noon), PutOff(AttemptOutcome.NotAttempted, s_noon.AddDays(-1)));
        // Its time ends, whoever has tried it.
        Assert.Equal(RecipientState.Expired, PutOff(AttemptOutcome.Deferred, s_noon.AddHours(1), age: _settings.MaxAge).State);
        Assert.Equal(RecipientState.Expired, PutOff(AttemptOutcome.NotAttempted, s_noon.AddHours(1), age: _settings.MaxAge).State);

        (RecipientState State, DateTimeOffset Next) PutOff(AttemptOutcome outcome, DateTimeOffset notBefore, TimeSpan age = default)
        {
            var decision = AttemptDecision.Of(
                Recipient(0, s_noon - age), Result(outcome, "no source") with { NotBefore = notBefore }, 0, new ScheduleTable(_settings, _policy), new ReplyTable([]), s_noon, 0);
            return (decision.State, decision.NextAttemptAt);
        }
    }

    private (RecipientState State, DateTimeOffset Next) Follows(
        AttemptOutcome outcome, int uncertain = 0, int attempts = 0, string reply = "451 later", TimeSpan age = default)
    {
        var decision = Decide(outcome, uncertain, attempts, reply, age);
        return (decision.State, decision.NextAttemptAt);
    }

    private RecipientDecision Decide(AttemptOutcome outcome, int uncertain = 0, int attempts = 0, string reply = "451 later", TimeSpan age = default) => AttemptDecision.Of(
        Recipient(attempts, s_noon - age), Result(outcome, reply), uncertain, new ScheduleTable(_settings, _policy), new ReplyTable(_policy.Replies), s_noon, 0);

    private TakeBackDecision OfLeft(bool mayHaveArrived, int times, TimeSpan age = default) => AttemptDecision.Of(
        new LeftRecipient("example.net", "a@example.net", "x@bank.example", "bank.example", times, mayHaveArrived ? times : 0, mayHaveArrived, s_noon - age),
        new ScheduleTable(_settings, _policy), s_noon, 0);

    private static Recipient Recipient(int attempts, DateTimeOffset acceptedAt) =>
        new(1, "a@example.net", "x@bank.example", 1, BodyType.SevenBit, attempts, acceptedAt, acceptedAt, RecipientRoute.Remote, "", Flow: "bank.example");

    private static AttemptResult Result(AttemptOutcome outcome, string reply) => new(1, outcome, "4.0.0", reply, "mx.example.net[192.0.2.1]:25", s_noon, s_noon);
}
