using CsCheck;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>Content by BDAT (RFC 3030) to far ends that offer CHUNKING.</summary>
public sealed class ChunkingTests
{
    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250-PIPELINING
        S: 250 CHUNKING

        """;

    private const string Unpiped =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 CHUNKING

        """;

    private const string Commands =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        S: 250 Ok
        S: 250 Ok

        """;

    private const string ByData =
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        C: one
        C: .
        S: 250 2.0.0 Taken

        """;

    private const string One = "C: BDAT 5 LAST\nC: one\n";
    private const string Quit = "C: QUIT\nS: 221 Bye\n";

    /// <summary>One chunk of it, CRLF included.</summary>
    private static readonly string s_line = new('x', TransactionPipeline.ChunkBytes - 2);

    private static readonly string s_large = $"{s_line}\r\n{s_line}\r\nend\r\n";

    /// <summary>All of it but its end, before the first chunk is answered.</summary>
    private static readonly string s_twoChunks = $"C: BDAT {TransactionPipeline.ChunkBytes}\nC: {s_line}\nC: BDAT {TransactionPipeline.ChunkBytes}\nC: {s_line}\n";

    /// <summary>With PIPELINING two chunks travel at once, and the third follows when the first is answered.</summary>
    private static readonly string s_threeChunks = $"{s_twoChunks}S: 250 First\nC: BDAT 5 LAST\nC: end\n";

    [Theory]
    [InlineData(Cut.Whole)]
    [InlineData(Cut.Lines)]
    [InlineData(Cut.Bytes)]
    public async Task The_commands_of_the_next_message_travel_behind_the_last_chunk_with_RSET_before_them(Cut cut)
    {
        var report = await TalkAsync(
            [
                Hello + Commands + One +
                """
                C: RSET
                C: MAIL FROM:<sender@example.com>
                C: RCPT TO:<user2@example.net>
                S: 250 2.0.0 queued as 1
                S: 250 Reset
                S: 250 Ok
                S: 250 Ok
                C: BDAT 8 LAST
                C: .two..
                S: 250 2.6.0 queued as 2

                """ + Quit,
            ],
            ["one\r\n", ".two..\r\n"], cut);
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.6.0"], Bench.Outcomes(report));
        Assert.Equal("250 2.6.0 queued as 2", report.Results[1].Reply);
    }

    [Fact]
    public async Task Without_PIPELINING_each_command_and_each_chunk_waits_for_its_reply()
    {
        var report = await TalkAsync(
            [
                Unpiped +
                $"""
                C: MAIL FROM:<sender@example.com>
                S: 250 Ok
                C: RCPT TO:<user1@example.net>
                S: 250 Ok
                C: BDAT {TransactionPipeline.ChunkBytes}
                C: {s_line}
                S: 250 First
                C: BDAT {TransactionPipeline.ChunkBytes}
                C: {s_line}
                S: 250 Second
                C: BDAT 5 LAST
                C: end
                S: 250 2.0.0 Taken

                """ + Quit,
            ],
            [s_large]);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    /// <summary>What ends without a line end goes as it is, and what is empty has a chunk all the same.</summary>
    [Theory]
    [InlineData("", "C: BDAT 0 LAST\nS: 250 2.0.0 Taken\nC: QUIT\nS: 221 Bye\n")]
    [InlineData(".", "C: BDAT 1 LAST\nC: .RSET\nC: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\nS: 250 2.0.0 Taken\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\n"
        + "C: BDAT 5 LAST\nC: two\nS: 250 2.0.0 Taken\nC: QUIT\nS: 221 Bye\n")]
    public async Task No_octet_is_added(string content, string script)
    {
        var report = await TalkAsync([Hello + Commands + script], content.Length == 0 ? [content] : [content, "two\r\n"]);
        Assert.All(Bench.Outcomes(report), outcome => Assert.Equal("Delivered 2.0.0", outcome));
    }

    public static TheoryData<string, string> EndsOfOneChunk => new()
    {
        { "S: 250 2.6.0 Taken", "Delivered 2.6.0" },
        { "S: 200 Taken", "Delivered 2.0.0" },
        { "S: 452 4.2.2 Full", "Deferred 4.2.2" },
        { "S: 550 5.7.1 Spam", "Failed 5.7.1" },
        { "S: 554 No", "Failed 5.0.0" },
        { "S: 421 4.3.2 Going down", "Deferred 4.3.2" },
        { "S: 354 Go on", "Uncertain 4.4.2" },
        { "S: what", "Uncertain 4.4.2" },
        { "S: 250-2.0.0 Taken\n! close", "Uncertain 4.4.2" },
        { "! close", "Uncertain 4.4.2" },
        { "! reset", "Uncertain 4.4.2" },
    };

    [Theory]
    [MemberData(nameof(EndsOfOneChunk))]
    public async Task The_reply_to_the_last_chunk_decides(string end, string outcome)
    {
        await using var server = new ScriptedServer(Hello + Commands + One + end);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal([outcome], Bench.Outcomes(report));
        Assert.Equal(outcome[0] == 'D' && outcome[2] == 'l' ? 1 : 0, bench.Claims.Recorded.Count);
    }

    public static TheoryData<string, string> EndsOfThreeChunks => new()
    {
        { "S: 250 Second\nS: 250 2.0.0 Taken", "Delivered 2.0.0" },
        { "S: 250 Second\nS: 550 5.7.1 Spam", "Failed 5.7.1" },
        { "S: 250 Second\nS: 503 5.5.1 What", "Deferred 4.0.0" },
        { "S: 250 Second\n! close", "Uncertain 4.4.2" },
        { "S: 354 Second\nS: 250 Taken", "Uncertain 4.4.2" },
        { "! close", "Uncertain 4.4.2" },
        // The word for the chunk that failed, and not that for the one that had nothing to add to.
        { "S: 552 5.3.4 Too big\nS: 503 5.5.1 What", "Failed 5.3.4" },
        { "S: 451 4.3.0 Later\nS: 503 5.5.1 What", "Deferred 4.3.0" },
        { "S: 552 5.3.4 Too big\n! close", "Failed 5.3.4" },
        { "S: 421 4.3.2 Going down\n! close", "Deferred 4.3.2" },
        // It may have all of the message, or a part of it.
        { "S: 552 5.3.4 Too big\nS: 250 2.0.0 Taken after all", "Uncertain 4.4.2" },
    };

    [Theory]
    [MemberData(nameof(EndsOfThreeChunks))]
    public async Task A_chunk_that_is_refused_while_the_last_one_travels(string end, string outcome)
    {
        await using var server = new ScriptedServer(Hello + Commands + s_threeChunks + end);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal([outcome], Bench.Outcomes(await bench.RunAsync(bench.Message(s_large))));
    }

    [Theory]
    [InlineData("552 5.3.4 Too big", "Failed 5.3.4")]
    [InlineData("452 4.3.1 Full", "Deferred 4.3.1")]
    public async Task Behind_a_refused_chunk_nothing_more_of_the_message_is_sent_and_RSET_clears_it(string refusal, string outcome)
    {
        var report = await TalkAsync(
            [
                Hello + Commands + s_twoChunks +
                $"""
                S: {refusal}
                S: 503 5.5.1 What
                C: RSET
                C: MAIL FROM:<sender@example.com>
                C: RCPT TO:<user2@example.net>
                S: 250 Reset
                S: 250 Ok
                S: 250 Ok
                C: BDAT 5 LAST
                C: two
                S: 250 2.0.0 Taken

                """ + Quit,
            ],
            [s_large, "two\r\n"]);
        Assert.Equal([outcome, "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_refused_last_chunk_disturbs_the_next_message_in_nothing()
    {
        var report = await TalkAsync(
            [
                Hello + Commands + One +
                """
                C: RSET
                C: MAIL FROM:<sender@example.com>
                C: RCPT TO:<user2@example.net>
                S: 550 5.7.1 Spam
                S: 250 Reset
                S: 250 Ok
                S: 250 Ok
                C: BDAT 5 LAST
                C: two
                S: 250 2.0.0 Taken

                """ + Quit,
            ],
            ["one\r\n", "two\r\n"]);
        Assert.Equal(["Failed 5.7.1", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("250 Ok", "550 5.1.1 Unknown", "Failed 5.1.1")]
    [InlineData("451 4.7.1 Greylisted", "503 5.5.1 What", "Deferred 4.7.1")]
    public async Task Nobody_who_takes_no_recipient_is_sent_the_content(string mail, string rcpt, string outcome)
    {
        var reset = mail[0] == '2' ? ("C: RSET\n", "S: 250 Reset\n") : ("", "");
        var report = await TalkAsync(
            [
                Hello + $"C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user1@example.net>\nS: {mail}\nS: {rcpt}\n"
                + reset.Item1 + "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\n" + reset.Item2
                + "S: 250 Ok\nS: 250 Ok\nC: BDAT 5 LAST\nC: two\nS: 250 2.0.0 Taken\n" + Quit,
            ],
            ["one\r\n", "two\r\n"]);
        Assert.Equal([outcome, "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    /// <summary>Whoever takes the content for commands has more to say; none of it is listened to.</summary>
    [Theory]
    [InlineData("500 5.5.1 Unknown command")]
    [InlineData("502 5.5.1 Not here")]
    [InlineData("503 5.5.1 What")]
    public async Task Who_offers_CHUNKING_and_does_not_know_BDAT_gets_DATA_from_then_on(string refusal)
    {
        await using var server = new ScriptedServer(
        [
            Hello + Commands + $"C: BDAT 5 LAST\nS: {refusal}\nS: 500 5.5.1 Unknown command\n",
            Hello + ByData + "C: QUIT\nS: 221 Bye",
            Hello + ByData.Replace("user1@", "user2@", StringComparison.Ordinal) + "C: QUIT\nS: 221 Bye",
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);

        var first = await bench.RunAsync(bench.Message("one\r\n"));
        var second = await bench.RunAsync(bench.Message("one\r\n"));

        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(first).Concat(Bench.Outcomes(second)));
        Assert.Single(bench.Log.Collector.GetSnapshot(), line => line.Message == $"relay=127.0.0.1[127.0.0.1]:{server.Port} offers CHUNKING and does not know BDAT; for a day it gets DATA: {refusal}");
    }

    [Fact]
    public async Task Two_messages_change_to_DATA_together()
    {
        await using var server = new ScriptedServer(
        [
            Hello + Commands + One + "C: RSET\nC: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user2@example.net>\nS: 502 5.5.1 Not here\n",
            Hello + ByData.Replace("C: .\nS: 250 2.0.0 Taken", "C: .", StringComparison.Ordinal) +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.0.0 Taken
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: two
            C: .
            S: 250 2.0.0 Taken

            """ + Quit,
        ]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Who_has_taken_a_chunk_and_loses_the_thread_is_no_stranger_to_BDAT()
    {
        var report = await TalkAsync(
            [
                Hello + Commands + One +
                """
                C: RSET
                C: MAIL FROM:<sender@example.com>
                C: RCPT TO:<user2@example.net>
                S: 250 2.0.0 Taken
                S: 250 Reset
                S: 250 Ok
                S: 250 Ok
                C: BDAT 5 LAST
                C: two
                S: 503 5.5.1 What

                """ + Quit,
            ],
            ["one\r\n", "two\r\n"]);
        Assert.Equal(["Delivered 2.0.0", "Deferred 4.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task The_setting_leaves_BDAT_away()
    {
        var report = await TalkAsync([Hello + ByData + Quit], ["one\r\n"], configure: options => options.Chunking = false);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("S: 250 2.0.0 Kept\nS: 452 4.2.2 Full\nC: QUIT\nS: 221 Bye", "Delivered 2.0.0", "Deferred 4.2.2")]
    [InlineData("S: 250 2.0.0 Kept\n! close", "Delivered 2.0.0", "Uncertain 4.4.2")]
    public async Task By_LMTP_each_recipient_has_a_reply_to_the_last_chunk(string end, string first, string second)
    {
        var report = await LmtpAsync(["a@example.net", "b@example.net"], LmtpHello + LmtpCommands + "C: BDAT 5 LAST\nC: one\n" + end);
        Assert.Equal([first, second], Bench.Outcomes(report));
    }

    [Fact]
    public async Task An_LMTP_server_that_does_not_know_BDAT_says_so_once_and_gets_DATA()
    {
        const string Mail = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<a@example.net>\n";
        var report = await LmtpAsync(
            ["a@example.net"],
            LmtpHello + Mail + "S: 250 Ok\nS: 250 Ok\nC: BDAT 5 LAST\nS: 500 5.5.1 Unknown\n",
            LmtpHello + Mail + "C: DATA\nS: 250 Ok\nS: 250 Ok\nS: 354 Go on\nC: one\nC: .\nS: 250 2.0.0 Kept\n" + Quit);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    /// <summary>One of many says that there is no such command: the others may have the message all the same, and it is not sent again as if they had not.</summary>
    [Theory]
    [InlineData("S: 500 5.5.1 Unknown\n")]
    [InlineData("S: 503 5.5.1 What\nS: 250 2.0.0 Kept\n")]
    public async Task By_LMTP_what_the_first_of_several_says_of_BDAT_is_his_answer_alone(string end)
    {
        await using var server = new ScriptedServer(
        [
            LmtpHello + LmtpCommands + "C: BDAT 5 LAST\nC: one\n" + end,
            LmtpHello + LmtpCommands.Replace("C: RCPT TO:<b@example.net>", "C: RCPT TO:<b@example.net>\nC: DATA", StringComparison.Ordinal)
            + "S: 354 Go on\nC: one\nC: .\nS: 250 2.0.0 Kept\nS: 250 2.0.0 Kept\n" + Quit,
        ]);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        Assert.Equal(["Deferred 4.0.0", "Uncertain 4.4.2"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n", ["a@example.net", "b@example.net"]))));
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n", ["a@example.net", "b@example.net"]))));
        await server.FinishAsync();
    }

    /// <summary>By one who has lost the thread, and will not answer for each: nobody waits for that, and nobody's mail is returned.</summary>
    [Fact(Timeout = 60_000)]
    public async Task By_LMTP_a_lost_thread_behind_the_last_chunk_ends_the_connection_and_returns_nothing()
    {
        const string Second = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<c@example.net>\nC: RCPT TO:<d@example.net>\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\n";
        await using var server = new ScriptedServer(
            LmtpHello + LmtpCommands + "C: BDAT 5 LAST\nC: one\nS: 250 2.0.0 Kept\nS: 503 5.5.1 What\n" + Second + "C: BDAT 5 LAST\nC: two\nS: 503 5.5.1 What\n");
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(
            bench.Message("one\r\n", ["a@example.net", "b@example.net"]), bench.Message("two\r\n", ["c@example.net", "d@example.net"]));
        Assert.Equal(["Delivered 2.0.0", "Deferred 4.0.0", "Deferred 4.0.0", "Uncertain 4.4.2"], Bench.Outcomes(report));
        await server.FinishAsync();
    }

    /// <summary>What a connection has shown it has shown to all batches that it carries.</summary>
    [Fact]
    public async Task A_kept_connection_that_knows_BDAT_knows_it_in_the_next_batch()
    {
        await using var server = new ScriptedServer(
            Hello + Commands + One + "S: 250 2.0.0 Taken\n" + Commands.Replace("user1@", "user2@", StringComparison.Ordinal) + One + "S: 503 5.5.1 What\n");
        await using var bench = new Bench(options => options.IdleTime = TimeSpan.FromSeconds(30));
        bench.RouteTo(server);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(["Deferred 4.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal(1, server.Connections);
    }

    /// <summary>Behind a chunk that failed LMTP does not say how many replies follow: no more than one is waited for.</summary>
    [Fact]
    public async Task By_LMTP_a_refused_chunk_is_the_answer_for_all()
    {
        await using var server = new ScriptedServer(LmtpHello + LmtpCommands + s_threeChunks + "S: 552 5.3.4 Too big\n");
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message(s_large, ["a@example.net", "b@example.net"]));
        Assert.Equal(["Failed 5.3.4", "Failed 5.3.4"], Bench.Outcomes(report));
    }

    /// <summary>What the far end may not have is the last octet: without it there is no message.</summary>
    [Fact]
    public async Task The_last_octet_is_held_back_until_storage_knows_of_it()
    {
        var (report, received) = await SendInPartAsync((bench, _) => bench.Claims.LostClaims.Add(FakeClaims.IdFor(77)));
        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.True(received < Large);
    }

    [Fact]
    public async Task Content_that_cannot_be_read_whole_never_has_its_last_octet()
    {
        var (report, received) = await SendInPartAsync((bench, message) => bench.Content.Unreadable[message[0].MessageId] = Large - 1000);
        Assert.Equal(["Deferred 4.3.0"], Bench.Outcomes(report));
        Assert.True(received < Large);
    }

    [Theory]
    [InlineData(-1)]
    [InlineData(1)]
    public async Task Content_of_another_length_than_was_said_is_not_sent_to_its_end(int more)
    {
        var (report, received) = await SendInPartAsync(
            (bench, message) => bench.Content.Add(message[0].MessageId, new string('x', Large + more)));
        Assert.Equal(["Deferred 4.3.0"], Bench.Outcomes(report));
        Assert.True(received < Large);
    }

    private const int Large = 100_000;

    /// <summary>What a far end has got of the one chunk of a message that cannot be sent to its end, as it waits for more.</summary>
    private static async Task<(AttemptReport Report, int Received)> SendInPartAsync(Action<Bench, Recipient[]> spoil)
    {
        await using var sink = new ChunkSink();
        await using var bench = new Bench(options => options.MaxHosts = 1);
        bench.RouteTo($"127.0.0.1:{sink.Port}");
        bench.Content.ChunkBytes = 1000;
        var message = bench.Message(new string('x', Large));
        spoil(bench, message);
        var report = await bench.RunAsync(message);
        await sink.TalkedAsync();
        Assert.Equal([$"BDAT {Large} LAST"], sink.Commands);
        Assert.Empty(sink.Messages);
        Assert.Empty(bench.Claims.Recorded);
        return (report, sink.Received);
    }

    /// <summary>A far end that breaks off before it can have all of it leaves nothing in doubt.</summary>
    [Fact]
    public async Task Before_the_last_chunk_ends_nothing_is_uncertain()
    {
        var broken = Hello + Commands + $"C: BDAT {TransactionPipeline.ChunkBytes}\n! close";
        await using var server = new ScriptedServer([broken, broken]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        Assert.Equal(["Deferred 4.4.2"], Bench.Outcomes(await bench.RunAsync(bench.Message(s_large))));
    }

    /// <summary>Whatever the content, and however storage cuts it, the far end counts the octets that were said, and they are these.</summary>
    [Fact]
    public async Task Any_content_arrives_octet_for_octet()
    {
        var contents = Gen.Select(
            Gen.String[Gen.OneOfConst('.', '\r', '\n', 'a', '\u00e4', '\0'), 0, 3000], Gen.Int[1, 900], (text, cut) => (text, cut));
        await contents.SampleAsync(
            async sample =>
            {
                await using var sink = new ChunkSink();
                await using var bench = new Bench();
                bench.Content.ChunkBytes = sample.cut;
                bench.RouteTo($"127.0.0.1:{sink.Port}");
                var report = await bench.RunAsync(bench.Message(sample.text), bench.Message("next\r\n"));
                Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
                Assert.Equal([sample.text, "next\r\n"], sink.Messages);
            },
            iter: 60, threads: 1);
    }

    private const string LmtpHello = "S: 220 mail.example.net LMTP\nC: LHLO client.example.com\nS: 250-mail.example.net\nS: 250-PIPELINING\nS: 250 CHUNKING\n";

    private const string LmtpCommands = "C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<a@example.net>\nC: RCPT TO:<b@example.net>\nS: 250 Ok\nS: 250 Ok\nS: 250 Ok\n";

    private static async Task<AttemptReport> LmtpAsync(string[] recipients, params string[] scripts)
    {
        await using var server = new ScriptedServer(scripts);
        await using var bench = new Bench();
        bench.Relays[Bench.Domain] = new Relay(new NextHop("127.0.0.1", server.Port, IsLmtp: true));
        var report = await bench.RunAsync(bench.Message("one\r\n", recipients));
        await server.FinishAsync();
        return report;
    }

    private static async Task<AttemptReport> TalkAsync(
        string[] scripts, string[] contents, Cut cut = Cut.Whole, Action<DeliveryOptions>? configure = null)
    {
        await using var server = new ScriptedServer(scripts, cut);
        await using var bench = new Bench(configure);
        bench.RouteTo(server);
        var report = await bench.RunAsync([.. contents.Select(content => bench.Message(content))]);
        await server.FinishAsync();
        Assert.Empty(server.Surplus);
        return report;
    }
}
