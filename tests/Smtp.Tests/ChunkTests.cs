using CsCheck;

namespace MailPipeline.Smtp.Tests;

/// <summary>BDAT (RFC 3030): octets that are counted, and never commands.</summary>
public sealed class ChunkTests
{
    private const string Begin = "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\n";

    private static SmtpProfile Mx => new() { HostName = "mx.example.com", MaxMessageBytes = 1000, MaxErrors = 50 };

    [Theory]
    // One chunk; several; an empty last one; case and white space.
    [InlineData("BDAT 6 LAST\r\nx: y\r\n", "250", "x: y\r\n")]
    [InlineData("BDAT 3\r\nx: BDAT 3 LAST\r\ny\r\n", "250,250", "x: y\r\n")]
    [InlineData("BDAT 6\r\nx: y\r\nBDAT 0 LAST\r\n", "250,250", "x: y\r\n")]
    [InlineData("BDAT 0\r\nbdat 006  last \r\nx: y\r\n", "250,250", "x: y\r\n")]
    [InlineData("BDAT 0 LAST\r\n", "250", "")]
    // What looks like the end of data, like stuffing or like a command is content.
    [InlineData("BDAT 18 LAST\r\n.\r\n..\r\n\r\n.\r\nQUIT\r\n", "250", ".\r\n..\r\n\r\n.\r\nQUIT\r\n")]
    // A line end cut in two, and a last line without one.
    [InlineData("BDAT 5\r\nx: y\rBDAT 1 LAST\r\n\n", "250,250", "x: y\r\n")]
    [InlineData("BDAT 4 LAST\r\nx: y", "250", "x: y\r\n")]
    // What may stand between chunks.
    [InlineData("BDAT 3\r\nx: NOOP\r\nVRFY b\r\nBDAT 3 LAST\r\ny\r\n", "250,250,252,250", "x: y\r\n")]
    public void Chunks_make_a_message(string commands, string codes, string content)
    {
        var host = Play(commands + "NOOP\r\n");
        Assert.Equal($"250,250,250,{codes},250", Codes(host));
        Assert.Equal(content, Assert.Single(host.Accepted).Content);
    }

    [Theory]
    [InlineData("BDAT 1 LAST\r\n\0", 550)]
    [InlineData("BDAT 3 LAST\r\na\nb", 550)]
    [InlineData("BDAT 3 LAST\r\na\rb", 550)]
    [InlineData("BDAT 2 LAST\r\na\r", 550)]
    [InlineData("BDAT 2\r\na\rBDAT 1 LAST\r\nb", 250, 550)]
    public void Octets_that_no_message_may_contain_are_refused(string commands, params int[] codes)
    {
        var host = Play(commands + "RCPT TO:<b@example.com>\r\nNOOP\r\n");
        Assert.Equal($"250,250,250,{string.Join(',', codes)},503,250", Codes(host));
        Assert.Empty(host.Accepted);
    }

    [Theory]
    // DATA and BDAT do not mix.
    [InlineData("BDAT 1\r\nxDATA\r\nBDAT 5 LAST\r\n: y\r\n", "250,503,250")]
    [InlineData("BDAT 1\r\nxMAIL FROM:<>\r\nRCPT TO:<c@example.com>\r\nBDAT 5 LAST\r\n: y\r\n", "250,503,503,250")]
    [InlineData("BDAT 1\r\nxRSET\r\nBDAT 5 LAST\r\n: y\r\nDATA\r\n", "250,250,503,503")]
    [InlineData("BDAT 1\r\nxEHLO x\r\nBDAT 5 LAST\r\n: y\r\n", "250,250,503")]
    public void Commands_out_of_order_are_refused_and_their_octets_are_none(string commands, string codes) =>
        Assert.Equal("250,250,250," + codes, Codes(Play(commands)));

    [Theory]
    [InlineData("BDAT 6 LAST\r\nQUIT\r\n", 503)]
    [InlineData("EHLO x\r\nBDAT 6 LAST\r\nQUIT\r\n", 250, 503)]
    [InlineData("EHLO x\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\n", 250, 250, 554)]
    [InlineData("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@example.com>\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n", 250, 250, 550, 554, 554)]
    [InlineData("EHLO x\r\nMAIL FROM:<a@b@c>\r\nRCPT TO:<b@example.com>\r\nBDAT 6 LAST\r\nQUIT\r\n", 250, 501, 503, 503)]
    public void The_octets_of_a_refused_chunk_are_skipped(string commands, params int[] codes)
    {
        var host = PlayWhole(commands + "NOOP\r\n");
        Assert.Equal($"{string.Join(',', codes)},250", Codes(host));
        Assert.False(host.IsClosed);
        Assert.Empty(host.Accepted);
    }

    [Fact]
    public void A_client_that_was_turned_away_sends_no_commands_by_chunk()
    {
        var host = new ScriptedHost(Mx);
        host.Session.TurnAway();
        host.Feed("EHLO x\r\nBDAT 6 LAST\r\nQUIT\r\nQUIT\r\n"u8);
        Assert.Equal("503,503,221", Codes(host));
    }

    [Fact]
    public void Chunks_behind_one_that_was_refused_are_skipped_without_counting_as_errors()
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com", MaxMessageBytes = 10, MaxErrors = 2 });
        host.Feed(Wire.Bytes(Begin + "BDAT 11\r\nxxxxxxxxxxx" + string.Concat(Enumerable.Repeat("BDAT 6\r\nQUIT\r\n", 20)) + "BDAT 6 LAST\r\nQUIT\r\n"));
        Assert.Equal("250,250,250,552" + string.Concat(Enumerable.Repeat(",503", 21)), Codes(host));
        Assert.False(host.IsClosed);
        // The message is over; another chunk belongs to none.
        host.Feed("MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nBDAT 6 LAST\r\nx: y\r\nBDAT 1\r\nx"u8);
        Assert.EndsWith(",250,250,250,503", Codes(host), StringComparison.Ordinal);
        Assert.Equal("x: y\r\n", Assert.Single(host.Accepted).Content);
    }

    /// <summary>To read on as if nothing had been announced would make commands of content.</summary>
    [Theory]
    [InlineData("BDAT", 501)]
    [InlineData("BDAT LAST", 501)]
    [InlineData("BDAT -1", 501)]
    [InlineData("BDAT +6", 501)]
    [InlineData("BDAT 0x6", 501)]
    [InlineData("BDAT 6 FIRST", 501)]
    [InlineData("BDAT 6 LAST LAST", 501)]
    [InlineData("BDAT 6LAST", 501)]
    [InlineData("BDAT 000000000000000000006", 501)]
    [InlineData("BDAT 6 \0", 500)]
    [InlineData("BDAT\t6", 500)]
    public void A_size_that_cannot_be_read_ends_the_session(string command, int code)
    {
        var host = PlayWhole(Begin + command + "\r\nQUIT\r\n");
        Assert.Equal($"250,250,250,{code},421", Codes(host));
        Assert.True(host.IsClosed);
    }

    [Theory]
    [InlineData("BDAT 6\nQUIT\r\n")]
    [InlineData("BDAT 6{0}\r\nQUIT\r\n")]
    public void So_does_a_line_that_is_none(string commands)
    {
        var host = PlayWhole(Begin + commands.Replace("{0}", new string(' ', 3000), StringComparison.Ordinal));
        Assert.Equal("250,250,250,500,421", Codes(host));
        Assert.True(host.IsClosed);
    }

    [Theory]
    [InlineData("9223372036854775807", long.MaxValue)]
    [InlineData("9223372036854775808", long.MaxValue)]
    [InlineData("99999999999999999999", long.MaxValue)]
    [InlineData("4294967296", 4294967296)]
    public void A_size_that_is_too_large_for_a_number_is_no_small_one(string size, long octets)
    {
        var host = PlayWhole($"{Begin}BDAT {size} LAST\r\n.\r\nQUIT\r\n");
        Assert.Equal("250,250,250", Codes(host));
        Assert.Equal(new SmtpChunk(octets, IsLast: true), host.Session.Chunk);
    }

    [Theory]
    [InlineData("BDAT 0\r\n")]
    [InlineData("BDAT 1\r\nx")]
    public void A_flood_of_small_chunks_ends_the_session(string chunk)
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com" });
        host.Feed(Wire.Bytes(Begin));
        var sent = 0;
        while (!host.IsClosed && sent++ < 10_000)
            host.Feed(Wire.Bytes(chunk));
        Assert.Equal(SmtpLimits.MaxSmallChunks + 1, sent);
        Assert.EndsWith("421 4.7.0 Too many small chunks, closing\r\n", host.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Messages_cut_into_small_chunks_are_taken_one_after_the_other_and_so_are_large_chunks()
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com" });
        for (var i = 0; i < 3; i++)
            host.Feed(Wire.Bytes(Begin + string.Concat(Enumerable.Repeat("BDAT 1\r\nx", 900)) + "BDAT 0 LAST\r\n"));
        var large = $"BDAT {SmtpLimits.ChunkBytes}\r\n{new string('x', SmtpLimits.ChunkBytes)}";
        host.Feed(Wire.Bytes(Begin + string.Concat(Enumerable.Repeat(large, 2 * SmtpLimits.MaxSmallChunks)) + "BDAT 0 LAST\r\n"));
        Assert.False(host.IsClosed);
        Assert.Equal(4, host.Accepted.Count);
    }

    [Fact]
    public void However_content_is_cut_into_chunks_and_packets_it_is_what_was_sent() =>
        Gen.Select(
                Gen.OneOfConst("\r\n", "\r\n", ".", "..", "a", "line of text", "\r\n.\r\n", "BDAT 1\r\n", "QUIT\r\n").Array[0, 30].Select(string.Concat),
                Gen.Int[1, 40], Gen.Int[1, 50])
            .Sample((content, chunkSize, packetSize) =>
            {
                var chunks = Wire.Bytes(content).Chunk(chunkSize).Select(chunk => $"BDAT {chunk.Length}\r\n{Wire.Text(chunk)}");
                var host = new ScriptedHost(Mx);
                foreach (var packet in Wire.Bytes(Begin + string.Concat(chunks) + "BDAT 0 LAST\r\n").Chunk(packetSize))
                    host.Feed(packet);
                var expected = content.Length == 0 || content.EndsWith("\r\n", StringComparison.Ordinal) ? content : content + "\r\n";
                Assert.Equal(expected, Assert.Single(host.Accepted).Content);
            });

    /// <summary>Whole, line by line and byte by byte, behind a transaction that has begun.</summary>
    private static ScriptedHost Play(string commands)
    {
        var whole = new ScriptedHost(Mx);
        whole.Feed(Wire.Bytes(Begin));
        whole.Feed(Wire.Bytes(commands));
        var single = new ScriptedHost(Mx);
        foreach (var octet in Wire.Bytes(Begin + commands))
            single.Feed([octet]);
        Assert.Equal(whole.Output, single.Output);
        Assert.Equal(whole.Accepted.Select(message => message.Content), single.Accepted.Select(message => message.Content));
        return whole;
    }

    private static ScriptedHost PlayWhole(string commands)
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes(commands));
        return host;
    }

    private static string Codes(ScriptedHost host) => string.Join(
        ',',
        host.Output.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Where(line => line[3] == ' ').Select(line => line[..3]));
}
