using CsCheck;

namespace MailPipeline.Smtp.Tests;

public sealed class ReplyTests
{
    [Fact]
    public void A_reply_writes_number_and_status_on_every_line()
    {
        var reply = new SmtpReply(550, new EnhancedStatus(5, 7, 1), "First", "Second");
        Assert.Equal("550-5.7.1 First\r\n550 5.7.1 Second\r\n", Wire.Written(reply.WriteTo));
        Assert.Equal("550 5.7.1 First Second", reply.ToString());
    }

    [Fact]
    public void Text_can_neither_break_a_reply_nor_exceed_a_line()
    {
        var reply = new SmtpReply(550, "5.1.1", "no\r\n250 such\0 user " + new string('\u00e9', 600));
        var wire = Wire.Written(reply.WriteTo);
        Assert.StartsWith("550 5.1.1 no??250 such? user ", wire, StringComparison.Ordinal);
        Assert.InRange(wire.Length, 500, SmtpLimits.ReplyLineBytes);
        Assert.Equal(wire.Length - 2, wire.IndexOf("\r\n", StringComparison.Ordinal));
    }

    [Fact]
    public void What_is_written_is_read_back_however_it_is_cut() =>
        Gen.Select(
                Gen.Int[200, 599],
                Gen.Select(Gen.Int[0, 999], Gen.Int[0, 999]),
                Gen.Bool,
                Gen.Char[' ', '~'].Array[0, 80].Select(chars => new string(chars)).Array[1, 6],
                Gen.Int[1, 40])
            .Sample((code, parts, withStatus, lines, size) =>
            {
                var status = withStatus && code / 100 != 3 ? new EnhancedStatus(code / 100, parts.Item1, parts.Item2) : (EnhancedStatus?)null;
                // Text that looks like a status is one.
                var texts = lines.Select(line => "t" + line).ToArray();
                var sent = new SmtpReply(code, status, texts);
                var bytes = Wire.Bytes(Wire.Written(sent.WriteTo) + "250 next\r\n");
                var buffer = Wire.Cut(bytes, size);
                var parser = new ReplyParser();
                Assert.Equal(ReplyStatus.Reply, parser.TryRead(ref buffer, out var read));
                Assert.Equal(sent.Code, read!.Code);
                Assert.Equal(sent.Status, read.Status);
                Assert.Equal(texts, read.Lines);
                Assert.Equal(ReplyStatus.Reply, parser.TryRead(ref buffer, out read));
                Assert.Equal("250 next", read!.ToString());
            });

    [Theory]
    [InlineData("250\r\n", "250")]
    [InlineData("250 \r\n", "250")]
    [InlineData("250 ok\n", "250 ok")]
    [InlineData("250-a\r\n250\r\n", "250 a")]
    [InlineData("550-5.1.1 No such\r\n550-5.1.1 user\r\n550 5.1.1 here\r\n", "550 5.1.1 No such user here")]
    [InlineData("250 4.1.1 not of its class\r\n", "250 4.1.1 not of its class")]
    [InlineData("354 go ahead\r\n", "354 go ahead")]
    [InlineData("250\tok\r\n", "250 ok")]
    [InlineData("250-a\r\n251 b\r\n", "251 250 a b")]
    [InlineData("250-2.0.0 Queued\r\n550-5.7.1 No\r\n451 4.7.1 Later\r\n", "451 4.7.1 250 2.0.0 Queued 550 5.7.1 No Later")]
    [InlineData("550-5.1.1 No\r\n550 such user\r\n", "550 5.1.1 No such user")]
    [InlineData("550-5.1.1 No\r\n550 5.7.1 Policy\r\n", "550 5.7.1 No Policy")]
    [InlineData("250-a\r\nand a line without code\r\n\r\n25\r\n250 b\r\n", "250 a and a line without code  25 b")]
    public void Replies_of_real_servers_are_taken(string wire, string expected)
    {
        foreach (var size in (int[])[1, 3, 1000])
        {
            var parser = new ReplyParser();
            var bytes = Wire.Bytes(wire);
            for (var end = 1; end < bytes.Length; end++)
            {
                var partial = new System.Buffers.ReadOnlySequence<byte>(bytes, 0, end);
                Assert.Equal(ReplyStatus.Incomplete, new ReplyParser().TryRead(ref partial, out _));
            }

            var buffer = Wire.Cut(bytes, size);
            Assert.Equal(ReplyStatus.Reply, parser.TryRead(ref buffer, out var reply));
            Assert.Equal(expected, reply!.ToString());
        }
    }

    [Theory]
    [InlineData("\r\n")]
    [InlineData("25\r\n")]
    [InlineData("2x0 ok\r\n")]
    [InlineData("650 ok\r\n")]
    [InlineData("150 ok\r\n")]
    [InlineData("250+ok\r\n")]
    [InlineData("250=ok\r\n")]
    [InlineData("2500 ok\r\n")]
    [InlineData("250-a\r\n650 b\r\n")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n")]
    public void What_is_not_smtp_ends_the_connection(string wire)
    {
        var buffer = Wire.Cut(Wire.Bytes(wire), 1000);
        Assert.Equal(ReplyStatus.Malformed, new ReplyParser().TryRead(ref buffer, out _));
    }

    [Theory]
    [InlineData("250 2.0.0 ", "2.0.0")]
    [InlineData("250 ", null)]
    [InlineData("450 4.7.1 ", "4.7.1")]
    [InlineData("550-first\r\n550 5.7.123 ", "5.7.123")]
    [InlineData("250-first\r\n550-5.7.1 second\r\n451 4.3.2 ", "4.3.2")]
    public void A_line_over_the_bound_is_cut_and_its_code_counts(string beginning, string? status)
    {
        foreach (var length in (int[])[2047, 2048, 3000, 60_000, 1_000_000])
        {
            foreach (var size in (int[])[1, 1000, 2_000_000])
            {
                var bytes = Wire.Bytes(beginning + new string('x', length) + "\r\n250 next\r\n");
                var parser = new ReplyParser();
                var (found, reply) = InPieces(parser, bytes, size, out var rest);
                Assert.Equal(ReplyStatus.Reply, found);
                Assert.Equal(Wire.Bytes(beginning[(beginning.LastIndexOf('\n') + 1)..])[..3], Wire.Bytes(reply!.Code.ToString(System.Globalization.CultureInfo.InvariantCulture)));
                Assert.Equal(status, reply.Status?.ToString());
                Assert.EndsWith("xxx...", reply.Lines[^1], StringComparison.Ordinal);
                Assert.InRange(reply.Lines[^1].Length, 2000, 2050);
                Assert.Equal(ReplyStatus.Reply, parser.TryRead(ref rest, out reply));
                Assert.Equal("250 next", reply!.ToString());
            }
        }
    }

    [Fact]
    public void A_cut_goes_between_characters()
    {
        for (var before = 0; before < 4; before++)
        {
            var text = new string('a', before) + string.Concat(Enumerable.Repeat("\U0001F600", 1000));
            var buffer = Wire.Cut([.. Wire.Bytes("250 "), .. System.Text.Encoding.UTF8.GetBytes(text), .. "\r\n"u8], 1000);
            Assert.Equal(ReplyStatus.Reply, new ReplyParser().TryRead(ref buffer, out var reply));
            Assert.StartsWith(reply!.Lines[0][..^3], text, StringComparison.Ordinal);
            Assert.DoesNotContain('\uFFFD', reply.Lines[0]);
        }
    }

    [Fact]
    public void Of_very_many_lines_the_first_and_the_last_are_kept()
    {
        var bytes = Wire.Bytes(string.Concat(Enumerable.Range(0, 40_000).Select(i => $"550-5.7.1 line {i}\r\n")) + "451 4.7.1 Later\r\n");
        var (found, reply) = InPieces(new ReplyParser(), bytes, 100, out _);
        Assert.Equal(ReplyStatus.Reply, found);
        Assert.Equal("451 4.7.1", $"{reply!.Code} {reply.Status}");
        Assert.Equal(["550 5.7.1 line 126", "(39873 lines left out)", "Later"], reply.Lines.Skip(126));
    }

    [Theory]
    [InlineData("250 ", 2_000_000, ReplyStatus.Unended, "250 ")]
    [InlineData("550 5.7.1 ", 2_000_000, ReplyStatus.Unended, "550 5.7.1 ")]
    [InlineData("250-a\r\n550 5.7.1 ", 2_000_000, ReplyStatus.Unended, "550 5.7.1 250 a ")]
    [InlineData("x", 5000, ReplyStatus.Malformed, null)]
    [InlineData("2500", 5000, ReplyStatus.Malformed, null)]
    [InlineData("250 ", 1_000_000, ReplyStatus.Incomplete, null)]
    public void Of_an_endless_line_the_first_octets_decide(string beginning, int length, ReplyStatus expected, string? reply)
    {
        var (found, read) = InPieces(new ReplyParser(), Wire.Bytes(beginning + new string('x', length)), 1000, out _);
        Assert.Equal(expected, found);
        if (reply is null)
            Assert.Null(read);
        else
            Assert.StartsWith(reply + "xxx", read!.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void What_has_come_beyond_the_bound_is_read_line_by_line()
    {
        var parser = new ReplyParser();
        var bytes = Wire.Bytes(string.Concat(Enumerable.Repeat("250-more\r\n", 105_000)) + "451-no\r\n250-");
        Assert.Equal(ReplyStatus.Endless, InPieces(parser, bytes, bytes.Length, out var rest).Status);
        Assert.Equal(4, rest.Length);
        Assert.False(parser.TryEndBegun(rest, out _));
    }

    [Fact]
    public void A_reply_without_a_last_line_is_bounded()
    {
        var bytes = Wire.Bytes(string.Concat(Enumerable.Repeat("250-more\r\n", 200_000)));
        Assert.Equal(ReplyStatus.Endless, InPieces(new ReplyParser(), bytes, 100, out var rest).Status);
        Assert.InRange(rest.Length, 950_000, 960_000);
    }

    [Theory]
    [InlineData("250-", "", true)]
    [InlineData("250-a\r\n250-", "", true)]
    [InlineData("250-a\r\n451-", "", false)]
    [InlineData("250-a\r\n", "x", false)]
    public void Of_an_endless_line_that_is_not_the_last_the_code_counts_too(string beginning, string text, bool expected)
    {
        var parser = new ReplyParser();
        Assert.Equal(ReplyStatus.Endless, InPieces(parser, Wire.Bytes(beginning + text + new string('x', 2_000_000)), 1000, out var rest).Status);
        Assert.Equal(expected, parser.TryEndBegun(rest, out var reply));
        Assert.Equal(expected ? 250 : null, reply?.Code);
    }

    /// <param name="ended">What a reply that was cut off there says: only a last line counts.</param>
    /// <param name="begun">What it says where no more of it is read: without a last line the code that all lines have.</param>
    [Theory]
    [InlineData("250 ", "250", "250")]
    [InlineData("250 Ok", "250 Ok", "250 Ok")]
    [InlineData("250 Ok\r", "250 Ok", "250 Ok")]
    [InlineData("250-a\r\n550 5.1.1 N", "550 5.1.1 250 a N", "550 5.1.1 250 a N")]
    [InlineData("250-", null, "250  (the reply has no last line)")]
    [InlineData("250-2.0.0 a\r\n", null, "250 2.0.0 a (the reply has no last line)")]
    [InlineData("250-a\r\n250-b\r\n25", null, "250 a b (the reply has no last line)")]
    [InlineData("250-a\r\n250", null, "250 a (the reply has no last line)")]
    [InlineData("550-5.7.1 a\r\n550-5.7.1 b", null, "550 5.7.1 a b (the reply has no last line)")]
    [InlineData("", null, null)]
    [InlineData("2", null, null)]
    [InlineData("250", null, null)]
    [InlineData("650 a", null, null)]
    [InlineData("650-a\r\n", null, null)]
    [InlineData("250-a\r\n4", null, null)]
    [InlineData("250-a\r\nwhat", null, null)]
    [InlineData("250-a\r\n451-b", null, null)]
    [InlineData("451-a\r\n250-b\r\n", null, null)]
    [InlineData("250-a\r\nwhat a day\r\n250-b\r\n", null, null)]
    public void Of_a_reply_without_an_end_the_last_line_decides_or_what_all_lines_say(string wire, string? ended, string? begun)
    {
        var rest = Begin(wire, out var parser);
        Assert.Equal(ended is not null, parser.TryEnd(rest, out var reply));
        Assert.Equal(ended, reply?.ToString());
        rest = Begin(wire, out parser);
        Assert.Equal(begun is not null, parser.TryEndBegun(rest, out reply));
        Assert.Equal(begun, reply?.ToString());

        static System.Buffers.ReadOnlySequence<byte> Begin(string wire, out ReplyParser parser)
        {
            parser = new ReplyParser();
            var buffer = Wire.Cut(Wire.Bytes(wire), 3);
            Assert.Equal(ReplyStatus.Incomplete, parser.TryRead(ref buffer, out _));
            return buffer;
        }
    }

    [Fact]
    public void A_number_that_a_cut_went_through_is_no_size()
    {
        var (_, reply) = InPieces(
            new ReplyParser(), Wire.Bytes("250-host\r\n250-SIZE" + new string(' ', 2030) + "1234567890\r\n250-PIPELINING " + new string('x', 3000) + "\r\n250 8BITMIME\r\n"), 500, out _);
        var capabilities = EhloCapabilities.Parse(reply!);
        Assert.True(capabilities is { Size: true, Pipelining: true, EightBitMime: true, MaxMessageBytes: null });
    }

    [Fact]
    public void Any_octets_are_parsed_without_an_exception() =>
        Gen.Byte.Array[0, 200].Sample(octets =>
        {
            var buffer = Wire.Cut(octets, 7);
            var parser = new ReplyParser();
            while (parser.TryRead(ref buffer, out _) == ReplyStatus.Reply)
            {
            }
        });

    [Fact]
    public void Capabilities_are_read_from_the_reply_to_ehlo()
    {
        var capabilities = EhloCapabilities.Parse(new SmtpReply(250, null,
            "mx.example.com at your service", "PIPELINING", "size 52428800", "8BITMIME", "StartTLS", "AUTH plain LOGIN", "AUTH=LOGIN", "ENHANCEDSTATUSCODES", "DSN", "X-OTHER a b"));
        Assert.True(capabilities.Pipelining && capabilities.Size && capabilities.EightBitMime && capabilities.StartTls);
        Assert.True(capabilities.Has("DSN") && capabilities.Has("x-other"));
        Assert.False(capabilities.SmtpUtf8 || capabilities.Has("CHUNKING"));
        Assert.Equal(52428800, capabilities.MaxMessageBytes);
        Assert.Equal(["PLAIN", "LOGIN"], capabilities.AuthMechanisms);
    }

    [Theory]
    [InlineData("SIZE", true, null)]
    [InlineData("SIZE 0", true, null)]
    [InlineData("SIZE many", true, null)]
    [InlineData("SIZE 99999999999999999999", true, null)]
    [InlineData("HELP", false, null)]
    [InlineData("SIZE 1000", true, 1000L)]
    public void A_size_without_a_number_is_no_limit(string line, bool size, long? limit)
    {
        var capabilities = EhloCapabilities.Parse(new SmtpReply(250, null, "host", line));
        Assert.Equal(size, capabilities.Size);
        Assert.Equal(limit, capabilities.MaxMessageBytes);
    }

    [Theory]
    [InlineData("2.0.0", true)]
    [InlineData("5.7.509", true)]
    [InlineData("4.999.999", true)]
    [InlineData("3.0.0", false)]
    [InlineData("2.0", false)]
    [InlineData("2..0", false)]
    [InlineData("2.0.0.0", false)]
    [InlineData("2.0.0000", false)]
    [InlineData("2.0.x", false)]
    public void Enhanced_status_codes_have_three_parts(string text, bool valid)
    {
        Assert.Equal(valid, EnhancedStatus.TryParse(text, out var status));
        if (valid)
            Assert.Equal(text, status.ToString());
    }

    /// <summary>Reads one reply from octets that arrive piece by piece; what was not read is left in <paramref name="rest"/>.</summary>
    private static (ReplyStatus Status, SmtpReply? Reply) InPieces(
        ReplyParser parser, byte[] bytes, int size, out System.Buffers.ReadOnlySequence<byte> rest)
    {
        var start = 0;
        var end = 0;
        while (true)
        {
            end = Math.Min(end + size, bytes.Length);
            var buffer = new System.Buffers.ReadOnlySequence<byte>(bytes, start, end - start);
            var found = parser.TryRead(ref buffer, out var reply);
            start = end - (int)buffer.Length;
            if (found != ReplyStatus.Incomplete || end == bytes.Length)
            {
                rest = new System.Buffers.ReadOnlySequence<byte>(bytes, start, bytes.Length - start);
                return (found, reply);
            }
        }
    }
}
