using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Judges a copy that a program of somebody else has stored.</summary>
internal static class Received
{
    /// <summary>The copy has the bytes of the message from its first header line on, with nothing after them.</summary>
    public static void AssertWhole(LedgerMessage sent, ReadOnlySpan<byte> copy)
    {
        var start = copy.IndexOf(sent.Header.Span);
        Assert.True(start >= 0, $"The header is not in the copy: {Encoding.Latin1.GetString(copy[..Math.Min(copy.Length, 2000)])}");
        var rest = copy[start..];
        var whole = sent.ToArray();
        if (rest.SequenceEqual(whole))
            return;
        var same = rest.CommonPrefixLength(whole);
        Assert.Fail(
            $"{sent.Token}: {rest.Length} octets instead of {whole.Length}, different from octet {same} on:\n" +
            $"sent: {Show(whole.AsSpan(same))}\ngot:  {Show(rest[same..])}");
    }

    /// <summary>Line ends as they were on the wire, where a program stores bare LF.</summary>
    public static byte[] WithCrLf(byte[] stored)
    {
        var result = new MemoryStream(stored.Length + (stored.Length / 40));
        for (var i = 0; i < stored.Length; i++)
        {
            if (stored[i] == '\n' && (i == 0 || stored[i - 1] != '\r'))
                result.WriteByte((byte)'\r');
            result.WriteByte(stored[i]);
        }
        return result.ToArray();
    }

    private static string Show(ReadOnlySpan<byte> octets) =>
        Encoding.Latin1.GetString(octets[..Math.Min(octets.Length, 80)]).Replace("\r", "\\r", StringComparison.Ordinal).Replace("\n", "\\n", StringComparison.Ordinal);
}
