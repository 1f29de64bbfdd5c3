using System.Collections.Concurrent;
using MailPipeline.Dns;
using MailPipeline.Mail;
using MailPipeline.MtaSts;
using MailPipeline.Storage;

namespace MailPipeline.Delivery.Tls;

/// <summary>Where policies are kept for all processes.</summary>
internal interface IStsPolicyShelf
{
    Task<StoredStsPolicy?> FindAsync(string domain);

    Task SaveAsync(StoredStsPolicy policy);

    /// <summary>Mail is sent by it.</summary>
    Task UseAsync(string domain, DateTimeOffset now);

    /// <summary>Those that it is time to fetch anew, at most so many.</summary>
    Task<IReadOnlyList<StoredStsPolicy>> ListDueAsync(DateTimeOffset now, DateTimeOffset usedSince, int most);

    /// <summary>False: another process fetches it.</summary>
    Task<bool> TakeAsync(StoredStsPolicy due, DateTimeOffset nextAt);

    /// <summary>Forgets those that expired before.</summary>
    Task ForgetExpiredAsync(DateTimeOffset before);
}

/// <summary>
/// The MTA-STS policy of a domain (RFC 8461): what was fetched holds until it expires, whatever DNS or the policy's host say meanwhile; a new id in the TXT
/// record has it fetched anew before mail is sent, and a fetch that fails leaves what is there. Those that mail is sent by are fetched anew long before they
/// expire (<see cref="RefreshAsync"/>).
/// </summary>
internal sealed class StsPolicies(
    DnsCache dns, IStsPolicyShelf shelf, StsFetch fetch, TlsResults results, DeliveryTelemetry telemetry, TimeProvider time, ILogger<StsPolicies> log)
{
    /// <summary>Domains that something is remembered of; what is forgotten is read again.</summary>
    internal const int MostRemembered = 20_000;

    /// <summary>RFC 8461 §3.3: how soon a fetch that failed may be repeated.</summary>
    internal static readonly TimeSpan FailurePause = TimeSpan.FromMinutes(5);

    /// <summary>What nobody has sent mail by for so long is not fetched any more.</summary>
    internal static readonly TimeSpan Unused = TimeSpan.FromDays(30);

    // A policy is fetched anew once a day, or at half of its time where that is shorter (RFC 8461 §10.2).
    private static readonly TimeSpan s_latestRefresh = TimeSpan.FromDays(1);
    private static readonly TimeSpan s_soonestRefresh = TimeSpan.FromHours(1);

    /// <summary>So long what was read from storage stands, which others may have changed.</summary>
    private static readonly TimeSpan s_reread = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan s_useNoted = TimeSpan.FromDays(1);

    private readonly ConcurrentDictionary<string, Known> _known = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Null: the domain has none, or none that was ever to be had.</summary>
    /// <param name="domain">As DNS has it.</param>
    public async Task<StsPolicy?> FindAsync(string domain)
    {
        var known = Remember(domain);
        var asked = dns.TxtAsync($"_mta-sts.{domain}");
        await RecallAsync(domain, known);
        var answer = await asked;
        // RFC 8461 §3.1, §5: no record, or none that can be had, ends no policy that is there.
        var id = answer.Status == DnsStatus.Found ? StsRecord.IdIn(answer.Records.Select(record => record.Text)) : null;
        if (id is not null && (known.Current(time.GetUtcNow()) is not { } current || current.Id != id))
            await (known.FetchOnce(id, () => FetchAsync(domain, known, id, time.GetUtcNow()), time) ?? Task.CompletedTask);
        var policy = known.Current(time.GetUtcNow());
        if (policy is not null)
            await NoteUseAsync(domain, known);
        return policy is { Mode: not StsMode.None } ? policy : null;
    }

    /// <summary>Fetches anew what it is time for, each by one process; returns how many.</summary>
    public async Task<int> RefreshAsync(int most)
    {
        var now = time.GetUtcNow();
        var refreshed = 0;
        foreach (var due in await shelf.ListDueAsync(now, now - Unused, most))
        {
            // Whoever dies over it has it tried again soon.
            if (!await shelf.TakeAsync(due, now + TimeSpan.FromHours(1)))
                continue;
            var answer = await dns.TxtAsync($"_mta-sts.{due.Domain}");
            var id = answer.Status == DnsStatus.Found ? StsRecord.IdIn(answer.Records.Select(record => record.Text)) : null;
            refreshed++;
            await FetchAsync(due.Domain, Remember(due.Domain), id ?? due.RecordId, due.UsedAt);
        }

        await shelf.ForgetExpiredAsync(now);
        return refreshed;
    }

    private Known Remember(string domain)
    {
        if (_known.Count >= MostRemembered && !_known.ContainsKey(domain))
            _known.Clear();
        return _known.GetOrAdd(domain, _ => new Known());
    }

    private async Task RecallAsync(string domain, Known known)
    {
        if (known.IsFresh(time, s_reread))
            return;
        try
        {
            var stored = await shelf.FindAsync(domain);
            known.Read(stored is not null && StsPolicy.TryParse(stored.Text, stored.RecordId, out var policy, out _) ? policy : null, stored, time);
        }
        catch (StorageUnavailableException away)
        {
            // What is remembered holds; a domain of which nothing is remembered is as one that is new.
            log.PoliciesAway(away, domain);
        }
    }

    /// <summary>Fetches a policy and keeps it for all processes. Where that fails, what is known stays.</summary>
    private async Task FetchAsync(string domain, Known known, string id, DateTimeOffset usedAt)
    {
        var (policy, result, error, _) = await fetch.FetchAsync(domain, id);
        telemetry.PolicyFetched(policy is null ? result : "ok");
        if (policy is null)
        {
            log.PolicyNotFetched(domain, error);
            results.NotePolicy(domain, result);
            known.Failed(id, time);
            return;
        }

        var now = time.GetUtcNow();
        var stored = new StoredStsPolicy(domain, id, policy.Text, now, now + policy.MaxAge, now + RefreshAfter(policy.MaxAge), usedAt);
        log.PolicyFetched(domain, policy.Mode.ToString().ToLowerInvariant(), id);
        var isKept = true;
        try
        {
            await shelf.SaveAsync(stored);
        }
        catch (StorageUnavailableException away)
        {
            isKept = false;
            log.PoliciesAway(away, domain);
        }

        known.Fetched(policy, stored, isKept);
    }

    private static TimeSpan RefreshAfter(TimeSpan maxAge)
    {
        var half = maxAge / 2;
        return half < s_soonestRefresh ? s_soonestRefresh : half > s_latestRefresh ? s_latestRefresh : half;
    }

    private async Task NoteUseAsync(string domain, Known known)
    {
        var now = time.GetUtcNow();
        if (!known.IsUseToBeNoted(now, s_useNoted))
            return;
        try
        {
            await shelf.UseAsync(domain, now);
        }
        catch (StorageUnavailableException away)
        {
            log.PoliciesAway(away, domain);
        }
    }

    /// <summary>What is remembered of a domain.</summary>
    private sealed class Known
    {
        private readonly Lock _lock = new();
        private StsPolicy? _policy;
        private DateTimeOffset _fetchedAt;
        private DateTimeOffset _expiresAt;
        private DateTimeOffset _usedAt;
        private bool _isKept;
        private long _readAt;
        private string? _failedId;
        private long _failedAt;
        private Task? _fetching;

        public StsPolicy? Current(DateTimeOffset now)
        {
            lock (_lock)
                return _expiresAt > now ? _policy : null;
        }

        public bool IsFresh(TimeProvider time, TimeSpan age)
        {
            lock (_lock)
                return _readAt != 0 && time.GetElapsedTime(_readAt) < age;
        }

        /// <summary>What storage has; what this process has fetched since, or could not keep there, stands.</summary>
        public void Read(StsPolicy? policy, StoredStsPolicy? stored, TimeProvider time)
        {
            lock (_lock)
            {
                _readAt = time.GetTimestamp();
                if (stored is null ? _policy is not null && !_isKept : stored.FetchedAt < _fetchedAt)
                    return;
                Set(policy, stored, isKept: true);
            }
        }

        public void Fetched(StsPolicy policy, StoredStsPolicy stored, bool isKept)
        {
            lock (_lock)
                Set(policy, stored, isKept);
        }

        /// <summary>The fetch that is under way, or one that begins; null: one with this id failed a moment ago.</summary>
        public Task? FetchOnce(string id, Func<Task> fetchAsync, TimeProvider time)
        {
            lock (_lock)
            {
                if (_fetching is { IsCompleted: false })
                    return _fetching;
                if (_failedId == id && time.GetElapsedTime(_failedAt) < FailurePause)
                    return null;
                // Not under the lock: whatever it does at once would be.
                return _fetching = Task.Run(fetchAsync);
            }
        }

        public void Failed(string id, TimeProvider time)
        {
            lock (_lock)
                (_failedId, _failedAt) = (id, time.GetTimestamp());
        }

        public bool IsUseToBeNoted(DateTimeOffset now, TimeSpan interval)
        {
            lock (_lock)
            {
                if (now - _usedAt < interval)
                    return false;
                _usedAt = now;
                return true;
            }
        }

        private void Set(StsPolicy? policy, StoredStsPolicy? stored, bool isKept)
        {
            (_policy, _isKept) = (policy, isKept);
            (_fetchedAt, _expiresAt) = (stored?.FetchedAt ?? default, stored?.ExpiresAt ?? default);
            _usedAt = stored?.UsedAt > _usedAt ? stored.UsedAt : _usedAt;
        }
    }
}

/// <summary>Policies in the store that all processes share.</summary>
internal sealed class StoredStsPolicies(StsPolicyStore store) : IStsPolicyShelf
{
    private const int MostForgotten = 1000;

    public Task<StoredStsPolicy?> FindAsync(string domain) => store.FindAsync(domain, CancellationToken.None);

    public Task SaveAsync(StoredStsPolicy policy) => store.SaveAsync(policy);

    public Task UseAsync(string domain, DateTimeOffset now) => store.UseAsync(domain, now);

    public async Task<IReadOnlyList<StoredStsPolicy>> ListDueAsync(DateTimeOffset now, DateTimeOffset usedSince, int most) =>
        await store.ListDueAsync(now, usedSince, most, CancellationToken.None);

    public Task<bool> TakeAsync(StoredStsPolicy due, DateTimeOffset nextAt) => store.TakeAsync(due, nextAt);

    public Task ForgetExpiredAsync(DateTimeOffset before) => store.ForgetExpiredAsync(before, MostForgotten, CancellationToken.None);
}
