using System.Security.Cryptography;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>Keys that all processes of one store share, and nobody else knows. Each is made once, by whoever asks first.</summary>
public sealed class SecretStore(MailDatabase database)
{
    private const int KeyBytes = 32;

    private static readonly Statement s_find = new("SELECT value FROM secrets WHERE name = $1");

    private static readonly Statement s_make = new("INSERT INTO secrets (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING");

    /// <summary>256 random bits, the same at every call.</summary>
    public async Task<byte[]> GetKeyAsync(string name, CancellationToken cancellationToken)
    {
        if (await FindAsync(name, cancellationToken) is { } key)
            return key;
        var made = Convert.ToBase64String(RandomNumberGenerator.GetBytes(KeyBytes));
        await database.WriteAsync(transaction => transaction.ExecuteAsync(s_make, name, made));
        // Another process may have been first.
        return await FindAsync(name, cancellationToken) ?? throw new InvalidOperationException($"The secret '{name}' was made and is not there");
    }

    private async Task<byte[]?> FindAsync(string name, CancellationToken cancellationToken) =>
        (await database.QueryAsync(s_find, r => r.GetString(0), cancellationToken, name)) is [var text] ? Convert.FromBase64String(text) : null;
}
