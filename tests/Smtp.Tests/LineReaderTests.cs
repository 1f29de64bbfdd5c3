using System.Buffers;
using CsCheck;

namespace MailPipeline.Smtp.Tests;

public sealed class LineReaderTests
{
    private static readonly Gen<string> s_wire =
        Gen.OneOfConst("\r\n", "\n", "\r", "", "a", "command", "a line that is too long for the limit").Array[0, 20].Select(string.Concat);

    [Fact]
    public void Lines_are_the_same_however_the_stream_is_cut() =>
        Gen.Select(s_wire, Gen.Int[1, 10]).Sample((wire, size) => Assert.Equal(Whole(wire), InPieces(wire, size)));

    [Fact]
    public void A_line_that_never_ends_is_consumed_as_it_comes()
    {
        var reader = new LineReader(16);
        for (var i = 0; i < 1000; i++)
        {
            var buffer = Wire.Cut(Wire.Bytes(new string('x', 100)), 30);
            Assert.Equal(LineStatus.Incomplete, reader.TryRead(ref buffer, out _));
            Assert.True(buffer.IsEmpty);
        }

        Assert.True(reader.IsDiscarding);
        var end = Wire.Cut(Wire.Bytes("\r\nNOOP\r\n"), 100);
        Assert.Equal(LineStatus.TooLong, reader.TryRead(ref end, out _));
        Assert.Equal(LineStatus.Line, reader.TryRead(ref end, out var line));
        Assert.Equal("NOOP", Wire.Text(line.FirstSpan));
    }

    [Fact]
    public void The_limit_counts_the_terminator()
    {
        Assert.Equal(["Line:12345678"], Whole("12345678\r\n"));
        Assert.Equal(["TooLong:12345678"], Whole("123456789\r\n"));
    }

    [Fact]
    public void As_many_first_octets_of_a_line_too_long_are_kept_as_is_asked_for()
    {
        var reader = new LineReader(16, startBytes: 12);
        var buffer = Wire.Cut(Wire.Bytes("12345678901234567890\r\n12345678901234567890"), 5);
        Assert.Equal(LineStatus.TooLong, reader.TryRead(ref buffer, out var line));
        Assert.Equal("123456789012", Wire.Text(line.ToArray()));
        Assert.Equal(LineStatus.Incomplete, reader.TryRead(ref buffer, out _));
        Assert.Equal("123456789012", Wire.Text(reader.Start));
    }

    private static List<string> Whole(string wire)
    {
        var reader = new LineReader(10);
        var found = new List<string>();
        var buffer = Wire.Cut(Wire.Bytes(wire), int.MaxValue / 2);
        Drain(ref reader, ref buffer, found);
        return found;
    }

    private static List<string> InPieces(string wire, int size)
    {
        var reader = new LineReader(10);
        var found = new List<string>();
        var held = Array.Empty<byte>();
        foreach (var piece in Wire.Bytes(wire).Chunk(size))
        {
            var buffer = Wire.Cut([.. held, .. piece], 3);
            Drain(ref reader, ref buffer, found);
            held = buffer.ToArray();
            Assert.True(held.Length < 10);
        }

        return found;
    }

    private static void Drain(ref LineReader reader, ref ReadOnlySequence<byte> buffer, List<string> found)
    {
        LineStatus status;
        while ((status = reader.TryRead(ref buffer, out var line)) != LineStatus.Incomplete)
            found.Add($"{status}:{Wire.Text(line.ToArray())}");
    }
}
