using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace MailPipeline.Mail;

/// <summary>
/// Salted password hashes as text: Argon2id (RFC 9106) in the form "$argon2id$v=19$m=KiB,t=passes,p=1$salt$hash", octets in base64 without
/// padding. The costs stand with each hash, so that they may be raised. Hashes of the form "pbkdf2-sha512$iterations$salt$hash" are
/// from before, and are still read.
/// </summary>
public static class PasswordHash
{
    /// <summary>OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB and two passes. libsodium has one lane, and frees the memory at once.</summary>
    private const int MemoryKiB = 19 * 1024;

    private const int Passes = 2;

    /// <summary>Of a hash in the store that is read: whoever can write one there must not be able to make a login cost all memory.</summary>
    private const int MostMemoryKiB = 1024 * 1024;

    private const int MostPasses = 100;
    private const int SaltBytes = 16;
    private const int HashBytes = 32;
    private const string Argon2id = "argon2id";
    private const string Pbkdf2 = "pbkdf2-sha512";

    private static readonly string s_ours = string.Create(CultureInfo.InvariantCulture, $"${Argon2id}$v=19$m={MemoryKiB},t={Passes},p=1$");

    /// <summary>Costs tens of milliseconds of CPU and 19 MiB of memory, by design.</summary>
    public static string Create(string password)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        return $"{s_ours}{Encode(salt)}${Encode(Derive(password, salt, MemoryKiB, Passes, HashBytes))}";
    }

    /// <summary>The hash costs otherwise than a new one: it is made anew when the password is next known.</summary>
    public static bool IsOutdated(string hash) => !hash.StartsWith(s_ours, StringComparison.Ordinal);

    /// <summary>False as well for text that is not a hash of one of the forms.</summary>
    public static bool Verify(string password, string hash) => hash.Split('$') switch
    {
        ["", Argon2id, "v=19", var costs, var salt, var expected] => VerifyArgon2id(password, costs, Decode(salt), Decode(expected)),
        [Pbkdf2, var iterations, var salt, var expected] => VerifyPbkdf2(password, iterations, Decode(salt), Decode(expected)),
        _ => false,
    };

    private static bool VerifyArgon2id(string password, string costs, byte[]? salt, byte[]? expected) =>
        costs.Split(',') is [var memory, var passes, "p=1"]
        && Cost(memory, "m=") is >= 8 and <= MostMemoryKiB and var memoryKiB
        && Cost(passes, "t=") is >= 1 and <= MostPasses and var numberOfPasses
        && salt is { Length: SaltBytes } && expected is { Length: >= 16 and <= 64 }
        && CryptographicOperations.FixedTimeEquals(Derive(password, salt, memoryKiB, numberOfPasses, expected.Length), expected);

    private static bool VerifyPbkdf2(string password, string iterations, byte[]? salt, byte[]? expected) =>
        Cost(iterations, "") is >= 1 and var times && salt is { Length: > 0 } && expected is { Length: > 0 }
        && CryptographicOperations.FixedTimeEquals(
            Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, times, HashAlgorithmName.SHA512, expected.Length), expected);

    private static byte[] Derive(string password, ReadOnlySpan<byte> salt, int memoryKiB, int passes, int length) =>
        PasswordBasedKeyDerivationAlgorithm
            .Argon2id(new Argon2Parameters { DegreeOfParallelism = 1, MemorySize = memoryKiB, NumberOfPasses = passes })
            .DeriveBytes(Encoding.UTF8.GetBytes(password), salt, length);

    /// <summary>-1: there is none.</summary>
    private static int Cost(string text, string name) =>
        text.StartsWith(name, StringComparison.Ordinal)
        && int.TryParse(text.AsSpan(name.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var cost) ? cost : -1;

    private static string Encode(byte[] octets) => Convert.ToBase64String(octets).TrimEnd('=');

    /// <summary>With padding or without; null for what is no base64.</summary>
    private static byte[]? Decode(string text)
    {
        var padded = text.TrimEnd('=');
        padded = padded.PadRight((padded.Length + 3) / 4 * 4, '=');
        var octets = new byte[padded.Length];
        return Convert.TryFromBase64String(padded, octets, out var length) ? octets[..length] : null;
    }
}
