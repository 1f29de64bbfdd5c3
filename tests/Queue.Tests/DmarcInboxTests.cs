using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Tests;

/// <summary>Reports by DMARC that others send to an address of ours.</summary>
public sealed class DmarcInboxTests
{
    private static readonly DateTimeOffset s_begin = new(2030, 1, 2, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task What_a_report_says_is_kept_and_the_mail_goes_on_as_any_other()
    {
        await using var queue = await StartAsync();
        var id = await SendAsync(queue, "dmarc@example.org", Report("1", ("192.0.2.1", 7, true), ("192.0.2.2", 2, false)));
        var broken = await SendAsync(queue, "dmarc@example.org", Mail("not gzip"u8.ToArray()));
        var other = await SendAsync(queue, "ann@example.org", Report("2", ("192.0.2.3", 1, true)));
        // Through an alias, and a second time.
        await SendAsync(queue, "reports@example.org", Report("1", ("192.0.2.1", 7, true)));
        await SendAsync(queue, "reports@example.org", Report("3", ("192.0.2.1", 1, false)));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Unrouted == 0, "all of them are routed");
        await queue.Duty("read_dmarc").RoundAsync();

        Assert.Empty(await queue.DmarcReports.ListUnreadAsync(10, default));
        var sum = Assert.Single(await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default));
        Assert.Equal(("example.org", 2L, 1L, "Example Ltd", 10L, 7L, 3L), (sum.Name, sum.Reports, sum.Organizations, sum.FirstOrganization, sum.Messages, sum.Spf, sum.Failed));
        Assert.Equal(
            [("192.0.2.1", 8, 7, 1), ("192.0.2.2", 2, 0, 2)],
            (await queue.DmarcReports.SumAsync(DmarcGrouping.Source, s_begin, "example.org", 10, default)).Select(one => (one.Name, one.Messages, one.Spf, one.Failed)));
        Assert.Contains(queue.Lines(2116), line => line.Contains(MessageIds.ToText(broken), StringComparison.Ordinal) && line.EndsWith("nothing in it is XML, gzip or zip", StringComparison.Ordinal));
        Assert.DoesNotContain(queue.Lines(2115), line => line.Contains($"message={MessageIds.ToText(other)} ", StringComparison.Ordinal));
        foreach (var message in (long[])[id, broken, other])
            Assert.All((await queue.OutcomeOfAsync(message)).Recipients, recipient => Assert.Equal(RecipientState.Delivered, recipient.State));
    }

    [Fact]
    public async Task Nothing_is_read_unless_an_address_is_named()
    {
        await using var queue = await StartAsync(address: null);
        await SendAsync(queue, "dmarc@example.org", Report("1", ("192.0.2.1", 7, true)));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Unrouted == 0, "it is routed");
        Assert.False(await queue.Duty("read_dmarc").RoundAsync());
        Assert.Empty(await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default));
    }

    [Fact]
    public async Task A_message_over_which_processes_die_is_left_alone()
    {
        await using var queue = await StartAsync();
        await queue.ExecuteAsync("INSERT INTO dmarc_unread (message_id, tries) VALUES (12345, 0), (12346, 3)");
        await queue.Duty("read_dmarc").RoundAsync();
        Assert.Empty(await queue.DmarcReports.ListUnreadAsync(10, default));
        Assert.EndsWith("its reading was begun 3 times", Assert.Single(queue.Lines(2116)), StringComparison.Ordinal);
    }

    private static async Task<QueueUnderTest> StartAsync(string? address = "DMARC@example.org")
    {
        var settings = new Dictionary<string, string?>();
        if (address is not null)
            settings["Queue:DmarcReports:Addresses:0"] = address;
        var queue = await QueueUnderTest.StartAsync(settings);
        await queue.Directory.AddDomainAsync("example.org");
        foreach (var name in (string[])["dmarc", "ann"])
            await queue.Directory.AddAccountAsync($"{name}@example.org", StoredPassword.Create("secret", MailPipeline.Sasl.ScramKeys.LeastIterations));
        await queue.Directory.AddAliasAsync("reports@example.org", "dmarc@example.org");
        return queue;
    }

    private static Task<long> SendAsync(QueueUnderTest queue, string recipient, string content) => queue.AcceptAsync(hint: true, "", null, [recipient], content);

    private static string Report(string id, params (string Source, long Messages, bool Passes)[] rows) => Mail(DmarcReportWriter.Compress(new DmarcReport(
        new("Example Ltd", "reports@example.com", id, s_begin, s_begin.AddSeconds(86_399)), new("example.org", "r", "r", "none", "none", 100, "0"),
        [.. rows.Select(row => new DmarcReportRow(new(row.Source, "none", false, row.Passes, "example.org", "example.org"), row.Messages))])));

    private static string Mail(byte[] attached) =>
        $"From: reports@example.com\r\nSubject: Report\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n{Convert.ToBase64String(attached, Base64FormattingOptions.InsertLineBreaks)}\r\n";
}
