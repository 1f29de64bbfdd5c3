using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace MailPipeline.Mail;

/// <summary>
/// Logins that went well lately, each for as long as what is stored of the password stays the same, and for a while that begins anew
/// whenever it is asked for. In memory alone, and bounded: beyond the most, all are forgotten.
/// </summary>
internal sealed class RememberedLogins(TimeSpan rememberedFor, int most, TimeProvider time)
{
    private readonly ConcurrentDictionary<long, (StoredPassword Stored, byte[] Digest, long At)> _known = [];

    /// <param name="digest">Of what the client gave, under a key of this process.</param>
    public void Add(long accountId, StoredPassword stored, byte[] digest)
    {
        if (rememberedFor == TimeSpan.Zero)
            return;
        if (_known.Count >= most)
            _known.Clear();
        _known[accountId] = (stored, digest, time.GetTimestamp());
    }

    public bool Has(long accountId, StoredPassword stored, byte[] digest)
    {
        if (!_known.TryGetValue(accountId, out var known)
            || known.Stored != stored
            || time.GetElapsedTime(known.At) >= rememberedFor
            || !CryptographicOperations.FixedTimeEquals(known.Digest, digest))
        {
            return false;
        }

        _known.TryUpdate(accountId, known with { At = time.GetTimestamp() }, known);
        return true;
    }
}
