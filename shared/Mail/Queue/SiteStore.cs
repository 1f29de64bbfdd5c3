using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What storage remembers of a site while nobody has it in memory.</summary>
/// <param name="Failures">Rests in a row that began because its hosts could not be reached, or asked to be left alone.</param>
/// <param name="RestUntil">No attempt before this time, for whichever domain.</param>
/// <param name="Reason">Why, in one line.</param>
public sealed record StoredSite(int Failures, DateTimeOffset RestUntil, string Reason)
{
    public static readonly StoredSite None = new(0, DateTimeOffset.UnixEpoch, "");
}

/// <summary>By what the permits of a site count.</summary>
/// <param name="IsAfterOthers">Somebody gave some out before, and has not said that he has ended.</param>
/// <param name="IsNew">Nobody has left anything there before.</param>
public readonly record struct SiteTakeover(long Epoch, bool IsAfterOthers, bool IsNew);

/// <summary>A batch that a worker holds a claim for.</summary>
public sealed record HeldBatch(long BatchId, string Domain, int Recipients);

/// <summary>What holds domains of a site up, for people.</summary>
/// <param name="Connections">So many are allowed now.</param>
/// <param name="Held">So many there are.</param>
/// <param name="Waiting">Domains that wait for one.</param>
/// <param name="HoldUp">What they wait for.</param>
public sealed record SiteNote(int Connections, int Held, int Waiting, SiteHoldUp HoldUp);

/// <summary>
/// The names under which rates of senders are kept beside sites: the rows are the same, and so is who gives out permits. No host has a space in
/// its name.
/// </summary>
public static class SenderRate
{
    private const string Prefix = "sender ";

    /// <param name="flow">See <see cref="FlowKey"/>.</param>
    public static string Key(string flow) => Prefix + flow;

    /// <summary>Null: the name is that of a site.</summary>
    public static string? FlowOf(string key) => key.StartsWith(Prefix, StringComparison.Ordinal) ? key[Prefix.Length..] : null;
}

/// <summary>What holds up mail for a site. The words are stored; they never change meaning.</summary>
public enum SiteHoldUp
{
    None,

    /// <summary>As many connections are open as are allowed.</summary>
    Connections,

    /// <summary>As many messages have been sent lately as are allowed.</summary>
    Rate,
}

/// <summary>Rows of sites: their rests, what limits them, and whose permits count where there is a limit.</summary>
public sealed class SiteStore(MailDatabase database)
{
    private static readonly Statement s_find = new("SELECT failures, rest_until, reason FROM sites WHERE site = $1");

    private const string Empty = "VALUES ($1, 0, 0, 0, '', 0, 0, 0, '', 0)";

    private const string Columns = "site, epoch, failures, rest_until, reason, connections, held, waiting, limited_by, noted_at";

    // Whoever wins a claim by an epoch shares the row until he has committed.
    private static readonly Statement s_lock = new("SELECT epoch FROM sites WHERE site = $1 {for_update}") { Locks = SharedRows.Sites };

    private static readonly Statement s_make = new($"INSERT INTO sites ({Columns}) {Empty} ON CONFLICT (site) DO NOTHING") { Locks = SharedRows.Sites };

    private static readonly Statement s_setEpoch = new("UPDATE sites SET epoch = $2 WHERE site = $1") { Locks = SharedRows.Sites };

    private static readonly Statement s_endEpoch = new("UPDATE sites SET epoch = 0 WHERE site = $1 AND epoch = $2") { Locks = SharedRows.Sites };

    private static readonly Statement s_setRest = new("UPDATE sites SET failures = $2, rest_until = $3, reason = $4 WHERE site = $1") { Locks = SharedRows.Sites };

    private static readonly Statement s_note = new(
        "UPDATE sites SET connections = $2, held = $3, waiting = $4, limited_by = $5, noted_at = $6 WHERE site = $1") { Locks = SharedRows.Sites };

    private static readonly Statement s_endRest = new(
        "UPDATE sites SET rest_until = $2 WHERE site = (SELECT site FROM domain_queues WHERE domain = $1) AND rest_until > $2");

    private static readonly Statement s_forget = new(
        "DELETE FROM sites WHERE site = $1 AND epoch = 0 AND failures = 0 AND limited_by = ''") { Locks = SharedRows.Sites };

    // As long as somebody has the site in memory, he says it again every few seconds.
    private static readonly Statement s_limited = new(
        "SELECT site, connections, held, waiting, limited_by FROM sites WHERE limited_by <> '' AND noted_at > $1 ORDER BY waiting DESC, site LIMIT $2");

    private static readonly TimeSpan s_noteCounts = TimeSpan.FromSeconds(30);

    private const int MostLimited = 10_000;

    private static readonly Statement s_held = new("SELECT batch, domain, recipients FROM claims WHERE site = $1 AND batch <> 0");

    private static readonly Statement s_heldOfSender = new("SELECT batch, domain, recipients FROM claims WHERE sender = $1 AND batch <> 0");

    /// <summary>Sites that hold up somebody now, as far as is known.</summary>
    internal static async Task<IReadOnlyDictionary<string, SiteNote>> ListLimitedAsync(MailDatabase database, CancellationToken cancellationToken) =>
        (await database.QueryAsync(
            s_limited, r => (Site: r.GetString(0), Note: new SiteNote(r.GetInt32(1), r.GetInt32(2), r.GetInt32(3), HoldUpOf(r.GetString(4)))), cancellationToken,
            database.Time.GetUtcNow() - s_noteCounts, MostLimited)).ToDictionary(row => row.Site, row => row.Note, StringComparer.Ordinal);

    public async Task<StoredSite> FindAsync(string site, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            s_find, r => new StoredSite(r.GetInt32(0), StoredTime.Read(r, 1), r.GetString(2)), cancellationToken, StoredText.Note(site)) is [var found]
            ? found : StoredSite.None;

    /// <summary>
    /// From now on permits of this site count that the caller gives out, and no others: a worker that holds one of somebody else wins no claim
    /// by it.
    /// </summary>
    public async Task<SiteTakeover> TakeOverAsync(string site)
    {
        var epoch = await database.ClaimIds.NextAsync(CancellationToken.None);
        var key = StoredText.Note(site);
        var (former, isNew) = (0L, false);
        await database.WriteAsync(async transaction =>
        {
            isNew = await transaction.ExecuteAsync(s_make, key) == 1;
            former = (await transaction.QueryAsync(s_lock, r => r.GetInt64(0), key))[0];
            return await transaction.ExecuteAsync(s_setEpoch, key, epoch);
        });
        return new SiteTakeover(epoch, IsAfterOthers: former != 0, isNew);
    }

    /// <summary>All batches for the site, or by permits of the sender's rate, that workers hold a claim for; after <see cref="TakeOverAsync"/> there are no others.</summary>
    public async Task<IReadOnlyList<HeldBatch>> ListHeldAsync(string site, CancellationToken cancellationToken) =>
        await database.QueryAsync(
            SenderRate.FlowOf(site) is null ? s_held : s_heldOfSender, r => new HeldBatch(r.GetInt64(0), r.GetString(1), r.GetString(2).Count(','.Equals) + 1), cancellationToken, StoredText.Note(site));

    public Task SetRestAsync(string site, StoredSite rest) => ChangeAsync(site, (transaction, key) =>
        transaction.ExecuteAsync(s_setRest, key, rest.Failures, rest.RestUntil, StoredText.Note(rest.Reason)));

    public Task NoteAsync(string site, SiteNote note) => ChangeAsync(site, (transaction, key) =>
        transaction.ExecuteAsync(s_note, key, note.Connections, note.Held, note.Waiting, Word(note.HoldUp), database.Time.GetUtcNow()));

    /// <summary>The rest of the site that this domain is of lasts no longer than until then.</summary>
    public Task EndRestAsync(string domain, DateTimeOffset until) =>
        database.WriteAsync(transaction => transaction.ExecuteAsync(s_endRest, domain, until));

    /// <summary>The row goes, unless it says something, or permits count by another epoch meanwhile.</summary>
    /// <param name="epoch">By which permits have counted, none of which is out any more; 0: by none.</param>
    public Task ForgetAsync(string site, long epoch)
    {
        var key = StoredText.Note(site);
        return database.WriteAsync(async transaction =>
        {
            if (epoch != 0)
                await transaction.ExecuteAsync(s_endEpoch, key, epoch);
            return await transaction.ExecuteAsync(s_forget, key);
        });
    }

    private static string Word(SiteHoldUp holdUp) => holdUp switch { SiteHoldUp.Connections => "connections", SiteHoldUp.Rate => "rate", _ => "" };

    private static SiteHoldUp HoldUpOf(string word) => word switch { "connections" => SiteHoldUp.Connections, "rate" => SiteHoldUp.Rate, _ => SiteHoldUp.None };

    private Task<int> ChangeAsync(string site, Func<IWriteTransaction, string, ValueTask<int>> change)
    {
        var key = StoredText.Note(site);
        return database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_make, key);
            return await change(transaction, key);
        });
    }
}
