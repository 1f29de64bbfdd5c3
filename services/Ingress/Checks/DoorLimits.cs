using System.Collections.Concurrent;
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
internal sealed partial class DoorLimits : IDisposable
{
    /// <summary>Buckets that are filled by one question, where bans have ended.</summary>
    private const int MostFilled = 100;

    private const int MaxRecent = 1000;

    // No recipient and no user has a longer name (RFC 5321 §4.5.3.1): what is longer is nobody's, and is not kept.
    private const int MaxUserName = 320;

    // A ban that was set is on the list a second later.
    private static readonly TimeSpan s_recent = TimeSpan.FromSeconds(3);

    /// <summary>Longest wait for the names of a client's address; then it is not excepted by them, and not banned either.</summary>
    private static readonly TimeSpan s_nameWait = TimeSpan.FromSeconds(5);

    // Buckets of logins under way and of those that failed; the one without a kind has only the latter.
    private const string Tries = "/tries";

    private readonly PolicyFile _policy;
    private readonly ITokenBuckets _buckets;
    private readonly BanStore _store;
    private readonly BanList _bans;
    private readonly ClientNames _names;
    private readonly IOptions<IngressOptions> _options;
    private readonly IngressTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly LogCap<int> _faults;
    private readonly ConcurrentDictionary<(IPNetwork Network, string Rule), long> _recentlyBanned = [];

    public DoorLimits(
        PolicyFile policy, ITokenBuckets buckets, BanStore store, BanList bans, ClientNames names, IOptions<IngressOptions> options,
        IngressTelemetry telemetry, TimeProvider time, ILogger<DoorLimits> log)
    {
        (_policy, _buckets, _store, _bans, _names, _options, _telemetry, _time, _log) = (policy, buckets, store, bans, names, options, telemetry, time, log);
        _faults = new(time, 1, TimeSpan.FromMinutes(1), (_, count) => LogAwayMore(log, count));
        bans.Ended = FillAsync;
    }

    /// <summary>Whether the policy has anything to say of it; else nothing is asked.</summary>
    public bool Counts(LimitWhat what) => _policy.Current.LimitsOf(what).Count > 0;

    /// <summary>Counts one of what the client proposes. The rule by which it is too much; null: it goes on.</summary>
    public async ValueTask<LimitOptions?> TakeAsync(CheckContext context, LimitWhat what)
    {
        // It is counted when it is known whose it is.
        if (context.IsYetToBeNamed)
            return null;
        var asked = new Question(context.Client);
        await AddAsync(asked, context, what, "", need: 1, take: 1);
        // Who has used up his mistakes is not served again until some of them are forgotten.
        if (what == LimitWhat.Connections)
        {
            await AddAsync(asked, context, LimitWhat.FailedCommands, "", need: 1, take: 0);
            await AddAsync(asked, context, LimitWhat.FailedLogins, "", need: 1, take: 0);
        }

        if (await DrawAsync(asked) is not { Refused: >= 0 and var refused })
            return null;
        var rule = asked.Rules[refused];
        _telemetry.LimitReached(rule.Name);
        await BanAsync(asked, rule);
        return rule;
    }

    /// <summary>A command was refused for good. Never throws.</summary>
    public async Task CountFailedCommandAsync(CheckContext context)
    {
        var asked = new Question(context.Client);
        await AddAsync(asked, context, LimitWhat.FailedCommands, "", need: 0, take: 1);
        if (await DrawAsync(asked) is not { Emptied: >= 0 and var emptied })
            return;
        _telemetry.LimitReached(asked.Rules[emptied].Name);
        await BanAsync(asked, asked.Rules[emptied]);
    }

    /// <summary>
    /// Counts a login before anybody looks at it, so that those that come at once are no more guesses than others. False: it is not looked at.
    /// This alone says nothing against the client, and bans nobody: it may be right.
    /// </summary>
    public async ValueTask<bool> MayLogInAsync(CheckContext context, string userName)
    {
        // Of a session that was there before the ban.
        if (_bans.Has(context))
            return false;
        var asked = new Question(context.Client);
        await AddAsync(asked, context, LimitWhat.FailedLogins, userName, need: 1, take: 1, Tries);
        if (asked.Drafts.Count == 0)
            return true;
        var answer = await DrawAsync(asked);
        if (answer is { Refused: >= 0 and var refused })
            _telemetry.LimitReached(asked.Rules[refused].Name);
        return answer is { Refused: < 0 };
    }

    /// <summary>It was right, or nobody has looked at it: it does not count. Never throws.</summary>
    public async ValueTask LoginNotFailedAsync(CheckContext context, string userName)
    {
        var asked = new Question(context.Client);
        await AddAsync(asked, context, LimitWhat.FailedLogins, userName, need: 0, take: -1, Tries);
        await DrawAsync(asked);
    }

    /// <summary>A login was refused. Where that has used up what the rule allows, the network is banned. Never throws.</summary>
    public async ValueTask LoginFailedAsync(CheckContext context, string userName)
    {
        var asked = new Question(context.Client);
        await AddAsync(asked, context, LimitWhat.FailedLogins, userName, need: 0, take: 1);
        if (await DrawAsync(asked) is { Emptied: >= 0 and var emptied })
            await BanAsync(asked, asked.Rules[emptied]);
    }

    public void Dispose() => _faults.Dispose();

    private async ValueTask AddAsync(Question asked, CheckContext context, LimitWhat what, string userName, int need, int take, string kind = "")
    {
        foreach (var rule in _policy.Current.LimitsOf(what))
        {
            if (!context.IsOn(rule.Listeners) || SubjectOf(rule, context, asked.Client, userName) is not { } subject)
                continue;
            if (rule.AsksHost)
            {
                var host = await HostAsync(context, asked.Client!);
                if (rule.IsExcepted(host))
                    continue;
                if (host.IsUnsure)
                    asked.Unsure.Add(rule);
            }

            asked.Rules.Add(rule);
            asked.Drafts.Add(new BucketDraft(KeyOf(rule, kind, subject), rule.Count, rule.Window, need, take));
        }
    }

    private async ValueTask<ReverseName> HostAsync(CheckContext context, IPAddress client)
    {
        using var elsewhere = context.Patience?.BeginElsewhereWait();
        return await context.Inquiry.KnownReverseNameAsync(client, _names, s_nameWait, _time);
    }

    private static string KeyOf(LimitOptions rule, string kind, string subject) => $"{rule.Name}{kind}:{subject}";

    /// <summary>Whose bucket it is; null: the rule is not about this client.</summary>
    private string? SubjectOf(LimitOptions rule, CheckContext context, IPAddress? client, string userName) => rule.Of switch
    {
        LimitOf.Network => IsAbout(rule, context, client) ? NetworkOf(client!).ToString() : null,
        LimitOf.Account when rule.What == LimitWhat.FailedLogins => userName.Length is > 0 and <= MaxUserName ? MailName.Key(userName) : null,
        LimitOf.Account => context.Account?.Address,
        LimitOf.SenderDomain => IsAbout(rule, context, client) ? context.SenderDomain : null,
        // Who names single listeners bounds each of them.
        _ => rule.Listeners.Names(context.ListenerName) ? context.ListenerName : context.Kind.ToString(),
    };

    private static bool IsAbout(LimitOptions rule, CheckContext context, IPAddress? client) =>
        client is not null && context.IsStranger && !rule.IsExcepted(client);

    private IPNetwork NetworkOf(IPAddress client) => ClientNetworks.NetworkOf(client, _options.Value.PrefixIPv6);

    /// <summary>Null: nothing is asked, or nobody knows.</summary>
    private async ValueTask<BucketAnswer?> DrawAsync(Question asked)
    {
        if (asked.Drafts.Count == 0)
            return null;
        try
        {
            // Before the list is read again.
            if (asked.Client is { } client && _bans.TakeEnded(NetworkOf(client)) is { } ended)
                await FillAsync([ended]);
            return await _buckets.DrawAsync(asked.Drafts);
        }
        catch (BucketsAwayException away)
        {
            Away(away);
            return null;
        }
    }

    /// <summary>Beside mail, and never instead of it: what cannot be written now is written when the rule is broken again.</summary>
    private async ValueTask BanAsync(Question asked, LimitOptions rule)
    {
        // Where DNS has not said whether the client is excepted it is put off, which is over as soon as DNS answers; a ban would not be.
        if (rule.Ban <= TimeSpan.Zero || asked.Client is not { } client || asked.Unsure.Contains(rule) || _bans.Count >= BanStore.MaxBans)
            return;
        var (network, by) = (NetworkOf(client), NameOf(rule));
        // Sessions under way may go on to fail: that neither lengthens it nor is told each time.
        if (_bans.Find(client) is { } ban && (ban.SetBy == by || ban.Until >= _time.GetUtcNow() + rule.Ban))
            return;
        if (_recentlyBanned.TryGetValue((network, by), out var at) && _time.GetElapsedTime(at) < s_recent)
            return;
        // Of several mistakes that are counted at once one is enough.
        if (_recentlyBanned.Count >= MaxRecent)
            _recentlyBanned.Clear();
        _recentlyBanned[(network, by)] = _time.GetTimestamp();
        try
        {
            if (!await _store.SetByRuleAsync(network, rule.Ban, by))
                return;
            _telemetry.Banned(rule.Name);
            LogBanned(_log, network.ToString(), rule.Ban, rule.Name);
        }
        catch (StorageUnavailableException away)
        {
            _recentlyBanned.TryRemove((network, by), out _);
            LogNotBanned(_log, network.ToString(), rule.Name, away);
        }
    }

    /// <summary>The end of a ban, by its time or by an operator, begins anew: with buckets that are full. Never throws.</summary>
    private async Task FillAsync(IReadOnlyList<Ban> ended)
    {
        var drafts = new List<BucketDraft>();
        foreach (var ban in ended)
        {
            _recentlyBanned.TryRemove((ban.Network, ban.SetBy), out _);
            if (_policy.Current.Limits.FirstOrDefault(rule => NameOf(rule) == ban.SetBy) is not { } rule)
                continue;
            foreach (var kind in (string[])["", Tries])
                drafts.Add(new BucketDraft(KeyOf(rule, kind, ban.Network.ToString()), rule.Count, rule.Window, 0, -rule.Count));
        }

        try
        {
            foreach (var some in drafts.Chunk(MostFilled))
                await _buckets.DrawAsync(some);
        }
        catch (BucketsAwayException away)
        {
            Away(away);
        }
    }

    private static string NameOf(LimitOptions rule) => $"limit {rule.Name}";

    private void Away(BucketsAwayException away)
    {
        _telemetry.LimitsAway();
        if (_faults.MayWrite(0))
            LogAway(_log, away.Message);
    }

    /// <summary>What is asked at once, about the client that there is now: a proxy may name another while the answer is waited for.</summary>
    private sealed class Question(IPAddress? client)
    {
        public IPAddress? Client { get; } = client;

        public List<LimitOptions> Rules { get; } = [];

        public List<BucketDraft> Drafts { get; } = [];

        /// <summary>Rules from which the client may be excepted, for all that is known.</summary>
        public HashSet<LimitOptions> Unsure { get; } = [];
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
