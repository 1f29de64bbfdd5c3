using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Content that comes by BDAT (RFC 3030) is kept, checked and refused as that of DATA.</summary>
public sealed class ChunkTests
{
    private const string Begin = "MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n";

    [Fact]
    public async Task Chunks_that_travel_together_are_one_message_of_what_was_sent()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        const string Content = "Subject: x\r\n\r\n.\r\n..a\r\nQUIT\r\nmore";
        await client.SendAsync($"{Begin}BDAT 17\r\n{Content[..17]}BDAT {Content.Length - 17} LAST\r\n{Content[17..]}NOOP\r\n");
        await client.ExpectAsync("250 2.1.0");
        await client.ExpectAsync("250 2.1.5");
        await client.ExpectAsync("250 2.0.0 17 octets received");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        await client.ExpectAsync("250 2.0.0 Ok");
        var message = await host.NextHintAsync();
        Assert.Equal(Content + "\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync(message.MessageId)));
        Assert.Equal((await host.ContentAsync(message.MessageId)).Length, message.SizeBytes);
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task A_message_cut_into_octets_is_kept_as_a_whole_one()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        const string Content = "Subject: \u00fc\r\n\r\n.\r\nbody\r\n";
        await client.SendAsync(Begin + string.Concat(Content.Select(octet => $"BDAT 1\r\n{octet}")) + "BDAT 0 LAST\r\n");
        for (var reply = 0; reply < 2 + Content.Length; reply++)
            await client.ExpectAsync("250 2.");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        Assert.Equal(Content, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    [Fact]
    public async Task Chunks_larger_than_what_is_held_in_memory_are_kept()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        var content = string.Concat(Enumerable.Range(0, 200_000).Select(line => $"{line:D8}\r\n"));
        await client.SendAsync(Begin);
        await client.ExpectAsync("250");
        await client.ExpectAsync("250");
        for (var at = 0; at < content.Length; at += 700_001)
        {
            var chunk = content[at..Math.Min(content.Length, at + 700_001)];
            await client.SayAsync($"BDAT {chunk.Length}\r\n{chunk}NOOP", "250");
            await client.ExpectAsync("250");
        }

        await client.SayAsync("BDAT 0 LAST", "250 2.0.0 Ok: queued as ");
        Assert.Equal(content, Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
    }

    [Theory]
    [InlineData("BDAT 100001 LAST", 100_001)]
    [InlineData("BDAT 100001", 100_001)]
    [InlineData("BDAT 100010 LAST", 100_010)]
    public async Task A_chunk_beyond_the_size_that_is_announced_is_read_and_refused(string command, int size)
    {
        await using var host = await SmallAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync($"{Begin}{command}\r\n{Content(size)}NOOP\r\n");
        await client.ExpectAsync("250");
        await client.ExpectAsync("250");
        await client.ExpectAsync("552 5.3.4");
        await client.ExpectAsync("250 2.0.0 Ok");
        // Exactly the size is no more than it, in any number of chunks.
        await client.SendAsync($"{Begin}BDAT 50000\r\n{Content(50_000)}BDAT 50000 LAST\r\n{Content(50_000)}");
        for (var reply = 0; reply < 3; reply++)
            await client.ExpectAsync("250");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        Assert.Equal(100_000, (await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)).Length);
    }

    [Fact]
    public async Task Many_chunks_that_are_too_much_together_are_refused_where_they_are()
    {
        await using var host = await SmallAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync(Begin + string.Concat(Enumerable.Repeat($"BDAT 30000\r\n{Content(30_000)}", 5)) + "BDAT 0 LAST\r\nMAIL FROM:<>\r\n");
        foreach (var reply in new[] { "250", "250", "250", "250", "250", "552 5.3.4", "503 5.5.1", "503 5.5.1", "250 2.1.0" })
            await client.ExpectAsync(reply);
        Assert.False(host.HasHint);
    }

    [Theory]
    [InlineData(Begin + "BDAT 99999999999999999999 LAST\r\n", 2, "552 5.3.4")]
    [InlineData("BDAT 9999999999\r\n", 0, "421 4.7.0")]
    public async Task A_chunk_without_end_is_cut_off(string commands, int before, string last)
    {
        await using var host = await SmallAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync(commands);
        for (var reply = 0; reply < before; reply++)
            await client.ExpectAsync("250");
        // What is thrown away at most, and an octet.
        await client.SendAsync(Content(400_000) + "x");
        await client.ExpectAsync(last);
        await client.ExpectEndAsync();
        await host.NoSessionsAsync();
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task Refused_chunks_have_a_bound_of_all_their_octets()
    {
        await using var host = await SmallAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        for (var sent = 0; sent < 4; sent++)
            await client.SayAsync($"BDAT 100000\r\n{Content(99_998)}", "503 5.5.1 Send MAIL first");
        await client.SayAsync("BDAT 10 LAST\r\n12345678", "421 4.7.0");
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_message_whose_last_chunk_does_not_come_is_forgotten()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        foreach (var end in new[] { "RSET", "EHLO client.example.net", "HELO client.example.net" })
        {
            await client.SendAsync($"{Begin}BDAT 600000\r\n{Content(600_000)}");
            for (var reply = 0; reply < 3; reply++)
                await client.ExpectAsync("250");
            await client.SayAsync(end, "250");
        }

        await client.SendAsync($"{Begin}BDAT 6 LAST\r\nx: y\r\n");
        for (var reply = 0; reply < 2; reply++)
            await client.ExpectAsync("250");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        Assert.Equal("x: y\r\n", Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId)));
        Assert.False(host.HasHint);
    }

    [Theory]
    [InlineData("Received: from a by b;\r\n\tsome day\r\n", 101, "", "554 5.4.6")]
    [InlineData("", 0, "x: y\r\n\r\na\nb\r\n", "550 5.6.0")]
    [InlineData("", 0, "x: y\r\n\r\na\0b\r\n", "550 5.6.0 Message contains NUL")]
    public async Task Content_is_checked_as_that_of_DATA(string repeated, int times, string rest, string reply)
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        var content = string.Concat(Enumerable.Repeat(repeated, times)) + rest;
        await client.SendAsync($"{Begin}BDAT {content.Length} LAST\r\n{content}NOOP\r\n");
        await client.ExpectAsync("250");
        await client.ExpectAsync("250");
        await client.ExpectAsync(reply);
        await client.ExpectAsync("250");
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task A_submitted_message_is_completed_and_its_line_ends_are_repaired()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250");
        await client.SayAsync("RCPT TO:<ann@example.com>", "250");
        await client.SayAsync("BDAT 14\r\nSubject: x\n\n.NNOOP", "250");
        await client.ExpectAsync("250");
        await client.SendAsync("BDAT 4 LAST\r\n\n..b");
        await client.ExpectAsync("250 2.0.0 Ok: queued as ");
        var content = Encoding.Latin1.GetString(await host.ReceivedContentAsync((await host.NextHintAsync()).MessageId));
        Assert.StartsWith("From: ann@example.com\r\nDate: ", content, StringComparison.Ordinal);
        Assert.EndsWith("\r\nSubject: x\r\n\r\n.N\r\n..b\r\n", content, StringComparison.Ordinal);
    }

    /// <summary>Commands between the chunks prolong nothing.</summary>
    [Fact]
    public async Task All_chunks_of_a_message_have_the_time_of_one_content()
    {
        var time = new FakeTimeProvider();
        await using var host = await IngressHost.StartAsync(time: time);
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SendAsync(Begin + "BDAT 3\r\nx: NOOP\r\n");
        for (var reply = 0; reply < 4; reply++)
            await client.ExpectAsync("250");
        for (var minutes = 4; minutes < 60; minutes += 4)
        {
            time.Advance(TimeSpan.FromMinutes(4));
            await client.SayAsync("NOOP", "250");
        }

        time.Advance(TimeSpan.FromMinutes(4));
        await client.ExpectAsync("421 4.4.2");
        await client.ExpectEndAsync();
        await host.NoSessionsAsync();
        Assert.False(host.HasHint);
    }

    private static Task<IngressHost> SmallAsync() => IngressHost.StartAsync(
        new Dictionary<string, string> { ["Ingress:MaxMessageBytes"] = "100000", ["Ingress:MaxDiscardedBytes"] = "300000" });

    private static string Content(int bytes) => string.Concat(Enumerable.Repeat("12345678\r\n", (bytes / 10) + 1))[..bytes];
}
