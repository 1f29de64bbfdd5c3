using System.Globalization;
using System.Text;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>The whole service against programs that are not ours: knot answers for MX, Postfix and smtp-sink take the mail.</summary>
public sealed class RealFarEndTests
{
    /// <summary>Content that tempts a sender to change it. CRLF throughout, so that a Maildir with LF compares.</summary>
    private static readonly Dictionary<string, byte[]> s_corpus = new()
    {
        ["plain"] = Encoding.ASCII.GetBytes("Subject: plain\r\n\r\nHello\r\n"),
        ["dots"] = Encoding.ASCII.GetBytes("Subject: dots\r\n\r\n.\r\n..\r\n.dot\r\n...\r\nend.\r\n.\r\n"),
        ["eight"] = [.. Encoding.ASCII.GetBytes("Subject: eight\r\n\r\n"), .. Enumerable.Range(128, 128).Select(i => (byte)i), .. "\r\n"u8],
        ["noend"] = Encoding.ASCII.GetBytes("Subject: noend\r\n\r\nno final line end"),
        ["longheader"] = Encoding.ASCII.GetBytes($"Subject: longheader\r\nX-Long: {string.Concat(Enumerable.Repeat(new string('a', 900) + "\r\n ", 40))}\r\n\r\nbody\r\n"),
        ["large"] = Encoding.ASCII.GetBytes("Subject: large\r\n\r\n" + string.Concat(Enumerable.Range(0, 60_000).Select(i =>
            string.Create(CultureInfo.InvariantCulture, $".{i} and some more text to fill the line up to where mail is used to end it\r\n")))),
        ["multipart"] = Encoding.ASCII.GetBytes(
            "Subject: multipart\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\nContent-Type: multipart/alternative; "
            + "boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b--\r\n--a--\r\n"),
    };

    [Fact]
    public async Task Postfix_receives_by_MX_and_every_byte_arrives()
    {
        await using var postfix = await PostfixServer.StartAsync(
            new PostfixOptions { Domains = ["example.org"], Settings = "local_header_rewrite_clients =" });
        await using var dns = await DnsServer.StartAsync(
            """
            example.org. MX 10 gone.example.org.
            example.org. MX 20 mx.example.org.
            mx.example.org. A 127.0.0.1
            """);
        await using var host = await DeliveryHost.StartAsync(Settings(dns, postfix.EndPoint.Port));
        var recipients = new List<Recipient>();
        foreach (var content in s_corpus.Values)
            recipients.AddRange(await host.QueueAsync(content, "user@example.org"));

        var report = await host.DeliverAsync([.. recipients]);

        Assert.All(report.Results, result => Assert.Equal((AttemptOutcome.Delivered, $"mx.example.org[127.0.0.1]:{postfix.EndPoint.Port}"), (result.Outcome, result.RemoteHost)));
        await WaitAsync(() => postfix.ReadMaildir().Count == s_corpus.Count);
        AssertArrived(postfix.ReadMaildir(), "\n");
        Assert.Null(await host.Queue.FindQueuedAsync(recipients[0].RecipientId, default));
    }

    [Fact]
    public async Task Smtp_sink_receives_every_byte_with_and_without_pipelining()
    {
        foreach (string[] options in new string[][] { [], ["-p"], ["-e"] })
        {
            await using var sink = await SmtpSink.StartAsync(options);
            await using var dns = await DnsServer.StartAsync("example.org. A 127.0.0.1");
            await using var host = await DeliveryHost.StartAsync(Settings(dns, sink.EndPoint.Port));
            var recipients = new List<Recipient>();
            foreach (var content in s_corpus.Values)
                recipients.AddRange(await host.QueueAsync(content, "user@example.org"));
            var report = await host.DeliverAsync([.. recipients]);
            Assert.All(report.Results, result => Assert.Equal("Delivered 250 2.0.0 Ok", $"{result.Outcome} {result.Reply}"));
            AssertArrived(sink.ReadMessages(), "\n");
        }
    }

    [Fact]
    public async Task A_far_end_that_closes_after_the_dot_leaves_its_message_uncertain()
    {
        await using var sink = await SmtpSink.StartAsync(["-q", "."]);
        await using var dns = await DnsServer.StartAsync("example.org. A 127.0.0.1");
        await using var host = await DeliveryHost.StartAsync(Settings(dns, sink.EndPoint.Port));
        var report = await host.DeliverAsync(await host.QueueAsync(s_corpus["plain"], "user@example.org"));
        Assert.Equal("Uncertain 4.4.2", Assert.Single(Bench.Outcomes(report)));
    }

    [Fact]
    public async Task Postfix_refuses_one_recipient_and_takes_the_other()
    {
        await using var postfix = await PostfixServer.StartAsync(new PostfixOptions { Domains = ["example.org"] });
        await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes"] = $"*={postfix.EndPoint}" });
        var recipients = await host.QueueAsync(s_corpus["plain"], "user@example.org", "user@example.net");
        await host.SendAsync(new BatchCommand(await host.Queue.NextBatchIdAsync(default), "example.org", recipients));
        var report = await host.NextReportAsync();
        Assert.Equal(AttemptOutcome.Delivered, report.Results[0].Outcome);
        Assert.Equal(AttemptOutcome.Failed, report.Results[1].Outcome);
        Assert.StartsWith("5.", report.Results[1].Status, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("unknown.example.org", "Failed 5.1.2", false)]
    [InlineData("null.example.org", "Failed 5.1.10", false)]
    [InlineData("empty.example.org", "Failed 5.4.4", false)]
    [InlineData("dead.example.org", "Deferred 4.4.1", true)]
    [InlineData("loop.example.org", "Failed 5.4.6", false)]
    public async Task What_DNS_says_decides(string domain, string outcome, bool unreachable)
    {
        await using var dns = await DnsServer.StartAsync(
            """
            null.example.org. MX 0 .
            empty.example.org. TXT "nothing"
            dead.example.org. MX 10 dead.example.org.
            dead.example.org. A 127.0.0.1
            loop.example.org. MX 10 client.example.com.
            """);
        await using var host = await DeliveryHost.StartAsync(Settings(dns, FreePorts.Next()));
        var report = await host.DeliverAsync(await host.QueueAsync(s_corpus["plain"], $"user@{domain}"));
        Assert.Equal(outcome, Assert.Single(Bench.Outcomes(report)));
        Assert.Equal(unreachable, report.Unreachable);
    }

    [Fact]
    public async Task Silent_DNS_defers_and_holds_up_nobody()
    {
        await using var sink = await SmtpSink.StartAsync();
        await using var dns = await DnsServer.StartAsync("example.org. A 127.0.0.1");
        await using var silent = new SilentDnsServer(name => name.EndsWith("example.org", StringComparison.Ordinal) ? dns.EndPoint : null);
        var settings = Settings(dns, sink.EndPoint.Port);
        settings["Dns:Servers"] = $"{silent.EndPoint}";
        settings["Dns:Timeout"] = "00:00:01";
        settings["Delivery:RetryConsumers"] = "20";
        await using var host = await DeliveryHost.StartAsync(settings);
        for (var i = 0; i < 60; i++)
            await host.SendAsync(await host.QueueAsync(s_corpus["plain"], $"user@silent{i}.example.com"), BusEndpoints.DeliverRetry);
        await host.SendAsync(await host.QueueAsync(s_corpus["plain"], "user@example.org"));

        var first = await host.NextReportAsync();

        Assert.Equal("example.org Delivered", $"{first.Domain} {first.Results[0].Outcome}");
        for (var i = 0; i < 60; i++)
        {
            var report = await host.NextReportAsync();
            Assert.Equal("Deferred 4.4.3", Assert.Single(Bench.Outcomes(report)));
            Assert.True(report.Unreachable);
        }
    }

    [Fact]
    public async Task A_command_delivered_twice_is_carried_out_once()
    {
        await using var sink = await SmtpSink.StartAsync();
        await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes"] = $"*={sink.EndPoint}" });
        var recipients = await host.QueueAsync(s_corpus["plain"], "user@example.org");
        var command = new BatchCommand(await host.Queue.NextBatchIdAsync(default), "example.org", recipients);
        await host.SendAsync(command);
        await host.SendAsync(command);
        Assert.Equal("example.org Delivered", Describe(await host.NextReportAsync()));
        // While the first claim is there the second command has nothing to say, and behind its end, that it won nothing; the next one follows.
        await host.SendAsync(await host.QueueAsync(s_corpus["plain"], "user@example.com"));
        var next = await host.NextReportAsync();
        if (next.Domain == "example.org")
        {
            Assert.True(next.NothingWon);
            next = await host.NextReportAsync();
        }

        Assert.Equal("example.com Delivered", Describe(next));
        Assert.Equal(2, sink.ReadMessages().Count);

        static string Describe(AttemptReport report) => $"{report.Domain} {report.Results[0].Outcome}";
    }

    /// <summary>What the first report says decides for nothing that the second time has won.</summary>
    [Fact]
    public async Task A_batch_that_comes_again_is_worked_on_under_a_claim_of_its_own()
    {
        await using var sink = await SmtpSink.StartAsync();
        await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes"] = $"*={sink.EndPoint}" });
        var recipients = await host.QueueAsync(s_corpus["plain"], "x@example.org", "y@example.org");
        var command = new BatchCommand(await host.Queue.NextBatchIdAsync(default), "example.org", recipients);
        var other = await host.Get<ClaimStore>().TakeAsync(0, "example.org", [recipients[1]], begun: false, default);
        await host.SendAsync(command);
        var first = await host.NextReportAsync();
        await host.Get<ClaimStore>().ReleaseAsync(other.Id, other.Won, default);
        await host.SendAsync(command);
        var second = await host.NextReportAsync();

        Assert.Equal([AttemptOutcome.Delivered, AttemptOutcome.NotAttempted], first.Results.Select(result => result.Outcome));
        Assert.Equal([AttemptOutcome.NotAttempted, AttemptOutcome.Delivered], second.Results.Select(result => result.Outcome));
        Assert.Equal((command.BatchId, command.BatchId), (first.BatchId, second.BatchId));
        Assert.Equal(4, new[] { command.BatchId, other.Id, first.ClaimId, second.ClaimId }.Distinct().Count());
    }

    private static Dictionary<string, string?> Settings(DnsServer dns, int port) => new()
    {
        ["Dns:Servers"] = $"{dns.EndPoint}",
        ["Delivery:Port"] = $"{port}",
        ["Delivery:LocalAddresses"] = "Allow",
        ["Delivery:IdleTime"] = "00:00:00",
    };

    /// <summary>Each message of the corpus is there once, behind the far end's own trace lines and with its line ends.</summary>
    private static void AssertArrived(IReadOnlyList<byte[]> arrived, string lineEnd)
    {
        Assert.Equal(s_corpus.Count, arrived.Count);
        foreach (var (name, sent) in s_corpus)
        {
            var wanted = Encoding.Latin1.GetString(sent).Replace("\r\n", lineEnd, StringComparison.Ordinal);
            wanted = wanted.EndsWith(lineEnd, StringComparison.Ordinal) ? wanted : wanted + lineEnd;
            var found = arrived.Select(bytes => Encoding.Latin1.GetString(bytes))
                .Single(text => text.Contains($"\nSubject: {name}\n", StringComparison.Ordinal));
            Assert.Equal(wanted, found[found.IndexOf($"Subject: {name}\n", StringComparison.Ordinal)..].TrimEnd('\n') + lineEnd + TrailingEmpty(wanted, lineEnd));
        }
    }

    private static string TrailingEmpty(string text, string lineEnd) =>
        string.Concat(Enumerable.Repeat(lineEnd, text.Length - text.TrimEnd('\n').Length - 1));

    private static Task WaitAsync(Func<bool> condition) => Eventually.TrueAsync(condition, TimeSpan.FromSeconds(30), cancellation: TestContext.Current.CancellationToken);
}
