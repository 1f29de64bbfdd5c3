using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>A client of SCRAM-SHA-256-PLUS (RFC 5802) that binds its login to whatever it is told, in SMTP and POP3.</summary>
public static class BoundLogin
{
    /// <param name="ask">Says a line, and gives the server's one to it.</param>
    /// <param name="type">Of the binding, as it is registered.</param>
    /// <param name="octets">What the login is bound to.</param>
    /// <returns>The error of a challenge (RFC 5802 §7), or null, and the last reply.</returns>
    public static async Task<(string? Error, string Reply)> TryAsync(
        Func<string, Task<string>> ask, string user, string password, string type, ReadOnlyMemory<byte> octets)
    {
        var header = $"p={type},,";
        var first = $"n={user},r=rOprNGfwEbeRWgbNEkqO";
        var reply = await ask($"AUTH SCRAM-SHA-256-PLUS {Base64(header + first)}");
        if (Challenge(reply) is not { } serverFirst)
            return (null, reply);
        if (serverFirst.StartsWith("e=", StringComparison.Ordinal))
            return (serverFirst[2..], await ask(""));
        var parts = serverFirst.Split(',');
        var salted = Rfc2898DeriveBytes.Pbkdf2(
            Encoding.UTF8.GetBytes(password), Convert.FromBase64String(parts[1][2..]), int.Parse(parts[2][2..], CultureInfo.InvariantCulture), HashAlgorithmName.SHA256, 32);
        byte[] bound = [.. Encoding.ASCII.GetBytes(header), .. octets.Span];
        var final = $"c={Convert.ToBase64String(bound)},{parts[0]}";
        var key = HMACSHA256.HashData(salted, "Client Key"u8);
        var signature = HMACSHA256.HashData(SHA256.HashData(key), Encoding.UTF8.GetBytes($"{first},{serverFirst},{final}"));
        byte[] proof = [.. key.Zip(signature, (a, b) => (byte)(a ^ b))];
        reply = await ask(Base64($"{final},p={Convert.ToBase64String(proof)}"));
        if (Challenge(reply) is not { } serverFinal)
            return (null, reply);
        return (serverFinal.StartsWith("e=", StringComparison.Ordinal) ? serverFinal[2..] : null, await ask(""));
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string? Challenge(string reply) =>
        reply.StartsWith("334 ", StringComparison.Ordinal) ? Encoding.UTF8.GetString(Convert.FromBase64String(reply[4..]))
        : reply.StartsWith("+ ", StringComparison.Ordinal) ? Encoding.UTF8.GetString(Convert.FromBase64String(reply[2..]))
        : null;
}
