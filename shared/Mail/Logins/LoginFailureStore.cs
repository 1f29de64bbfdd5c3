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

    private static readonly Statement s_find = new("SELECT who, failures, failed_at FROM login_failures WHERE who IN ($1, $2, $3, $4)");

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

    /// <summary>What others know of names in networks; nothing of those that have not failed there within the time that is remembered.</summary>
    /// <param name="counters">One to four.</param>
    internal async Task<IReadOnlyDictionary<(string Name, IPNetwork Network), SharedFailures>> FindAsync(IReadOnlyList<(string Name, IPNetwork Network)> counters)
    {
        var keys = await KeysAsync(counters);
        var after = database.Time.GetUtcNow() - LoginHistory.Remembered;
        var found = new Dictionary<(string, IPNetwork), SharedFailures>();
        string Key(int number) => keys[Math.Min(number, keys.Length - 1)];
        foreach (var (who, failures, at) in await database.QueryAsync(
            s_find, r => (r.GetString(0), r.GetInt64(1), DateTimeOffset.FromUnixTimeMilliseconds(r.GetInt64(2))), CancellationToken.None, keys[0], Key(1), Key(2), Key(3)))
        {
            if (at > after)
                found[counters[Array.IndexOf(keys, who)]] = new SharedFailures((int)Math.Min(failures, int.MaxValue), at);
        }

        return found;
    }

    /// <summary>Names have failed there so often since this was called last.</summary>
    internal async Task AddAsync(IReadOnlyList<UntoldFailures> failures)
    {
        var keys = await KeysAsync([.. failures.Select(some => (some.Name, some.Network))]);
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
        var key = (await KeysAsync([(name, network)]))[0];
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

    private async Task<string[]> KeysAsync(IReadOnlyList<(string Name, IPNetwork Network)> counters)
    {
        var key = _key ??= await secrets.GetKeyAsync(KeyName, CancellationToken.None);
        return [.. counters.Select(counter => Convert.ToHexString(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{counter.Name}\0{counter.Network}"))))];
    }
}
