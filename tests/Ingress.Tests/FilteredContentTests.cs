using System.Text;
using CsCheck;
using MailPipeline.Ingress.Filters;

namespace MailPipeline.Ingress.Tests;

/// <summary>What filters see of a content that comes in pieces.</summary>
public sealed class FilteredContentTests
{
    [Theory]
    [InlineData("A: 1\r\nB:2\r\n\r\nbody\r\n", "A= 1;B=2;|body\r\n")]
    [InlineData("A: 1\r\n folded\r\n\tmore\r\n\r\n", "A= 1\n folded\n\tmore;|")]
    [InlineData("A: 1\r\n", "A= 1;|")]
    [InlineData("\r\nbody\r\n", "|body\r\n")]
    [InlineData("no field\r\nA: 1\r\n", "|no field\r\nA: 1\r\n")]
    [InlineData("A: 1\r\nno field\r\n\r\nbody\r\n", "A= 1;|no field\r\n\r\nbody\r\n")]
    [InlineData(" A: 1\r\n\r\n", "| A: 1\r\n\r\n")]
    [InlineData("A :1\r\n\r\n", "A =1;|")]
    [InlineData("", "|")]
    public async Task Fields_and_body_are_told_apart_however_they_are_cut(string content, string seen)
    {
        for (var piece = 1; piece <= Math.Max(1, content.Length); piece++)
            Assert.Equal(seen, await SeenAsync(Encoding.Latin1.GetBytes(content), piece));
    }

    [Fact]
    public async Task A_field_without_end_is_body_and_pieces_of_a_body_have_their_bound()
    {
        var content = Encoding.Latin1.GetBytes("A: 1\r\nB: " + new string('x', 200_000) + "\r\n\r\nbody\r\n");
        Assert.Equal("A= 1;|" + Encoding.Latin1.GetString(content)[6..], await SeenAsync(content, 4096));
        Assert.Equal("A= 1;|" + Encoding.Latin1.GetString(content)[6..], await SeenAsync(content, content.Length));
    }

    [Fact]
    public void Nothing_is_lost_or_added_whatever_comes() =>
        Gen.Select(Gen.OneOfConst("A: 1", " x", "\r\n", "\r\n\r\n", "B", ":", "text", "\r", "\n").Array[0, 20], Gen.Int[1, 9]).Sample((parts, piece) =>
        {
            var content = string.Concat(parts);
            var seen = SeenAsync(Encoding.Latin1.GetBytes(content), piece).AsTask().GetAwaiter().GetResult();
            Assert.Equal(seen, SeenAsync(Encoding.Latin1.GetBytes(content), content.Length + 1).AsTask().GetAwaiter().GetResult());
            Assert.EndsWith(seen[(seen.IndexOf('|', StringComparison.Ordinal) + 1)..], content, StringComparison.Ordinal);
        });

    private static async ValueTask<string> SeenAsync(byte[] content, int piece)
    {
        var parts = new Parts();
        var filtered = new FilteredContent(parts);
        for (var at = 0; at < content.Length; at += piece)
            await filtered.TakeAsync(content.AsMemory(at, Math.Min(piece, content.Length - at)));
        await filtered.EndAsync();
        return parts.Seen.ToString();
    }

    private sealed class Parts : IFilteredParts
    {
        public StringBuilder Seen { get; } = new();

        public ValueTask HeaderAsync(ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> value)
        {
            Seen.Append(Encoding.Latin1.GetString(name.Span)).Append('=').Append(Encoding.Latin1.GetString(value.Span)).Append(';');
            return default;
        }

        public ValueTask EndOfHeaderAsync()
        {
            Seen.Append('|');
            return default;
        }

        public ValueTask BodyAsync(ReadOnlyMemory<byte> piece)
        {
            Assert.InRange(piece.Length, 1, MilterPackets.MaxBodyBytes);
            Seen.Append(Encoding.Latin1.GetString(piece.Span));
            return default;
        }
    }
}
