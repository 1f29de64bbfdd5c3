using System.Data.Common;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Client network, sender and recipient that were seen together (RFC 6647 §2.1).</summary>
/// <param name="Passes">How often they came back in time.</param>
/// <param name="ExpiresAt">From then on it is as if they had never been seen.</param>
public sealed record GreylistEntry(DateTimeOffset FirstAt, long Passes, DateTimeOffset ExpiresAt);

/// <summary>A client network from which triplets came back in time.</summary>
public sealed record GreylistNetwork(long Passes, DateTimeOffset ExpiresAt);

/// <summary>
/// Whom servers have seen, for all of them: who was put off at one may come back at another. Of a triplet only a digest is kept; how long
/// whatever is kept counts, who puts it in says.
/// </summary>
public sealed class GreylistStore(MailDatabase database)
{
    private const int MostForgotten = 500;

    private static readonly Statement s_find = new("SELECT first_at, passes, expires_at FROM greylist WHERE triplet = $1");

    private static readonly Statement s_findNetwork = new("SELECT passes, expires_at FROM greylist_networks WHERE network = $1");

    private static readonly Statement s_see = new(
        """
        INSERT INTO greylist (triplet, first_at, passes, expires_at) VALUES ($1, $2, 0, $3)
        ON CONFLICT (triplet) DO UPDATE SET
            first_at = CASE WHEN greylist.expires_at <= $2 THEN excluded.first_at ELSE greylist.first_at END,
            passes = CASE WHEN greylist.expires_at <= $2 THEN 0 ELSE greylist.passes END,
            expires_at = CASE WHEN greylist.expires_at <= $2 THEN excluded.expires_at ELSE greylist.expires_at END
        RETURNING first_at, passes, expires_at
        """) { Locks = SharedRows.Greylist };

    private static readonly Statement s_pass = new(
        "UPDATE greylist SET passes = passes + 1, expires_at = $2 WHERE triplet = $1") { Locks = SharedRows.Greylist };

    // Another server may have let it pass in the meantime: it came back once.
    private static readonly Statement s_passFirst = new(
        "UPDATE greylist SET passes = 1, expires_at = $2 WHERE triplet = $1 AND passes = 0") { Locks = SharedRows.Greylist };

    private static readonly Statement s_count = new("SELECT COUNT(*) FROM (SELECT 1 FROM greylist LIMIT $1) AS kept");

    private static readonly Statement s_passNetwork = new(
        """
        INSERT INTO greylist_networks (network, passes, expires_at) VALUES ($1, 1, $2)
        ON CONFLICT (network) DO UPDATE SET
            passes = CASE WHEN greylist_networks.expires_at <= $3 THEN 1 ELSE greylist_networks.passes + 1 END, expires_at = excluded.expires_at
        """) { Locks = SharedRows.GreylistNetworks };

    private static readonly Statement s_keepNetwork = new(
        "UPDATE greylist_networks SET expires_at = $2 WHERE network = $1") { Locks = SharedRows.GreylistNetworks };

    internal static readonly Statement s_expired = new("SELECT triplet FROM greylist WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");

    internal static readonly Statement s_expiredNetworks = new(
        "SELECT network FROM greylist_networks WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2");

    // It may have been seen anew since.
    private static readonly Statement s_forget = new(
        "DELETE FROM greylist WHERE triplet = $1 AND expires_at <= $2") { Locks = SharedRows.Greylist };

    private static readonly Statement s_forgetNetwork = new(
        "DELETE FROM greylist_networks WHERE network = $1 AND expires_at <= $2") { Locks = SharedRows.GreylistNetworks };

    /// <summary>By which the triplet is kept.</summary>
    /// <param name="sender">Empty for the null path.</param>
    public static string KeyOf(string network, string sender, string recipient) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{network}\n{sender}\n{recipient}")).AsSpan(0, 20));

    /// <summary>Null: it was not seen, or is no longer known.</summary>
    public async Task<GreylistEntry?> FindAsync(string triplet, CancellationToken cancellation) =>
        (await database.QueryAsync(s_find, Read, cancellation, triplet)).Find(entry => entry.ExpiresAt > database.Time.GetUtcNow());

    /// <summary>Null: nothing from there came back in time, or not for long.</summary>
    public async Task<GreylistNetwork?> FindNetworkAsync(string network, CancellationToken cancellation) =>
        (await database.QueryAsync(s_findNetwork, r => new GreylistNetwork(r.GetInt64(0), StoredTime.Read(r, 1)), cancellation, network))
            .Find(entry => entry.ExpiresAt > database.Time.GetUtcNow());

    /// <summary>So many triplets are kept, those that are no longer known among them; not more than are asked for are counted.</summary>
    public async Task<long> CountAsync(int most, CancellationToken cancellation) =>
        (await database.QueryAsync(s_count, r => r.GetInt64(0), cancellation, most))[0];

    /// <summary>It is seen, now or already: returns what is kept of it. Two servers that see it at once keep one.</summary>
    /// <param name="keepFor">Where it was not seen before, or is no longer known.</param>
    public async Task<GreylistEntry> SeeAsync(string triplet, TimeSpan keepFor)
    {
        var now = database.Time.GetUtcNow();
        return await database.WriteAsync(async transaction => (await transaction.QueryAsync(s_see, Read, triplet, now, now + keepFor))[0]);
    }

    /// <summary>It came back in time, and is kept for so long from now on.</summary>
    /// <param name="network">Counts it as well, unless it has come back before; null where that is known.</param>
    public async Task PassAsync(string triplet, string? network, TimeSpan keepFor)
    {
        var now = database.Time.GetUtcNow();
        await database.WriteAsync(async transaction =>
        {
            var changed = await transaction.ExecuteAsync(network is null ? s_pass : s_passFirst, triplet, now + keepFor);
            if (network is not null && changed > 0)
                await transaction.ExecuteAsync(s_passNetwork, network, now + keepFor, now);
            return changed;
        });
    }

    /// <summary>The network is kept for so long from now on.</summary>
    public Task KeepNetworkAsync(string network, TimeSpan keepFor)
    {
        var until = database.Time.GetUtcNow() + keepFor;
        return database.WriteAsync(transaction => transaction.ExecuteAsync(s_keepNetwork, network, until));
    }

    /// <summary>Forgets what is no longer known, a bounded number. Returns how many; less than that bound: there are no more.</summary>
    public async Task<int> ForgetAsync(CancellationToken cancellation)
    {
        var now = database.Time.GetUtcNow();
        return await ForgetAsync(s_expired, s_forget, now, cancellation) + await ForgetAsync(s_expiredNetworks, s_forgetNetwork, now, cancellation);
    }

    /// <summary>So many at least, and there may be more.</summary>
    public static bool MayHaveMore(int forgotten) => forgotten >= MostForgotten;

    private async Task<int> ForgetAsync(Statement list, Statement forget, DateTimeOffset now, CancellationToken cancellation)
    {
        var expired = await database.QueryAsync(list, r => r.GetString(0), cancellation, now, MostForgotten);
        if (expired.Count > 0)
        {
            await database.WriteAsync(async transaction =>
            {
                var forgotten = 0;
                // Asked for at once, so that they are come to in the order of their keys, as others come to them.
                foreach (var one in expired.Select(key => transaction.ExecuteAsync(forget, key, now)).ToList())
                    forgotten += await one;
                return forgotten;
            });
        }

        return expired.Count;
    }

    private static GreylistEntry Read(DbDataReader r) => new(StoredTime.Read(r, 0), r.GetInt64(1), StoredTime.Read(r, 2));
}
