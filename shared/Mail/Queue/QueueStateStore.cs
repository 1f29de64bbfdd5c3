using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>An endpoint that batches are not sent to.</summary>
/// <param name="BusRefuses">The bus takes nothing for it; else nobody consumes it.</param>
public sealed record ClosedEndpoint(string Endpoint, bool BusRefuses, DateTimeOffset Since);

/// <summary>What the processes of Queue go by that the rows of recipients do not say: settings, and which endpoints have workers.</summary>
/// <param name="InitialConcurrency">With so many batches under way a domain that can be reached is at its limit.</param>
/// <param name="WindowRecipients">So many due recipients of a domain are in memory.</param>
/// <param name="PausedSince">By a setting, which no command changes; null: it is not.</param>
/// <param name="Closed">In order of their names.</param>
public sealed record QueueState(int InitialConcurrency, int WindowRecipients, DateTimeOffset? PausedSince, IReadOnlyList<ClosedEndpoint> Closed)
{
    /// <summary>No process of Queue has said anything.</summary>
    public static readonly QueueState Unknown = new(int.MaxValue, int.MaxValue, null, []);

    /// <summary>Sites that hold up their domains now, and rates of senders that do (<see cref="SenderRate"/>).</summary>
    public IReadOnlyDictionary<string, SiteNote> LimitedSites { get; init; } = new Dictionary<string, SiteNote>();

    /// <summary>Messages that were routed since stand under search terms; null: not all do.</summary>
    public DateTimeOffset? SearchableSince { get; init; }

    /// <summary>What holds up mail that goes this way; null: nothing of a site does.</summary>
    /// <param name="site">Of the domain; empty where none is known.</param>
    public SiteNote? LimitOf(RecipientRoute route, string site) => route == RecipientRoute.Remote ? LimitedSites.GetValueOrDefault(site) : null;

    /// <summary>What the rate of its sender holds up; null: it does not.</summary>
    public SiteNote? RateOf(RecipientRoute route, string flow) =>
        route == RecipientRoute.Remote && LimitedSites.Count > 0 ? LimitedSites.GetValueOrDefault(SenderRate.Key(flow)) : null;

    /// <summary>Senders whose rate holds up mail of theirs now.</summary>
    public IEnumerable<string> PacedSenders => LimitedSites.Keys.Select(SenderRate.FlowOf).OfType<string>();

    /// <summary>Null: it has workers.</summary>
    public ClosedEndpoint? ClosedFor(RecipientRoute route, int failures)
    {
        var endpoint = ContractMapping.EndpointOf(route, isFailing: failures > 0);
        return Closed.FirstOrDefault(closed => closed.Endpoint == endpoint);
    }

    /// <summary>With one claim a domain that failed is tried by one alone.</summary>
    public bool IsLimited(int failures, long claims) => claims >= (failures > 0 ? 1 : InitialConcurrency);
}

/// <summary>
/// Tells commands what the processes of Queue go by. It is written where it has changed, by the one that looks after the queue, and is true for
/// the cluster as far as that process sees it.
/// </summary>
public sealed class QueueStateStore(MailDatabase database)
{
    private const string InitialConcurrency = "initial_concurrency";
    private const string WindowRecipients = "window_recipients";
    private const string PausedBySetting = "paused_by_setting";
    private const string Searchable = "message_search";
    private const string ClosedPrefix = "closed:";

    internal static readonly Statement s_read = new("SELECT name, value, since FROM queue_state ORDER BY name");

    private static readonly Statement s_set = new(
        """
        INSERT INTO queue_state (name, value, since) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE SET value = excluded.value, since = excluded.since
        """);

    private static readonly Statement s_remove = new("DELETE FROM queue_state WHERE name = $1");

    public async Task<QueueState> ReadAsync(CancellationToken cancellationToken) => Of(await ListAsync(cancellationToken)) with
    {
        LimitedSites = await SiteStore.ListLimitedAsync(database, cancellationToken),
    };

    /// <summary>Writes what is not as it is in storage, and since when; nothing where all is. True: something was written.</summary>
    /// <param name="state">Its times are not looked at.</param>
    public async Task<bool> UpdateAsync(QueueState state, CancellationToken cancellationToken)
    {
        var stored = (await ListAsync(cancellationToken)).ToDictionary(row => row.Name, row => row.Value, StringComparer.Ordinal);
        var wanted = Rows(state).ToDictionary(row => row.Name, row => row.Value, StringComparer.Ordinal);
        var changed = wanted.Where(row => !stored.TryGetValue(row.Key, out var value) || value != row.Value).OrderBy(row => row.Key, StringComparer.Ordinal).ToList();
        var gone = stored.Keys.Except(wanted.Keys, StringComparer.Ordinal).Order(StringComparer.Ordinal).ToList();
        if (changed.Count + gone.Count == 0)
            return false;
        var now = database.Time.GetUtcNow();
        return await database.WriteAsync(async transaction =>
        {
            foreach (var (name, value) in changed)
                await transaction.ExecuteAsync(s_set, name, value, now);
            foreach (var name in gone)
                await transaction.ExecuteAsync(s_remove, name);
            return true;
        });
    }

    private static IEnumerable<(string Name, long Value)> Rows(QueueState state)
    {
        yield return (InitialConcurrency, state.InitialConcurrency);
        yield return (WindowRecipients, state.WindowRecipients);
        if (state.PausedSince is not null)
            yield return (PausedBySetting, 1);
        if (state.SearchableSince is not null)
            yield return (Searchable, 1);
        foreach (var closed in state.Closed)
            yield return (ClosedPrefix + closed.Endpoint, closed.BusRefuses ? 1 : 0);
    }

    private static QueueState Of(List<(string Name, long Value, DateTimeOffset Since)> rows)
    {
        var state = QueueState.Unknown;
        var closed = new List<ClosedEndpoint>();
        foreach (var (name, value, since) in rows)
        {
            state = name switch
            {
                InitialConcurrency => state with { InitialConcurrency = (int)value },
                WindowRecipients => state with { WindowRecipients = (int)value },
                PausedBySetting => state with { PausedSince = since },
                Searchable => state with { SearchableSince = since },
                _ => state,
            };
            if (name.StartsWith(ClosedPrefix, StringComparison.Ordinal))
                closed.Add(new(name[ClosedPrefix.Length..], value == 1, since));
        }
        return state with { Closed = closed };
    }

    private Task<List<(string Name, long Value, DateTimeOffset Since)>> ListAsync(CancellationToken cancellationToken) =>
        database.QueryAsync(s_read, r => (r.GetString(0), r.GetInt64(1), StoredTime.Read(r, 2)), cancellationToken);
}
