using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Sasl;

/// <summary>
/// What is kept of a password for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677): it proves that a client knows the password, and to the client
/// that the server knew it. Who steals it can guess the password at the cost of its iterations, and pose as this server.
/// </summary>
public sealed class ScramKeys
{
    /// <summary>RFC 7677 §4.</summary>
    public const int LeastIterations = 4096;

    /// <summary>What Cyrus SASL takes at most; its clients fail beyond it.</summary>
    public const int MostIterations = 65_536;

    private const string Scheme = "SCRAM-SHA-256";
    private const int SaltBytes = 16;

    internal ScramKeys(int iterations, byte[] salt, byte[] storedKey, byte[] serverKey) =>
        (Iterations, Salt, StoredKey, ServerKey) = (iterations, salt, storedKey, serverKey);

    /// <summary>Of PBKDF2, which the client computes at each login, and the server when a password is set.</summary>
    public int Iterations { get; }

    internal byte[] Salt { get; }

    internal byte[] StoredKey { get; }

    internal byte[] ServerKey { get; }

    /// <summary>Stretches the password under a new salt.</summary>
    public static ScramKeys Create(string password, int iterations) => Create(password, RandomNumberGenerator.GetBytes(SaltBytes), iterations);

    internal static ScramKeys Create(string password, byte[] salt, int iterations)
    {
        var salted = Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(SaslPrep.Prepare(password) ?? password), salt, iterations, HashAlgorithmName.SHA256, SHA256.HashSizeInBytes);
        return new ScramKeys(
            iterations, salt, SHA256.HashData(HMACSHA256.HashData(salted, "Client Key"u8)), HMACSHA256.HashData(salted, "Server Key"u8));
    }

    /// <summary>
    /// Keys that no password has, the same for a name at every call, others for another number of iterations, as of an account: who asks for a name that
    /// nobody has, or that has no keys, is told as much as for any other.
    /// </summary>
    /// <param name="secret">Known to nobody else: who knew it could tell the names that have keys.</param>
    public static ScramKeys Decoy(byte[] secret, string name, int iterations)
    {
        return new ScramKeys(iterations, Derive("salt")[..SaltBytes], Derive("stored key"), Derive("server key"));

        byte[] Derive(string what) => HMACSHA256.HashData(secret, Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{what}\0{iterations}\0{name}")));
    }

    /// <summary>As LDAP and PostgreSQL write it (RFC 5803): "SCRAM-SHA-256$iterations:salt$stored key:server key", octets in base64.</summary>
    public string ToText() => string.Create(
        CultureInfo.InvariantCulture,
        $"{Scheme}${Iterations}:{Convert.ToBase64String(Salt)}${Convert.ToBase64String(StoredKey)}:{Convert.ToBase64String(ServerKey)}");

    /// <summary>Null for text that is not of the form of <see cref="ToText"/>.</summary>
    public static ScramKeys? Parse(string text)
    {
        var parts = text.Split('$', ':');
        if (parts.Length != 5 || parts[0] != Scheme
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) || iterations < LeastIterations
            || Base64Text.Decode(parts[2]) is not { Length: > 0 } salt
            || Base64Text.Decode(parts[3]) is not { Length: SHA256.HashSizeInBytes } storedKey
            || Base64Text.Decode(parts[4]) is not { Length: SHA256.HashSizeInBytes } serverKey)
        {
            return null;
        }

        return new ScramKeys(iterations, salt, storedKey, serverKey);
    }

    /// <summary>The proof is one of who knows the password, for this exchange alone (RFC 5802 §3).</summary>
    internal bool IsProof(ReadOnlySpan<byte> proof, string exchange)
    {
        Span<byte> key = stackalloc byte[SHA256.HashSizeInBytes];
        HMACSHA256.HashData(StoredKey, Encoding.UTF8.GetBytes(exchange), key);
        for (var i = 0; i < key.Length; i++)
            key[i] ^= proof[i];
        return CryptographicOperations.FixedTimeEquals(SHA256.HashData(key), StoredKey);
    }

    /// <summary>The server's own proof (RFC 5802 §3).</summary>
    internal byte[] Sign(string exchange) => HMACSHA256.HashData(ServerKey, Encoding.UTF8.GetBytes(exchange));
}

/// <summary>Base64 without anything else around it.</summary>
internal static class Base64Text
{
    /// <summary>Null for what the encoder would not have written.</summary>
    public static byte[]? Decode(string text)
    {
        var decoded = new byte[text.Length];
        return Convert.TryFromBase64String(text, decoded, out var length) && Convert.ToBase64String(decoded, 0, length) == text
            ? decoded[..length]
            : null;
    }
}
