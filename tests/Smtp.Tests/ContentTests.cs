using CsCheck;

namespace MailPipeline.Smtp.Tests;

/// <summary>Dot-stuffing and the end of data, which is CRLF.CRLF and nothing else.</summary>
public sealed class ContentTests
{
    // Content made of what matters, so that every combination of CR, LF and dots comes up.
    private static readonly Gen<string> s_content =
        Gen.OneOfConst("\r\n", "\r\n", ".", "..", "a", "line of text", "\r\n.", "\r", "\n", "\0").Array[0, 30].Select(string.Concat);

    [Fact]
    public void Unstuffing_gives_back_what_was_stuffed_however_it_is_cut() =>
        Gen.Select(s_content, Gen.Int[1, 12], Gen.Int[1, 12]).Sample((content, writeSize, readSize) =>
        {
            var wire = Stuff(content, writeSize);
            var (read, rest, _) = Unstuff(wire + "QUIT\r\n", readSize);
            Assert.Equal(content.EndsWith("\r\n", StringComparison.Ordinal) || content.Length == 0 ? content : content + "\r\n", read);
            Assert.Equal("QUIT\r\n", rest);
        });

    [Fact]
    public void Faults_are_found_exactly_where_there_are_some() =>
        Gen.Select(s_content, Gen.Int[1, 12]).Sample((content, size) =>
        {
            var (_, _, faults) = Unstuff(Stuff(content, 1000), size);
            var closed = content.EndsWith("\r\n", StringComparison.Ordinal) ? content : content + "\r\n";
            var bare = closed.Replace("\r\n", "", StringComparison.Ordinal);
            Assert.Equal(bare.Contains('\r'), faults.HasFlag(ContentFaults.BareCarriageReturn));
            Assert.Equal(bare.Contains('\n'), faults.HasFlag(ContentFaults.BareLineFeed));
            Assert.Equal(bare.Contains('\0'), faults.HasFlag(ContentFaults.Nul));
        });

    [Theory]
    [InlineData(".\r\n", "")]
    [InlineData("a\r\n.\r\n", "a\r\n")]
    [InlineData("..\r\n.\r\n", ".\r\n")]
    [InlineData(".a\r\n.\r\n", "a\r\n")]
    [InlineData("\r\n.\r\n", "\r\n")]
    [InlineData("a\r\n...\r\n..b\r\n.\r\n", "a\r\n..\r\n.b\r\n")]
    public void Content_ends_at_the_lone_dot(string wire, string content)
    {
        for (var size = 1; size <= wire.Length; size++)
            Assert.Equal((content, "", ContentFaults.None), Unstuff(wire, size));
    }

    /// <summary>Each of these ends the content for some server in the field; here none does (SMTP smuggling).</summary>
    [Theory]
    [InlineData("a\n.\n")]
    [InlineData("a\n.\r\n")]
    [InlineData("a\r\n.\n")]
    [InlineData("a\r.\r\n")]
    [InlineData("a\r\n.\r")]
    [InlineData("a\r.\r")]
    [InlineData("a\r\n.\0\r\n")]
    [InlineData("a\r\n\0.\r\n")]
    [InlineData("a\r\r.\r\n")]
    [InlineData("a\n\r.\n\r")]
    [InlineData("\n.\r\n")]
    public void Nothing_else_ends_it(string smuggled)
    {
        for (var size = 1; size <= smuggled.Length; size++)
        {
            var (read, rest, faults) = Unstuff(smuggled + "MAIL FROM:<x@example.com>\r\n.\r\nQUIT\r\n", size);
            Assert.Equal("QUIT\r\n", rest);
            Assert.Contains("MAIL FROM:<x@example.com>\r\n", read, StringComparison.Ordinal);
            Assert.NotEqual(ContentFaults.None, faults);
        }
    }

    /// <summary>A bare LF becomes a line end of content, with the stuffing that lines have, and never a part of the end of data.</summary>
    [Theory]
    [InlineData("a\nb\r\n.\r\n", "a\r\nb\r\n")]
    [InlineData("\n\n.\r\n\r\n.\r\n", "\r\n\r\n\r\n\r\n")]
    [InlineData("a\n.\r\nMAIL FROM:<x@example.com>\r\n.\r\n", "a\r\n\r\nMAIL FROM:<x@example.com>\r\n")]
    [InlineData("a\r\n.\nRCPT\r\n.\r\n", "a\r\n\r\nRCPT\r\n")]
    [InlineData("a\n.\nDATA\n\r\n.\r\n", "a\r\n\r\nDATA\r\n\r\n")]
    [InlineData("a\n..\r\nb\n..c\n.\r\n\r\n.\r\n", "a\r\n.\r\nb\r\n.c\r\n\r\n\r\n")]
    public void A_bare_line_feed_is_repaired_where_that_is_wanted(string wire, string content)
    {
        for (var size = 1; size <= wire.Length; size++)
            Assert.Equal((content, "QUIT\r\n", ContentFaults.None), Unstuff(wire + "QUIT\r\n", size, repairs: true));
    }

    [Theory]
    [InlineData("a\r.\r\n", ContentFaults.BareCarriageReturn)]
    [InlineData("a\n.\rb", ContentFaults.BareCarriageReturn)]
    [InlineData("a\n\r.\n\r", ContentFaults.BareCarriageReturn)]
    [InlineData("a\r\n.\0\n", ContentFaults.Nul)]
    public void A_bare_carriage_return_and_nul_are_never_repaired(string smuggled, ContentFaults found)
    {
        for (var size = 1; size <= smuggled.Length; size++)
        {
            var (_, rest, faults) = Unstuff(smuggled + "MAIL FROM:<x@example.com>\r\n.\r\nQUIT\r\n", size, repairs: true);
            Assert.Equal(("QUIT\r\n", found), (rest, faults));
        }
    }

    [Fact]
    public void What_was_repaired_holds_no_bare_line_feed_and_passes_unharmed_from_then_on() =>
        Gen.Select(s_content, Gen.Int[1, 12], Gen.Int[1, 12]).Sample((content, writeSize, readSize) =>
        {
            var (repaired, _, faults) = Unstuff(content + "\r\n.\r\n" + "\r\n.\r\n", writeSize, repairs: true);
            Assert.False(faults.HasFlag(ContentFaults.BareLineFeed));
            Assert.DoesNotContain('\n', repaired.Replace("\r\n", "", StringComparison.Ordinal));
            Assert.Equal((repaired, "QUIT\r\n"), Unstuff(Stuff(repaired, writeSize) + "QUIT\r\n", readSize) switch { var (read, rest, _) => (read, rest) });
        });

    [Fact]
    public void Ordinary_text_is_one_slice_and_counted()
    {
        var text = Wire.Bytes(string.Concat(Enumerable.Repeat("An ordinary line of text.\r\n", 1000)));
        var reader = new ContentReader();
        Assert.Equal(new ContentSlice(0, text.Length, text.Length, false), reader.Read(text));
        Assert.Equal(new ContentSlice(0, 0, 3, true), reader.Read(".\r\n"u8));
        Assert.Equal(text.Length, reader.ContentBytes);
        Assert.Equal(text.Length + 3, reader.WireBytes);
        Assert.True(reader.IsEnded);
    }

    private static string Stuff(string content, int size) => Wire.Written(output =>
    {
        var stuffing = new DotStuffing();
        foreach (var chunk in Wire.Bytes(content).Chunk(size))
            stuffing.Write(chunk, output);
        stuffing.Finish(output);
    });

    private static (string Content, string After, ContentFaults Faults) Unstuff(string wire, int size, bool repairs = false)
    {
        var reader = new ContentReader { RepairsLineEnds = repairs };
        var bytes = Wire.Bytes(wire);
        var content = "";
        var position = 0;
        while (!reader.IsEnded)
        {
            Assert.True(position < bytes.Length, "The end of data was not found.");
            var chunk = bytes.AsSpan(position, Math.Min(size, bytes.Length - position));
            var slice = reader.Read(chunk);
            Assert.True(slice.Consumed > 0 && slice.Consumed >= slice.Start + slice.Length);
            content += Wire.Text(chunk.Slice(slice.Start, slice.Length)) + (slice.IsBareLineEnd ? "\r\n" : "");
            position += slice.Consumed;
        }

        Assert.Equal(position, reader.WireBytes);
        Assert.Equal(content.Length, reader.ContentBytes);
        return (content, Wire.Text(bytes.AsSpan(position)), reader.Faults);
    }
}
