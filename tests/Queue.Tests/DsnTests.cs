using MailPipeline.Mail;
using MailPipeline.Smtp;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>What senders are told who say what they want to know (RFC 3461).</summary>
public sealed class DsnTests
{
    private static readonly string[] s_outcomes = ["maildrop", "relayed", "failed", "delayed", "expanded"];

    /// <summary>What is asked for; then for each outcome the reports where the next hop has no DSN, and where it has.</summary>
    private static readonly (string Notify, string[] Reports)[] s_table =
    [
        //                         maildrop                relayed         failed              delayed               expanded
        //                         no DSN       DSN        no DSN     DSN  no DSN    DSN       no DSN     DSN        no DSN      DSN
        ("",                      ["",          "",          "",        "", "failed", "failed", "delayed", "delayed", "",         ""]),
        ("NEVER",                 ["",          "",          "",        "", "",       "",       "",        "",        "",         ""]),
        ("SUCCESS",               ["delivered", "delivered", "relayed", "", "",       "",       "",        "",        "expanded", "expanded"]),
        ("FAILURE",               ["",          "",          "",        "", "failed", "failed", "",        "",        "",         ""]),
        ("DELAY",                 ["",          "",          "",        "", "",       "",       "delayed", "delayed", "",         ""]),
        ("SUCCESS,FAILURE",       ["delivered", "delivered", "relayed", "", "failed", "failed", "",        "",        "expanded", "expanded"]),
        ("SUCCESS,FAILURE,DELAY", ["delivered", "delivered", "relayed", "", "failed", "failed", "delayed", "delayed", "expanded", "expanded"]),
    ];

    [Theory]
    [InlineData(true)]
    // By the reconciler, from storage alone.
    [InlineData(false)]
    public async Task Each_sender_is_told_what_he_asked_for_and_nothing_else(bool hint)
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:DelayReportAfter"] = "00:00:01" });
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("maildrop@example.org", "hash");
        queue.Worker.Answer = recipient => recipient.Address.Split('@')[0] switch
        {
            "failed" => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user"),
            "delayed" => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full"),
            _ => (AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 Ok"),
        };
        queue.Worker.OffersDsn = recipient => recipient.Address.EndsWith("@dsn.example.net", StringComparison.Ordinal);
        foreach (var host in new[] { "plain", "dsn" })
        {
            await queue.Directory.AddAliasAsync($"expanded-{host}@example.org", $"one@{host}.example.net");
            await queue.Directory.AddAliasAsync($"expanded-{host}@example.org", $"two@{host}.example.net");
        }
        var cells = Cells().ToList();
        foreach (var (sender, notify, to, _) in cells)
        {
            await queue.Directory.AddAccountAsync(sender, "hash");
            var dsn = notify.Length == 0 ? null : new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse($"NOTIFY={notify}")]);
            await queue.AcceptAsync(hint, sender, dsn, [to]);
        }

        await Until.TrueAsync(
            async () => (await queue.CountAsync()) is { Unrouted: 0, Unreported: 0, Claims: 0 } && (await TellAsync()).All(cell => cell.Told.Length >= cell.Expected.Length),
            "everybody was told what he asked for");
        // Whoever was to be told of a delay in a round after that has been told.
        await queue.Directory.AddAccountAsync("last@example.org", "hash");
        await queue.AcceptAsync(hint: true, "last@example.org", "delayed@plain.example.net");
        await Until.TrueAsync(async () => (await queue.MaildropAsync("last@example.org")).Count > 0, "the last one is told of his delay");
        Assert.All(await TellAsync(), cell => Assert.Equal((cell.Sender, cell.Expected), (cell.Sender, cell.Told)));

        async Task<List<(string Sender, string Expected, string Told)>> TellAsync()
        {
            var told = new List<(string, string, string)>();
            foreach (var (sender, _, _, expected) in cells)
                told.Add((sender, expected, string.Join(' ', (await ReportsAsync(queue, sender)).Select(ActionsIn))));
            return told;
        }
    }

    private static IEnumerable<(string Sender, string Notify, string To, string Expected)> Cells() =>
        from row in s_table
        from cell in row.Reports.Index()
        let outcome = s_outcomes[cell.Index / 2]
        let host = cell.Index % 2 == 0 ? "plain" : "dsn"
        let name = $"{(row.Notify.Length == 0 ? "absent" : row.Notify.Replace(',', '-').ToLowerInvariant())}-{outcome}-{host}"
        let to = outcome switch
        {
            "maildrop" => "maildrop@example.org",
            "expanded" => $"expanded-{host}@example.org",
            _ => $"{outcome}@{host}.example.net",
        }
        select ($"{name}@example.org", row.Notify, to, cell.Item);

    [Fact]
    public async Task A_report_names_what_the_sender_called_message_and_recipient()
    {
        await using var queue = await StartAsync();
        await queue.AcceptAsync(
            hint: true, "sender@example.org",
            new EnvelopeDsn(
                MailDsn.Parse("RET=HDRS ENVID=QQ+2B314159"),
                [RcptDsn.Parse("NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bwork@Example.COM"), RcptDsn.Parse("NOTIFY=SUCCESS ORCPT=utf-8;j\\x{F6}rg@example.net")]),
            ["bob@example.net", "joerg@example.net"]);
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("\r\nOriginal-Envelope-Id: QQ+314159\r\nReporting-MTA: dns; mail.example.org\r\nArrival-Date: ", text, StringComparison.Ordinal);
        Assert.Contains(
            "\r\nOriginal-Recipient: rfc822; Bob+work@Example.COM\r\nFinal-Recipient: rfc822; bob@example.net\r\nAction: relayed\r\nStatus: 2.0.0\r\n", text,
            StringComparison.Ordinal);
        Assert.Contains("\r\nOriginal-Recipient: utf-8; j\\x{F6}rg@example.net\r\nFinal-Recipient: rfc822; joerg@example.net\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nRemote-MTA: dns; mx.example.net\r\nDiagnostic-Code: smtp; 250 2.0.0 Ok\r\n", text, StringComparison.Ordinal);
        Assert.Contains("mx.example.net[192.0.2.1]:25 has taken it, and makes no such reports", text, StringComparison.Ordinal);
        Assert.DoesNotContain("Will-Retry-Until", text, StringComparison.Ordinal);
        Assert.Contains("Subject: Delivery Confirmed", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_delay_says_what_it_waits_for_until_when_and_that_nothing_need_be_done()
    {
        await using var queue = await StartAsync(new() { ["Queue:DelayReportAfter"] = "00:00:00.500", ["Queue:RetrySteps:0"] = "00:10:00" });
        queue.Worker.Answer = _ => (AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 full");
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "b@example.com");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Equal("delayed,delayed", ActionsIn(Load(text)));
        var accepted = (await queue.History.FindAsync(id, default))!.AcceptedAt;
        Assert.Contains($"\r\nWill-Retry-Until: {accepted.AddDays(5):ddd, dd MMM yyyy HH:mm:ss} +0000\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nStatus: 4.2.2\r\n", text, StringComparison.Ordinal);
        Assert.Contains("\r\nLast-Attempt-Date: ", text, StringComparison.Ordinal);
        var human = Assert.IsType<TextPart>(Load(text)[0]).Text;
        Assert.Contains("has not been delivered yet to:", human, StringComparison.Ordinal);
        Assert.Contains("said: 452 4.2.2 full", human, StringComparison.Ordinal);
        Assert.Contains("    Next try: ", human, StringComparison.Ordinal);
        Assert.Contains("You need not do anything", human, StringComparison.Ordinal);
        // And where an operator looks.
        Assert.Equal(ReportKind.Delayed, Assert.Single((await queue.History.FindAsync(id, default))!.Reports).Kind);
    }

    /// <summary>It is told of though no attempt of its own was made.</summary>
    [Fact]
    public async Task What_waits_for_a_domain_that_cannot_be_reached_is_delayed_as_well()
    {
        await using var queue = await StartAsync(new() { ["Queue:DelayReportAfter"] = "00:00:01", ["Queue:RetrySteps:0"] = "00:10:00" });
        await queue.Store.SetBackoffAsync("example.net", new DomainBackoff(3, TimeProvider.System.GetUtcNow().AddHours(1), "no route to host"));
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Contains("\r\nAction: delayed\r\nStatus: 4.4.1\r\nDiagnostic-Code: x-mailpipeline; no route to host\r\nWill-Retry-Until: ", text, StringComparison.Ordinal);
        Assert.Empty(queue.Worker.Commands);
    }

    [Theory]
    [InlineData("RET=FULL", 102_400, true)]
    [InlineData("RET=FULL", 10, false)]
    [InlineData("RET=HDRS", 102_400, false)]
    [InlineData("ENVID=x", 102_400, false)]
    public async Task A_failure_returns_the_message_where_that_was_asked_for_and_it_is_small(string mail, int most, bool isWhole)
    {
        const string Content = "Subject: test\r\n\r\nfünf Öfen\r\n.\r\n";
        await using var queue = await StartAsync(new() { ["Queue:MaxReturnedBytes"] = $"{most}" });
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        await queue.AcceptAsync(hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.Parse(mail), [RcptDsn.None]), ["bad@example.net"], Content);
        await queue.ReportArrivesAsync();

        var text = await queue.ReadAsync(Assert.Single(await queue.MaildropAsync("sender@example.org")));
        Assert.Equal(isWhole, text.Contains($"\r\n\r\n{Content}\r\n--", StringComparison.Ordinal));
        Assert.Equal(isWhole ? "message/rfc822" : "text/rfc822-headers", Load(text)[2].ContentType.MimeType);
        Assert.Equal("failed", ActionsIn(Load(text)));
    }

    [Fact]
    public async Task Success_never_returns_the_message()
    {
        await using var queue = await StartAsync();
        await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.Parse("RET=FULL"), [RcptDsn.Parse("NOTIFY=SUCCESS")]), ["good@example.net"]);
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
        Assert.Equal("text/rfc822-headers", (await ReportsAsync(queue, "sender@example.org"))[0][2].ContentType.MimeType);
    }

    [Fact]
    public async Task The_null_sender_is_never_told_anything()
    {
        await using var queue = await StartAsync(new() { ["Queue:DelayReportAfter"] = "00:00:00.200" });
        await queue.Directory.AddAliasAsync("list@example.org", "one@example.net");
        await queue.Directory.AddAliasAsync("list@example.org", "sender@example.org");
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("bad", StringComparison.Ordinal)
            ? (AttemptOutcome.Failed, "5.1.1", "550 no") : recipient.Attempts < 5
            ? (AttemptOutcome.Deferred, "4.2.2", "452 full") : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var all = RcptDsn.Parse("NOTIFY=SUCCESS,FAILURE,DELAY");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(
            hint: true, "", new EnvelopeDsn(MailDsn.None, [all, all, all]), ["bad@example.net", "late@example.net", "list@example.org"]));
        await queue.DrainedAsync();
        Assert.Equal(1, (await queue.CountAsync()).Messages);
    }

    [Fact]
    public async Task An_alias_to_one_address_passes_on_what_was_asked_and_names_what_was_written()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("sales@example.org", "bob@example.net");
        await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse("NOTIFY=SUCCESS ORCPT=rfc822;shop@example.com")]), ["sales@example.org"]);
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
        var report = Assert.Single(await ReportsAsync(queue, "sender@example.org"));
        Assert.Equal("relayed", ActionsIn(report));
        Assert.Equal("rfc822; shop@example.com", report.OfType<MessageDeliveryStatus>().Single().StatusGroups[1]["Original-Recipient"]);
    }

    /// <summary>RFC 3461 §5.2.7: failures of the targets are told; what gets through is not.</summary>
    [Fact]
    public async Task Targets_of_an_alias_to_several_that_fail_are_told_of_beside_the_expansion()
    {
        await using var queue = await StartAsync();
        foreach (var target in new[] { "good@example.net", "bad@example.net", "sender@example.org" })
            await queue.Directory.AddAliasAsync("list@example.org", target);
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("bad", StringComparison.Ordinal)
            ? (AttemptOutcome.Failed, "5.1.1", "550 no") : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var id = await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse("NOTIFY=SUCCESS,FAILURE")]), ["list@example.org"]);
        await queue.OutcomeOfAsync(id);
        await queue.DrainedAsync();
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count == 3, "the message and two reports are there");

        Assert.Equal(["expanded", "failed"], (await ReportsAsync(queue, "sender@example.org")).Select(ActionsIn).Order());
        Assert.Contains(
            (await queue.History.FindAsync(id, default))!.Recipients, recipient => recipient is { State: RecipientState.Expanded, Address: "list@example.org" });
    }

    [Fact]
    public async Task Who_is_named_in_two_ways_is_told_of_as_either_wants_it()
    {
        await using var queue = await StartAsync();
        await queue.Directory.AddAliasAsync("sales@example.org", "bob@example.net");
        await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse("NOTIFY=NEVER"), RcptDsn.Parse("NOTIFY=SUCCESS")]),
            ["bob@example.net", "sales@example.org"]);
        await queue.ReportArrivesAsync();
        Assert.Equal("relayed", ActionsIn(Assert.Single(await ReportsAsync(queue, "sender@example.org"))));
    }

    [Fact]
    public async Task Recipients_that_are_delivered_together_share_a_report_and_one_that_waits_does_not_hold_it_up_for_long()
    {
        await using var queue = await StartAsync(new() { ["Queue:RetrySteps:0"] = "00:00:02" });
        queue.Worker.Answer = recipient => recipient.Address.StartsWith("late", StringComparison.Ordinal) && recipient.Attempts == 0
            ? (AttemptOutcome.Deferred, "4.2.2", "452 full") : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        var success = RcptDsn.Parse("NOTIFY=SUCCESS");
        await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [success, success, success]), ["a@example.net", "late@example.net", "b@example.com"]);
        await Until.TrueAsync(async () => (await queue.MaildropAsync("sender@example.org")).Count == 2, "both reports are there");
        await queue.DrainedAsync();
        Assert.Equal(["relayed", "relayed,relayed"], (await ReportsAsync(queue, "sender@example.org")).Select(ActionsIn).Order());
    }

    /// <summary>A worker's report twice, its command twice, a worker that dies after it has recorded the delivery: one report.</summary>
    [Theory]
    [InlineData((int)Worker.Fate.Twice)]
    [InlineData((int)Worker.Fate.DiesAfterRecord)]
    [InlineData((int)Worker.Fate.EndsClaim)]
    public async Task Success_is_told_once_whatever_becomes_of_the_worker(int fate)
    {
        await using var queue = await StartAsync();
        queue.Worker.FateOf = _ => (Worker.Fate)fate;
        await queue.OutcomeOfAsync(await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [RcptDsn.Parse("NOTIFY=SUCCESS")]), ["a@example.net"]));
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
        Assert.Equal("relayed", ActionsIn(Assert.Single(await ReportsAsync(queue, "sender@example.org"))));
    }

    /// <summary>RFC 3461 §6.2 with RFC 2033: behind LMTP there is no other hop.</summary>
    [Theory]
    [InlineData((int)Worker.Fate.Done)]
    [InlineData((int)Worker.Fate.Twice)]
    [InlineData((int)Worker.Fate.DiesAfterRecord)]
    [InlineData((int)Worker.Fate.EndsClaim)]
    public async Task What_a_host_of_LMTP_took_is_delivered_and_what_others_took_is_relayed(int fate)
    {
        await using var queue = await StartAsync();
        queue.Worker.FateOf = _ => (Worker.Fate)fate;
        queue.Worker.Delivers = recipient => recipient.Address.StartsWith("lmtp", StringComparison.Ordinal);
        var success = RcptDsn.Parse("NOTIFY=SUCCESS");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(
            hint: true, "sender@example.org", new EnvelopeDsn(MailDsn.None, [success, success, RcptDsn.Parse("NOTIFY=NEVER")]),
            ["lmtp@example.net", "smtp@example.net", "lmtp2@example.net"]));
        await queue.ReportArrivesAsync();
        await queue.DrainedAsync();
        var report = Assert.Single(await ReportsAsync(queue, "sender@example.org"));
        Assert.Equal("delivered,relayed", ActionsIn(report));
        Assert.Contains("It is in the mailbox.", report.OfType<TextPart>().First().Text, StringComparison.Ordinal);
    }

    /// <summary>Beyond the bound nobody is told, and the operator sees that.</summary>
    [Fact]
    public async Task A_sender_gets_so_many_reports_in_an_hour_and_no_more()
    {
        await using var queue = await StartAsync(new() { ["Queue:MaxReportsPerSender"] = "2" });
        queue.Worker.Answer = _ => (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 no such user");
        using var reports = new Microsoft.Extensions.Diagnostics.Metrics.Testing.MetricCollector<long>(queue.Meters, "MailPipeline.Queue", "mailpipeline.queue.reports");
        var ids = new List<long>();
        for (var i = 0; i < 4; i++)
        {
            ids.Add(await queue.AcceptAsync(hint: true, i == 3 ? "other@example.net" : "Sender@example.org", $"bad{i}@example.com"));
            await queue.OutcomeOfAsync(ids[^1]);
            await Until.TrueAsync(async () => (await queue.History.FindAsync(ids[^1], default))!.Reports.Count == 1, "the report is made or dropped");
        }

        Assert.Equal(2, (await queue.MaildropAsync("sender@example.org")).Count);
        var made = new List<bool>();
        foreach (var id in ids)
            made.Add(!Assert.Single((await queue.History.FindAsync(id, default))!.Reports).IsDropped);
        Assert.Equal([true, true, false, true], made);
        Assert.Equal(1, reports.GetMeasurementSnapshot().Where(m => Equals(m.Tags["outcome"], "dropped")).Sum(m => m.Value));
        await queue.DrainedAsync();
    }

    private static async Task<List<MultipartReport>> ReportsAsync(QueueUnderTest queue, string address)
    {
        var reports = new List<MultipartReport>();
        foreach (var message in await queue.MaildropAsync(address))
        {
            if (await MimeMessage.LoadAsync(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(await queue.ReadAsync(message)))) is { Body: MultipartReport report })
                reports.Add(report);
        }
        return reports;
    }

    private static MultipartReport Load(string text) =>
        Assert.IsType<MultipartReport>(MimeMessage.Load(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text))).Body);

    private static string ActionsIn(MultipartReport report)
    {
        Assert.Equal("delivery-status", report.ReportType);
        return string.Join(',', report.OfType<MessageDeliveryStatus>().Single().StatusGroups.Select(group => group["Action"]).OfType<string>());
    }

    private static async Task<QueueUnderTest> StartAsync(Dictionary<string, string?>? settings = null)
    {
        var queue = await QueueUnderTest.StartAsync(settings);
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("sender@example.org", "hash");
        return queue;
    }
}
