using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Mail;

/// <summary>A text as a key of 64 bits: rows stay small however long it is, and a set of them is a set of ids. No two texts are expected to share one.</summary>
internal static class TextHash
{
    /// <param name="kind">What the text is; the same text of another kind has another key.</param>
    public static long Of(char kind, string text)
    {
        Span<byte> octets = stackalloc byte[1024];
        if (Encoding.UTF8.GetMaxByteCount(text.Length) >= octets.Length)
            octets = new byte[Encoding.UTF8.GetMaxByteCount(text.Length) + 1];
        octets[0] = (byte)kind;
        var length = 1 + Encoding.UTF8.GetBytes(text, octets[1..]);
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(octets[..length], hash);
        return BinaryPrimitives.ReadInt64BigEndian(hash);
    }
}
