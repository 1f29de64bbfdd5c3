using System.Net;
using MailPipeline.Ingress.Limits;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// Counts by the limits of the policy. Where nobody knows what was counted, mail goes on as if there were none, and logins wait: a guess at a
/// password is not free because Redis is away. A rule that is used up may ban the client's network for a time.
/// </summary>
internal sealed partial class DoorLimits(
    PolicyFile policy, ITokenBuckets buckets, BanStore store, BanList bans, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time,
    ILogger<DoorLimits> log) : IDisposable
{
    private readonly LogCap<int> _faults = new(time, 1, TimeSpan.FromMinutes(1), (_, count) => LogAwayMore(log, count));

    /// <summary>Whether the policy has anything to say of it; else nothing is asked.</summary>
    public bool Counts(LimitWhat what) => policy.Current.LimitsOf(what).Count > 0;

    /// <summary>Counts one of what the client proposes. The rule by which it is too much; null: it goes on.</summary>
    public async ValueTask<LimitOptions?> TakeAsync(CheckContext context, LimitWhat what)
    {
        var rules = new List<LimitOptions>();
        var drafts = new List<BucketDraft>();
        Add(context, what, "", need: 1, take: 1, rules, drafts);
        // Who has used up his mistakes is not served again until some of them are forgotten.
        if (what == LimitWhat.Connections)
        {
            Add(context, LimitWhat.FailedCommands, "", need: 1, take: 0, rules, drafts);
            Add(context, LimitWhat.FailedLogins, "", need: 1, take: 0, rules, drafts);
        }

        if (drafts.Count == 0)
            return null;
        try
        {
            var (refused, _) = await buckets.DrawAsync(drafts);
            if (refused < 0)
                return null;
            telemetry.LimitReached(rules[refused].Name);
            await BanAsync(context, rules[refused]);
            return rules[refused];
        }
        catch (BucketsAwayException away)
        {
            Away(away);
            return null;
        }
    }

    /// <summary>A command was refused for good. Never throws.</summary>
    public async Task CountFailedCommandAsync(CheckContext context)
    {
        var rules = new List<LimitOptions>();
        var drafts = new List<BucketDraft>();
        Add(context, LimitWhat.FailedCommands, "", need: 0, take: 1, rules, drafts);
        if (drafts.Count == 0)
            return;
        try
        {
            if ((await buckets.DrawAsync(drafts)).Emptied is >= 0 and var emptied)
            {
                telemetry.LimitReached(rules[emptied].Name);
                await BanAsync(context, rules[emptied]);
            }
        }
        catch (BucketsAwayException away)
        {
            Away(away);
        }
    }

    /// <summary>Counts a login before anybody looks at it, so that those that come at once count as well. False: it is not looked at.</summary>
    public async ValueTask<bool> MayLogInAsync(CheckContext context, string userName)
    {
        var rules = new List<LimitOptions>();
        var drafts = new List<BucketDraft>();
        Add(context, LimitWhat.FailedLogins, userName, need: 1, take: 1, rules, drafts);
        if (drafts.Count == 0)
            return true;
        try
        {
            var (refused, _) = await buckets.DrawAsync(drafts);
            if (refused < 0)
                return true;
            telemetry.LimitReached(rules[refused].Name);
            await BanAsync(context, rules[refused]);
            return false;
        }
        catch (BucketsAwayException away)
        {
            Away(away);
            return false;
        }
    }

    /// <summary>It was no failure: it does not count. Never throws.</summary>
    public async ValueTask LoggedInAsync(CheckContext context, string userName)
    {
        var drafts = new List<BucketDraft>();
        Add(context, LimitWhat.FailedLogins, userName, need: 0, take: -1, [], drafts);
        if (drafts.Count == 0)
            return;
        try
        {
            await buckets.DrawAsync(drafts);
        }
        catch (BucketsAwayException away)
        {
            Away(away);
        }
    }

    /// <summary>A login was refused, and has used up what the rule allows. Never throws.</summary>
    public async ValueTask LoginFailedAsync(CheckContext context, string userName)
    {
        var rules = new List<LimitOptions>();
        var drafts = new List<BucketDraft>();
        Add(context, LimitWhat.FailedLogins, userName, need: 1, take: 0, rules, drafts);
        if (drafts.Count == 0)
            return;
        try
        {
            if ((await buckets.DrawAsync(drafts)).Refused is >= 0 and var refused)
                await BanAsync(context, rules[refused]);
        }
        catch (BucketsAwayException away)
        {
            Away(away);
        }
    }

    public void Dispose() => _faults.Dispose();

    private void Add(CheckContext context, LimitWhat what, string userName, int need, int take, List<LimitOptions> rules, List<BucketDraft> drafts)
    {
        foreach (var rule in policy.Current.LimitsOf(what))
        {
            if (!rule.Listeners.HasFlag(context.Kind) || SubjectOf(rule, context, userName) is not { } subject)
                continue;
            rules.Add(rule);
            drafts.Add(new BucketDraft($"{rule.Name}:{subject}", rule.Count, rule.Window, need, take));
        }
    }

    /// <summary>Whose bucket it is; null: the rule is not about this client.</summary>
    private string? SubjectOf(LimitOptions rule, CheckContext context, string userName) => rule.Of switch
    {
        LimitOf.Network => context.IsStrangerOn(ListenerKinds.All) ? NetworkOf(context.Client!).ToString() : null,
        LimitOf.Account when rule.What == LimitWhat.FailedLogins => userName.Length > 0 ? MailName.Key(userName) : null,
        LimitOf.Account => context.Account?.Address,
        LimitOf.SenderDomain => context.IsStrangerOn(ListenerKinds.All) ? context.SenderDomain : null,
        _ => context.Kind.ToString(),
    };

    private IPNetwork NetworkOf(IPAddress client) => ClientNetworks.NetworkOf(client, options.Value.PrefixIPv6);

    /// <summary>Beside mail, and never instead of it: what cannot be written now is written when the rule is broken again.</summary>
    private async ValueTask BanAsync(CheckContext context, LimitOptions rule)
    {
        if (rule.Ban <= TimeSpan.Zero || bans.Count >= BanStore.MaxBans)
            return;
        var network = NetworkOf(context.Client!);
        try
        {
            if (!await store.SetByRuleAsync(network, rule.Ban, $"limit {rule.Name}"))
                return;
            telemetry.Banned(rule.Name);
            LogBanned(log, network.ToString(), rule.Ban, rule.Name);
            // Its end, or an operator, begins anew: with a bucket that is full.
            await buckets.DrawAsync([new BucketDraft($"{rule.Name}:{network}", rule.Count, rule.Window, 0, -rule.Count)]);
        }
        catch (StorageUnavailableException away)
        {
            LogNotBanned(log, network.ToString(), rule.Name, away);
        }
    }

    private void Away(BucketsAwayException away)
    {
        telemetry.LimitsAway();
        if (_faults.MayWrite(0))
            LogAway(log, away.Message);
    }

    [LoggerMessage(1046, LogLevel.Warning, "Nothing could be counted for limits; mail goes on, and logins that have a limit wait: {Reason}")]
    private static partial void LogAway(ILogger log, string reason);

    [LoggerMessage(1047, LogLevel.Warning, "Nothing could be counted for limits {Count} times more")]
    private static partial void LogAwayMore(ILogger log, long count);

    [LoggerMessage(1048, LogLevel.Warning, "Nobody from {Network} is served for {Time}, by rule={Rule}")]
    private static partial void LogBanned(ILogger log, string network, TimeSpan time, string rule);

    [LoggerMessage(1049, LogLevel.Warning, "{Network} could not be banned by rule={Rule}")]
    private static partial void LogNotBanned(ILogger log, string network, string rule, Exception exception);
}
