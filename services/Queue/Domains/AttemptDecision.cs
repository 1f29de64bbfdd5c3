using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// What follows an attempt that did not deliver: tried again, and when; held; bounced; expired. Pure: the policy of the moment, the recipient and what
/// the attempt met come in, a decision comes out.
/// </summary>
internal static class AttemptDecision
{
    /// <summary>Of what a worker may put off: a day's plan begins anew every day.</summary>
    private static readonly TimeSpan s_longestPostponement = TimeSpan.FromHours(26);

    /// <param name="uncertainBefore">Attempts before this one that may have delivered.</param>
    /// <param name="random">From 0 to 1.</param>
    public static RecipientDecision Of(
        Recipient recipient, AttemptResult result, int uncertainBefore, ScheduleTable schedules, ReplyTable replies, DateTimeOffset now, double random)
    {
        if (result.Outcome == AttemptOutcome.NotAttempted)
            return result.NotBefore is { } notBefore ? OfPutOff(result, notBefore, recipient.AcceptedAt, schedules.Of(recipient), now) : new(result, RecipientState.Queued, now);
        var verdict = replies.Of(result);
        result = result with { Class = verdict.Class };
        var schedule = schedules.Of(recipient);
        if (result.Outcome == AttemptOutcome.Uncertain)
            return OfUncertain(result, uncertainBefore + 1, recipient.AcceptedAt, schedule, now, random);
        if (verdict.Then == ReplyThen.Bounce || (result.Outcome == AttemptOutcome.Failed && verdict.Then != ReplyThen.Retry))
            return new(result, RecipientState.Bounced, now);
        var attempts = recipient.Attempts + 1;
        if (result.NotBefore is { } at)
            return Later(result, schedule.Retry.IsOver(recipient.AcceptedAt, now) ? null : Within(schedule, recipient.AcceptedAt, at, now), now);
        return Later(
            result, verdict.RetrySteps.Count > 0
                ? schedule.Retry.Next(verdict.RetrySteps, attempts, recipient.AcceptedAt, now, random)
                : schedule.Retry.Next(attempts, recipient.AcceptedAt, now, random), now);
    }

    /// <summary>The same of a recipient whose worker died over it: nobody has answered.</summary>
    public static TakeBackDecision Of(LeftRecipient left, ScheduleTable schedules, DateTimeOffset now, double random)
    {
        var schedule = schedules.Of(left.Flow, left.Sender, left.Domain);
        if (left.MayHaveArrived && schedule.Uncertain.IsOver(left.Uncertain))
        {
            return schedule.Uncertain.Then == UncertainEnd.Report
                ? new(RecipientState.Bounced, now) : new(RecipientState.Held, now, HoldRule.Uncertain(left.Uncertain));
        }
        // Whose time is over is tried once more: only an answer, or its absence, gives a recipient up.
        var next = left.MayHaveArrived
            ? schedule.Retry.Next(schedule.Uncertain.Steps, left.Uncertain, left.AcceptedAt, now, random)
            : schedule.Retry.Next(left.Attempts, left.AcceptedAt, now, random);
        return new(RecipientState.Queued, next ?? now);
    }

    /// <param name="uncertain">Attempts that may have delivered, with this one: as many copies there may be.</param>
    private static RecipientDecision OfUncertain(
        AttemptResult result, int uncertain, DateTimeOffset acceptedAt, Schedule schedule, DateTimeOffset now, double random)
    {
        if (!schedule.Uncertain.IsOver(uncertain))
            return Later(result, schedule.Retry.Next(schedule.Uncertain.Steps, uncertain, acceptedAt, now, random), now);
        return schedule.Uncertain.Then == UncertainEnd.Report
            ? new(result, RecipientState.Bounced, now)
            : new(result, RecipientState.Held, now) { HoldReason = HoldRule.Uncertain(uncertain) };
    }

    /// <summary>It is nobody's attempt; but what is put off again and again ends as well.</summary>
    private static RecipientDecision OfPutOff(AttemptResult result, DateTimeOffset notBefore, DateTimeOffset acceptedAt, Schedule schedule, DateTimeOffset now) =>
        schedule.Retry.IsOver(acceptedAt, now)
            ? new(result with { Outcome = AttemptOutcome.Deferred }, RecipientState.Expired, now, WasTried: false)
            : new(result, RecipientState.Queued, Within(schedule, acceptedAt, notBefore, now));

    /// <summary>What a worker says of a time, but not behind the end of the recipient's own, and never far from now.</summary>
    private static DateTimeOffset Within(Schedule schedule, DateTimeOffset acceptedAt, DateTimeOffset notBefore, DateTimeOffset now)
    {
        var end = schedule.Retry.End(acceptedAt);
        var latest = end > now && end < now + s_longestPostponement ? end : now + s_longestPostponement;
        return notBefore < now ? now : notBefore < latest ? notBefore : latest;
    }

    private static RecipientDecision Later(AttemptResult result, DateTimeOffset? next, DateTimeOffset now) =>
        next is { } at ? new(result, RecipientState.Queued, at) : new(result, RecipientState.Expired, now);
}
