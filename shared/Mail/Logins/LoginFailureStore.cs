using System.Net;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>How often a name failed in a network lately, in all processes together.</summary>
internal readonly record struct SharedFailures(int Failures, DateTimeOffset At);

/// <summary>
/// Failed logins as all processes of one store count them, so that a pause holds wherever the next guess comes. A login that is right writes
/// nothing, unless others failed before it. Neither names nor networks stand in it, but digests of both under a key of the store: who
/// mistypes may have written his password where the name goes.
/// </summary>
public sealed class LoginFailureStore(MailDatabase database, SecretStore secrets)
{
    private const string KeyName = "login-failures";
    private const int MostForgotten = 10_000;

    /// <summary>So often that many in one sweep: with one a minute, as many as eighty processes can add (<see cref="SharedLoginHistory"/>).</summary>
    private const int MostPieces = 50;

    private static readonly Statement s_find = new("SELECT who, failures, failed_at FROM login_failures WHERE who IN ($1, $2)");

    private static readonly Statement s_add = new(
        """
        INSERT INTO login_failures (who, failures, failed_at) VALUES ($1, $2, $3) ON CONFLICT (who) DO UPDATE SET
            failures = $2 + CASE WHEN login_failures.failed_at > $4 THEN login_failures.failures ELSE 0 END, failed_at = $3
        """)
    {
        Locks = SharedRows.LoginFailures,
    };

    private static readonly Statement s_forget = new("DELETE FROM login_failures WHERE who = $1") { Locks = SharedRows.LoginFailures };

    private static readonly Statement s_old = new("SELECT who FROM login_failures WHERE failed_at < $1 ORDER BY failed_at LIMIT $2");

    private byte[]? _key;

    /// <summary>What others know of the name, by network; nothing of those where it has not failed within the time that is remembered.</summary>
    /// <param name="networks">One or two.</param>
    internal async Task<IReadOnlyDictionary<IPNetwork, SharedFailures>> FindAsync(string name, IReadOnlyList<IPNetwork> networks)
    {
        var keys = await KeysAsync(name, networks);
        var after = database.Time.GetUtcNow() - LoginHistory.Remembered;
        var found = new Dictionary<IPNetwork, SharedFailures>();
        foreach (var (who, failures, at) in await database.QueryAsync(
            s_find, r => (r.GetString(0), r.GetInt64(1), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(2))), CancellationToken.None, keys[0], keys[^1]))
        {
            if (at > after)
                found[networks[Array.IndexOf(keys, who)]] = new SharedFailures((int)Math.Min(failures, int.MaxValue), at);
        }

        return found;
    }

    /// <summary>It has failed there so often since this was called last.</summary>
    internal async Task AddAsync(string name, IReadOnlyList<(IPNetwork Network, int Failures)> failures)
    {
        var keys = await KeysAsync(name, [.. failures.Select(some => some.Network)]);
        var now = database.Time.GetUtcNow();
        await database.WriteAsync(async transaction =>
        {
            // One row after the other, in their order: all at once, as whoever shares this transaction asks for them.
            var added = Enumerable.Range(0, keys.Length).OrderBy(i => keys[i], StringComparer.Ordinal)
                .Select(i => transaction.ExecuteAsync(s_add, keys[i], failures[i].Failures, now, now - LoginHistory.Remembered)).ToList();
            foreach (var row in added)
                await row;
            return added.Count;
        });
    }

    /// <summary>It has logged in there.</summary>
    internal async Task ForgetAsync(string name, IPNetwork network)
    {
        var key = (await KeysAsync(name, [network]))[0];
        await database.WriteAsync(transaction => transaction.ExecuteAsync(s_forget, key));
    }

    /// <summary>Removes what nobody remembers any more, a bounded number at a time. Returns how many there were.</summary>
    public async Task<int> ForgetOldAsync()
    {
        var forgotten = 0;
        for (var piece = 0; piece < MostPieces; piece++)
        {
            var old = await database.QueryAsync(
                s_old, r => r.GetString(0), CancellationToken.None, database.Time.GetUtcNow() - LoginHistory.Remembered, MostForgotten);
            forgotten += await ForgetAsync(old);
            if (old.Count < MostForgotten)
                break;
        }

        return forgotten;
    }

    private async Task<int> ForgetAsync(List<string> old)
    {
        var forgotten = 0;
        // Few at a time, as others wait for the commit; one that has failed again meanwhile is counted from there.
        foreach (var some in old.Chunk(100))
        {
            forgotten += await database.WriteAsync(async transaction =>
            {
                var gone = some.Order(StringComparer.Ordinal).Select(who => transaction.ExecuteAsync(s_forget, who)).ToList();
                var count = 0;
                foreach (var row in gone)
                    count += await row;
                return count;
            });
        }

        return forgotten;
    }

    private async Task<string[]> KeysAsync(string name, IReadOnlyList<IPNetwork> networks)
    {
        var key = _key ??= await secrets.GetKeyAsync(KeyName, CancellationToken.None);
        return [.. networks.Select(network => Convert.ToHexString(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{name}\0{network}"))))];
    }
}
