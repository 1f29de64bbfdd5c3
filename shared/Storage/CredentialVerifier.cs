using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Storage;

/// <summary>
/// Says whose name and password these are. A stretched hash costs tens of milliseconds of CPU by design; a pair that was
/// found right is remembered for some minutes as a keyed digest, for as long as the stored hash stays the same. Unknown
/// names cost as much as wrong passwords.
/// </summary>
public sealed class CredentialVerifier(MailDirectory directory, TimeProvider time)
{
    private const int MaxRemembered = 10_000;

    private static readonly TimeSpan s_remember = TimeSpan.FromMinutes(5);

    private readonly byte[] _key = RandomNumberGenerator.GetBytes(32);
    private readonly Lazy<string> _nobody = new(() => PasswordHash.Create("nobody has this password"));

    // Half of the cores: many logins at once keep each other waiting, and not the mail.
    private readonly SemaphoreSlim _stretching = new(Math.Max(1, Environment.ProcessorCount / 2));
    private readonly ConcurrentDictionary<long, (string Hash, byte[] Digest, long At)> _remembered = [];

    /// <summary>Null: no such account, or another password.</summary>
    public async ValueTask<Account?> VerifyAsync(string userName, string password, CancellationToken cancellationToken)
    {
        var account = await directory.FindAccountAsync(userName, cancellationToken);
        if (account is not null && IsRemembered(account, password))
            return account;
        var right = await VerifyAsync(password, account, cancellationToken);
        if (account is null || !right)
            return null;
        if (_remembered.Count >= MaxRemembered)
            _remembered.Clear();
        _remembered[account.Id] = (account.PasswordHash, Digest(password), time.GetTimestamp());
        return account;
    }

    private async Task<bool> VerifyAsync(string password, Account? account, CancellationToken cancellationToken)
    {
        await _stretching.WaitAsync(cancellationToken);
        try
        {
            return await Task.Run(() => PasswordHash.Verify(password, account?.PasswordHash ?? _nobody.Value), cancellationToken);
        }
        finally
        {
            _stretching.Release();
        }
    }

    private bool IsRemembered(Account account, string password) =>
        _remembered.TryGetValue(account.Id, out var known)
        && known.Hash == account.PasswordHash
        && time.GetElapsedTime(known.At) < s_remember
        && CryptographicOperations.FixedTimeEquals(known.Digest, Digest(password));

    private byte[] Digest(string password) => HMACSHA256.HashData(_key, Encoding.UTF8.GetBytes(password));
}
