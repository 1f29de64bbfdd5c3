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
    [InlineData("250-a\r\n251 b\r\n")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n")]
    public void What_is_not_smtp_ends_the_connection(string wire)
    {
        var buffer = Wire.Cut(Wire.Bytes(wire), 1000);
        Assert.Equal(ReplyStatus.Malformed, new ReplyParser().TryRead(ref buffer, out _));
    }

    [Fact]
    public void Endless_lines_and_endless_replies_are_bounded()
    {
        var buffer = Wire.Cut(Wire.Bytes("250 " + new string('x', 5000)), 100);
        Assert.Equal(ReplyStatus.Malformed, new ReplyParser().TryRead(ref buffer, out _));

        buffer = Wire.Cut(Wire.Bytes(string.Concat(Enumerable.Repeat("250-more\r\n", 1000))), 100);
        Assert.Equal(ReplyStatus.Malformed, new ReplyParser().TryRead(ref buffer, out _));
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
        Assert.True(capabilities.EnhancedStatusCodes && capabilities.DeliveryStatus && capabilities.Has("x-other"));
        Assert.False(capabilities.SmtpUtf8 || capabilities.Chunking);
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
}
