using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Mail;

/// <summary>
/// Salted password hashes in text form, "pbkdf2-sha512$iterations$salt$hash", the last two in base 64. The number of
/// iterations is stored with each hash, so that it may be raised.
/// </summary>
public static class PasswordHash
{
    /// <summary>OWASP Password Storage Cheat Sheet, PBKDF2-HMAC-SHA512.</summary>
    private const int Iterations = 210_000;

    private const int SaltBytes = 16;
    private const int HashBytes = 64;
    private const string Scheme = "pbkdf2-sha512";

    public static string Create(string password)
    {
        var salt = RandomNumberGenerator.GetBytes(SaltBytes);
        var hash = Derive(password, salt, Iterations);
        return string.Create(
            CultureInfo.InvariantCulture, $"{Scheme}${Iterations}${Convert.ToBase64String(salt)}${Convert.ToBase64String(hash)}");
    }

    /// <summary>False as well for text that is not a hash of this form.</summary>
    public static bool Verify(string password, string hash)
    {
        var parts = hash.Split('$');
        if (parts.Length != 4 || parts[0] != Scheme
            || !int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var iterations) || iterations < 1)
        {
            return false;
        }
        var salt = new byte[parts[2].Length];
        var expected = new byte[parts[3].Length];
        if (!Convert.TryFromBase64String(parts[2], salt, out var saltBytes) || !Convert.TryFromBase64String(parts[3], expected, out var hashBytes))
            return false;
        return CryptographicOperations.FixedTimeEquals(
            Derive(password, salt.AsSpan(0, saltBytes), iterations), expected.AsSpan(0, hashBytes));
    }

    private static byte[] Derive(string password, ReadOnlySpan<byte> salt, int iterations) =>
        Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), salt, iterations, HashAlgorithmName.SHA512, HashBytes);
}
