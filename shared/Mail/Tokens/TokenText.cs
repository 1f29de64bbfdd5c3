using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Mail;

/// <summary>
/// A token as its bearer has it: a mark by which scanners of leaked secrets know it, 256 random bits, and a checksum, so that what is none is
/// told from what may be one without a look at the store.
/// </summary>
public static class TokenText
{
    public const string Mark = "mpt_";

    private const int SecretBytes = 32;
    private const int CheckBytes = 4;
    private const int AllBytes = SecretBytes + CheckBytes;

    private static readonly int s_length = Mark.Length + Base64Url.GetEncodedLength(AllBytes);

    /// <summary>A new one, of which nobody knows.</summary>
    public static string Create()
    {
        Span<byte> bytes = stackalloc byte[AllBytes];
        RandomNumberGenerator.Fill(bytes[..SecretBytes]);
        CheckOf(bytes[..SecretBytes]).CopyTo(bytes[SecretBytes..]);
        return Mark + Base64Url.EncodeToString(bytes);
    }

    /// <summary>Whether this may be a token at all.</summary>
    public static bool IsWellFormed(string text)
    {
        if (text.Length != s_length || !text.StartsWith(Mark, StringComparison.Ordinal))
            return false;
        Span<byte> bytes = stackalloc byte[AllBytes];
        return Base64Url.TryDecodeFromChars(text.AsSpan(Mark.Length), bytes, out var written) && written == AllBytes
            && CheckOf(bytes[..SecretBytes]).SequenceEqual(bytes[SecretBytes..]);
    }

    /// <summary>
    /// What the store keeps of it. The secret is as long as the digest and drawn at random: nobody finds it by trying, so that a slow hash would only
    /// cost time.
    /// </summary>
    internal static string DigestOf(string token) => Convert.ToHexStringLower(SHA256.HashData(Encoding.ASCII.GetBytes(token)));

    private static ReadOnlySpan<byte> CheckOf(ReadOnlySpan<byte> secret) => SHA256.HashData(secret).AsSpan(0, CheckBytes);
}
