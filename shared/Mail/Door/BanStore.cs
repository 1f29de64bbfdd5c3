using System.Data.Common;
using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>A client network from which nobody is served until a time.</summary>
/// <param name="SetBy">An operator, or the rule of a limit.</param>
public sealed record Ban(IPNetwork Network, DateTimeOffset Since, DateTimeOffset Until, string SetBy, string Reason);

/// <summary>Client networks that nobody serves, for all servers; each ban ends by itself.</summary>
public sealed class BanStore(MailDatabase database)
{
    /// <summary>Bans that are in force at once; rules set no more, so that a crowd of clients does not fill the list.</summary>
    public const int MaxBans = 10_000;

    private const int MostForgotten = 500;

    private const int LeastBitsIPv4 = 8;
    private const int LeastBitsIPv6 = 16;

    private const string Columns = "network, since, until_at, set_by, reason";

    private static readonly Statement s_list = new($"SELECT {Columns} FROM bans WHERE until_at > $1 ORDER BY until_at DESC, network LIMIT $2");

    private static readonly Statement s_set = new(
        """
        INSERT INTO bans (network, since, until_at, set_by, reason) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (network) DO UPDATE SET
            since = excluded.since, until_at = excluded.until_at, set_by = excluded.set_by, reason = excluded.reason
        """) { Locks = SharedRows.Bans };

    // What an operator has set stays, and so does what lasts longer.
    private static readonly Statement s_setByRule = new(
        """
        INSERT INTO bans (network, since, until_at, set_by, reason) VALUES ($1, $2, $3, $4, '')
        ON CONFLICT (network) DO UPDATE SET
            since = excluded.since, until_at = excluded.until_at, set_by = excluded.set_by, reason = excluded.reason
        WHERE bans.until_at < excluded.until_at
        """) { Locks = SharedRows.Bans };

    private static readonly Statement s_lift = new($"DELETE FROM bans WHERE network = $1 RETURNING {Columns}") { Locks = SharedRows.Bans };

    internal static readonly Statement s_expired = new("SELECT network FROM bans WHERE until_at <= $1 ORDER BY until_at LIMIT $2");

    private static readonly Statement s_forget = new("DELETE FROM bans WHERE network = $1 AND until_at <= $2") { Locks = SharedRows.Bans };

    /// <summary>
    /// A network as it is banned: an address, or so much of the Internet at most as one has by mistake (an eighth of its first octets, of IPv6
    /// the first two).
    /// </summary>
    public static bool TryParse(string typed, out IPNetwork network)
    {
        network = default;
        if (HostAddress.TryParse(typed, out var address))
        {
            network = OfAddress(HostAddress.Plain(address));
            return true;
        }

        if (!IPNetwork.TryParse(typed, out network))
            return false;
        if (network.BaseAddress.IsIPv4MappedToIPv6 && network.PrefixLength >= 96)
            network = new IPNetwork(network.BaseAddress.MapToIPv4(), network.PrefixLength - 96);
        return network.PrefixLength >= (network.BaseAddress.GetAddressBytes().Length == 4 ? LeastBitsIPv4 : LeastBitsIPv6);
    }

    /// <summary>Those in force, the longest first.</summary>
    public async Task<IReadOnlyList<Ban>> ListAsync(int limit, CancellationToken cancellation) =>
        await database.QueryAsync(s_list, Read, cancellation, database.Time.GetUtcNow(), limit);

    /// <summary>An operator bans a network, in the place of what was there.</summary>
    public async Task<Ban> SetAsync(IPNetwork network, TimeSpan time, string reason, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        var ban = new Ban(network, note.At, note.At + time, StoredText.Note(by.Name), StoredText.Note(reason));
        return await database.WriteAsync(async transaction =>
        {
            await transaction.ExecuteAsync(s_set, network.ToString(), ban.Since, ban.Until, ban.SetBy, ban.Reason);
            await note.WriteAsync(transaction, OperatorAction.BanSet, $"{network} until {ban.Until.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}");
            return ban;
        });
    }

    /// <summary>A rule bans a network. False: it is banned for as long already.</summary>
    public Task<bool> SetByRuleAsync(IPNetwork network, TimeSpan time, string rule)
    {
        var now = database.Time.GetUtcNow();
        return database.WriteAsync(async transaction =>
            await transaction.ExecuteAsync(s_setByRule, network.ToString(), now, now + time, StoredText.Note(rule)) > 0);
    }

    /// <summary>Null: it is not banned, by exactly this network.</summary>
    public async Task<Ban?> LiftAsync(IPNetwork network, OperatorIdentity by)
    {
        var note = await AuditNote.BeginAsync(database, by);
        return await database.WriteAsync(async transaction =>
        {
            var lifted = (await transaction.QueryAsync(s_lift, Read, network.ToString())).Find(ban => ban.Until > note.At);
            if (lifted is not null)
                await note.WriteAsync(transaction, OperatorAction.BanLifted, network.ToString());
            return lifted;
        });
    }

    /// <summary>Forgets those that have ended, a bounded number. Returns how many.</summary>
    public async Task<int> ForgetAsync(CancellationToken cancellation)
    {
        var now = database.Time.GetUtcNow();
        var ended = await database.QueryAsync(s_expired, r => r.GetString(0), cancellation, now, MostForgotten);
        if (ended.Count == 0)
            return 0;
        return await database.WriteAsync(async transaction =>
        {
            var forgotten = 0;
            foreach (var one in ended.Select(network => transaction.ExecuteAsync(s_forget, network, now)).ToList())
                forgotten += await one;
            return forgotten;
        });
    }

    private static IPNetwork OfAddress(IPAddress address) => new(address, address.GetAddressBytes().Length * 8);

    private static Ban Read(DbDataReader r) =>
        new(IPNetwork.Parse(r.GetString(0)), StoredTime.Read(r, 1), StoredTime.Read(r, 2), r.GetString(3), r.GetString(4));
}
