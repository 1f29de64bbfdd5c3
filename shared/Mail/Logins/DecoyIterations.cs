using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Sasl;

namespace MailPipeline.Mail;

/// <summary>
/// How many iterations the keys for SCRAM have that a name is given which has none: one of the numbers that accounts have, and each as often, so that
/// it tells nothing of a name. While accounts get a new number, login by login, such names get it as well, one after the other.
/// </summary>
/// <param name="current">The number that new keys get; where no account has keys it is that of all names.</param>
internal sealed class DecoyIterations(MailDirectory directory, int current, TimeProvider time)
{
    /// <summary>All accounts are looked at, which is not to be done for each login.</summary>
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private Task<IReadOnlyList<(int Iterations, long Accounts)>>? _known;
    private long _readAt;

    /// <summary>To be asked before it is known whether the name has keys, so that no name waits longer than another.</summary>
    /// <param name="secret">Known to nobody else.</param>
    public async ValueTask<int> OfAsync(byte[] secret, string name)
    {
        var known = await KnownAsync();
        var place = BinaryPrimitives.ReadUInt64BigEndian(HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes($"iterations\0{name}")));
        // The share of the current number comes first: as it grows, a name comes into it and goes no more.
        var rest = (long)((UInt128)place * (ulong)known.Sum(some => some.Accounts) >> 64);
        foreach (var (iterations, accounts) in known)
        {
            if (rest < accounts)
                return iterations;
            rest -= accounts;
        }

        return current == 0 ? ScramKeys.LeastIterations : current;
    }

    private Task<IReadOnlyList<(int Iterations, long Accounts)>> KnownAsync()
    {
        lock (_gate)
        {
            if (_known is null or { IsFaulted: true } || (_known.IsCompleted && time.GetElapsedTime(_readAt) >= s_interval))
                (_known, _readAt) = (ReadAsync(), time.GetTimestamp());
            return _known;
        }
    }

    private async Task<IReadOnlyList<(int Iterations, long Accounts)>> ReadAsync() =>
    [
        .. (await directory.CountScramIterationsAsync(CancellationToken.None))
            .OrderByDescending(some => some.Iterations == current).ThenByDescending(some => some.Iterations),
    ];
}
