using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Testing;

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
    public async Task Reports_about_domains_of_which_nobody_here_is_told_are_not_kept()
    {
        await using var zone = await DnsServer.StartAsync("""
            consents.example._report._dmarc.example.org. TXT "v=DMARC1"
            """);
        // Of one domain DNS says nothing.
        await using var dns = new HostileDnsServer(question => [question.AsSpan().IndexOf("silent"u8) >= 0 ? HostileDnsServer.Failed(question) : HostileDnsServer.Ask(zone.EndPoint, question)]);
        await using var queue = await StartAsync(dns: $"{dns.EndPoint}");
        foreach (var domain in (string[])["foreign.example", "sub.example.org", "consents.example", "silent.example", "a b"])
            await SendAsync(queue, "dmarc@example.org", Report(domain, domain, "reports@example.com", ("192.0.2.1", 1, true)));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Unrouted == 0, "all of them are routed");
        // By the rounds of the reconciler: another one beside them would read what they are at.
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2115).Count == 5), "all of them are read");
        Assert.Equal(["consents.example", "sub.example.org"], (await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default)).Select(sum => sum.Name));
        Assert.Equal(
            ["a b foreign", "consents.example kept", "foreign.example foreign", "silent.example unanswered", "sub.example.org kept"],
            queue.Lines(2115).Select(line => $"{line.Split("in the name of ")[1].Split(" was judged")[0]} {line.Split("status=dmarc-report-")[1].Split(' ')[0]}").Order(StringComparer.Ordinal));
        // That one is looked at another time.
        Assert.Empty(await queue.DmarcReports.ListUnreadAsync(10, default));
        await queue.ExecuteAsync("UPDATE dmarc_unread SET due_at = 0");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2115).Count == 6), "it is looked at again");
        // Until it is old.
        await queue.ExecuteAsync("UPDATE messages SET accepted_at = 0; UPDATE dmarc_unread SET due_at = 0");
        await Until.TrueAsync(() => Task.FromResult(queue.Lines(2115).Count == 7), "it is looked at for the last time");
        await queue.ExecuteAsync("UPDATE dmarc_unread SET due_at = 0");
        Assert.Empty(await queue.DmarcReports.ListUnreadAsync(10, default));
    }

    [Theory]
    [InlineData("dmarc-pass", "reports@mail.example.com", 1)]
    [InlineData("dmarc-pass", "reports@example.net", 0)]
    [InlineData("dmarc-pass", "", 0)]
    [InlineData("dmarc-fail", "reports@example.com", 0)]
    public async Task A_report_is_proven_if_it_is_from_whom_it_names_to_answer_for_it(string tag, string email, int proven)
    {
        await using var queue = await StartAsync();
        // Nobody looks at it before it has its tag.
        var id = await SendAsync(queue, "ann@example.org", Report("1", "example.org", email, ("192.0.2.1", 1, true)));
        await queue.ExecuteAsync($"UPDATE messages SET tags = 'spf-pass\n{tag}' WHERE id = {id}; INSERT INTO dmarc_unread (message_id, tries) VALUES ({id}, 0)");
        await queue.Duty("read_dmarc").RoundAsync();
        await Until.TrueAsync(async () => (await queue.DmarcReports.ListUnreadAsync(1, default)).Count == 0, "it is read");
        Assert.Equal(proven, Assert.Single(await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default)).ProvenReports);
    }

    [Fact]
    public async Task A_report_that_was_held_is_read_once_it_is_released()
    {
        await using var queue = await StartAsync();
        var (released, removed) = (await HoldAsync("1"), await HoldAsync("2"));
        await Until.TrueAsync(async () => (await queue.CountAsync()).Unrouted == 0, "both are routed");
        await queue.Duty("read_dmarc").RoundAsync();
        // A day later nobody has decided yet.
        await queue.ExecuteAsync("UPDATE dmarc_unread SET due_at = 0");
        await Until.TrueAsync(async () => (await queue.DmarcReports.ListUnreadAsync(10, default)).Count == 0, "they are put off again");
        Assert.Empty(await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default));

        var by = new OperatorIdentity("operator");
        await queue.Operator.RemoveAsync(removed, by);
        await queue.Operator.ReleaseAsync(released, by);
        await Until.TrueAsync(async () =>
        {
            await queue.Duty("read_dmarc").RoundAsync();
            return (await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default)).Count == 1;
        }, "the one that was released is read");
        Assert.Equal(7, (await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default))[0].Messages);
        // Of the other one nothing is left to look at, and nothing stays behind.
        await queue.ExecuteAsync("UPDATE dmarc_unread SET due_at = 0");
        await Until.TrueAsync(async () => !await queue.Duty("read_dmarc").RoundAsync(), "nothing is left to be read");
        Assert.Equal(1, Assert.Single(await queue.DmarcReports.SumAsync(DmarcGrouping.Domain, s_begin, "", 10, default)).Reports);

        Task<long> HoldAsync(string id) => queue.AcceptHeldAsync("dmarc@example.org", Report(id, ("192.0.2.1", 7, true)));
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

    private static async Task<QueueUnderTest> StartAsync(string? address = "DMARC@example.org", string? dns = null)
    {
        var settings = new Dictionary<string, string?>();
        if (address is not null)
            settings["Queue:DmarcReports:Addresses:0"] = address;
        if (dns is not null)
            (settings["Dns:Servers"], settings["Dns:Retries"]) = (dns, "0");
        var queue = await QueueUnderTest.StartAsync(settings);
        await queue.Directory.AddDomainAsync("example.org");
        foreach (var name in (string[])["dmarc", "ann"])
            await queue.Directory.AddAccountAsync($"{name}@example.org", StoredPassword.Create("secret", MailPipeline.Sasl.ScramKeys.LeastIterations));
        await queue.Directory.AddAliasAsync("reports@example.org", "dmarc@example.org");
        return queue;
    }

    private static Task<long> SendAsync(QueueUnderTest queue, string recipient, string content) => queue.AcceptAsync(hint: true, "", null, [recipient], content);

    private static string Report(string id, params (string Source, long Messages, bool Passes)[] rows) => Report(id, "example.org", "reports@example.com", rows);

    private static string Report(string id, string domain, string email, params (string Source, long Messages, bool Passes)[] rows) => Mail(DmarcReportWriter.Compress(new DmarcReport(
        new("Example Ltd", email, id, s_begin, s_begin.AddSeconds(86_399)), new(domain, "r", "r", "none", "none", 100, "0"),
        [.. rows.Select(row => new DmarcReportRow(new(row.Source, "none", false, row.Passes, "example.org", "example.org"), row.Messages))])));

    private static string Mail(byte[] attached) =>
        $"From: reports@example.com\r\nSubject: Report\r\nContent-Type: application/gzip\r\nContent-Transfer-Encoding: base64\r\n\r\n{Convert.ToBase64String(attached, Base64FormattingOptions.InsertLineBreaks)}\r\n";
}
