using System.Globalization;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Does what rules ask for once, in pieces, each noted when it is done: whoever goes on after a death does a piece twice, which changes nothing. It ends rules whose time is over, and wakes
/// the domains of those that have ended.
/// </summary>
internal sealed partial class RuleActs(
    RuleStore rules, RuleTargets targets, HeldDomainStore heldDomains, OutcomeRecorder outcomes, FlushStore flushes, OperatorStore operators,
    IOptions<QueueOptions> options, TimeProvider time, ILogger<RuleActs> log) : IDuty
{
    /// <summary>What has ended can be read for so long.</summary>
    internal static readonly TimeSpan Kept = TimeSpan.FromDays(14);

    private const string DefaultBounce = "returned by the administrator of this mail system";
    private const string DefaultExpiry = "given up by the administrator of this mail system";

    /// <summary>After this time a round ends, and the next one goes on behind it.</summary>
    private static readonly TimeSpan s_roundTime = TimeSpan.FromSeconds(3);

    public string Name => "rules";

    public DutyPace Pace => new(options.Value.ReconcileInterval);

    public async Task<bool> RoundAsync()
    {
        var started = time.GetTimestamp();
        var now = time.GetUtcNow();
        var useful = false;
        var all = await rules.ListAsync(CancellationToken.None);
        foreach (var rule in all.Where(rule => rule.EndedAt is null && !rule.Counts(now)))
            useful |= await rules.EndAsync(rule);
        if (all.Any(rule => rule.EndedAt < now - Kept))
            useful |= await rules.ForgetAsync(now - Kept) > 0;
        while (await heldDomains.RestoreAsync(CancellationToken.None) is var restored and > 0)
        {
            useful = true;
            if (restored < HeldDomainStore.Piece || time.GetElapsedTime(started) >= s_roundTime)
                break;
        }
        foreach (var rule in all.Where(rule => !rule.IsStanding && rule.EndedAt is null).OrderBy(rule => rule.SetAt))
        {
            useful = true;
            await WorkAsync(rule, started);
        }
        return useful;
    }

    private async Task WorkAsync(QueueRule rule, long started)
    {
        try
        {
            // At least a piece of each rule in each round.
            for (RuleProgress? progress = RuleProgress.Parse(rule.Place); progress is { } at;)
                progress = await PieceAsync(rule, at) is { } next && time.GetElapsedTime(started) < s_roundTime && next.Place is not null ? next : null;
        }
        // It stays, and holds up none of the others.
        catch (Exception exception) when (exception is not StorageUnavailableException { Fault: not StorageFault.Refused })
        {
            LogNotDone(log, rule.Name, exception);
        }
    }

    /// <summary>Null: the rule is not there any more.</summary>
    private async Task<RuleProgress?> PieceAsync(QueueRule rule, RuleProgress at)
    {
        var page = await targets.PageAsync(rule.Conditions, at.Place ?? WaitingPlace.Start, held: rule.Act == RuleAct.Release, CancellationToken.None);
        // What has come since is not meant.
        var meant = page.Targets.Where(target => target.Recipient.AcceptedAt <= rule.SetAt).ToList();
        var free = meant.FindAll(target => !target.IsClaimed);
        var done = free.Count == 0 ? 0 : await DoAsync(rule, free);
        // Whoever is being tried may wait again: for him there is another pass.
        var next = new RuleProgress(page.Next, at.HasMissed || (rule.Act is RuleAct.Bounce or RuleAct.Expire && free.Count < meant.Count));
        var isOver = next.Place is null && !next.HasMissed;
        var place = next.Place is null ? RuleProgress.Start : next;
        if (!await rules.AdvanceAsync(rule, done, place.ToString(), isOver ? time.GetUtcNow() : null))
            return null;
        if (isOver)
            LogDone(log, rule.Name, rule.Summary);
        return next;
    }

    private async Task<int> DoAsync(QueueRule rule, List<RuleTarget> free)
    {
        switch (rule.Act)
        {
            case RuleAct.Release:
                return await operators.ReleaseAsync([.. free.Select(target => target.Recipient.RecipientId)]);
            case RuleAct.Retry:
                await flushes.RetryAsync(free);
                return free.Count;
            default:
                var done = 0;
                foreach (var domain in free.GroupBy(target => target.Domain, target => target.Recipient, StringComparer.Ordinal))
                    done += await GiveUpAsync(rule, domain.Key, [.. domain]);
                return done;
        }
    }

    private Task<int> GiveUpAsync(QueueRule rule, string domain, IReadOnlyList<Recipient> recipients) => rule.Act == RuleAct.Bounce
        ? outcomes.BounceAsync(domain, recipients, rule.Text.Length > 0 ? rule.Text : DefaultBounce)
        : outcomes.ExpireAsync(domain, recipients, rule.Text.Length > 0 ? rule.Text : DefaultExpiry);

    [LoggerMessage(2132, LogLevel.Information, "The rule '{Rule}' is done: {Summary}")]
    private static partial void LogDone(ILogger log, string rule, string summary);

    [LoggerMessage(2133, LogLevel.Error, "The rule '{Rule}' could not be done, and goes on where it stands")]
    private static partial void LogNotDone(ILogger log, string rule, Exception exception);

    /// <summary>How far what is done once has come.</summary>
    /// <param name="Place">Behind which the next piece begins; null: this pass is over.</param>
    /// <param name="HasMissed">Somebody was being tried who is meant.</param>
    private sealed record RuleProgress(WaitingPlace? Place, bool HasMissed)
    {
        public static readonly RuleProgress Start = new(WaitingPlace.Start, HasMissed: false);

        public static RuleProgress Parse(string text) => text.Split(' ', 4) is [var missed, var at, var id, var domain]
            ? new(
                new WaitingPlace(domain, long.Parse(at, CultureInfo.InvariantCulture), long.Parse(id, CultureInfo.InvariantCulture)), missed == "1")
            : Start;

        public override string ToString() => string.Create(
            CultureInfo.InvariantCulture, $"{(HasMissed ? 1 : 0)} {Place?.NextAttemptAt ?? 0} {Place?.RecipientId ?? 0} {Place?.Domain ?? ""}");
    }
}
