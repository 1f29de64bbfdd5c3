using System.Collections.Concurrent;
using System.IO.Compression;
using System.Xml.Linq;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Queue.Reports;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>Reports to domains how mail in their name was judged (RFC 7489 §7.2).</summary>
public sealed class DmarcReportTests
{
    private static readonly long s_today = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 86_400;

    [Fact]
    public async Task A_day_that_is_over_is_reported_once_to_whom_the_domain_names()
    {
        await using var dns = await DnsServer.StartAsync("""
            _dmarc.example.net. TXT "v=DMARC1; p=reject; rua=mailto:reports@example.net,mailto:all%2Bdmarc@reports.example!10m,mailto:small@example.net!1,https://example.net/,mailto:no@unwilling.example"
            example.net._report._dmarc.reports.example. TXT "v=DMARC1"
            _dmarc.silent.example. TXT "v=DMARC1; p=none"
            _dmarc.excepted.example. TXT "v=DMARC1; p=none; rua=mailto:reports@excepted.example"
            """);
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Dns:Servers"] = $"{dns.EndPoint}",
            ["Queue:DmarcReports:Organization"] = "Example & Sons", ["Queue:DmarcReports:Contact"] = "dmarc@example.org",
            ["Queue:DmarcReports:ExceptDomains:0"] = "example",
        });
        var taken = new TaskCompletionSource();
        queue.Worker.Until = _ => taken.Task;
        await queue.DmarcResults.AddAsync(1, [
            Count("example.net", s_today - 2, "192.0.2.1", 7), Count("example.net", s_today - 2, "192.0.2.2", 9), new(new(s_today - 2, "example.net", ""), 3),
            Count("example.net", s_today, "192.0.2.1", 1), Count("excepted.example", s_today - 2, "192.0.2.1", 1), Count("example.net", s_today - 5, "192.0.2.1", 1),
        ]);
        await queue.DmarcResults.AddAsync(2, [Count("example.net", s_today - 2, "192.0.2.1", 5)]);

        await queue.Duty("report_dmarc").RoundAsync();
        await queue.Duty("report_dmarc").RoundAsync();
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Commands.Sum(command => command.Recipients.Length) == 2), "both reports are on their way");

        var recipients = queue.Worker.Commands.SelectMany(command => command.Recipients).OrderBy(recipient => recipient.Address).ToList();
        Assert.Equal([("all+dmarc@reports.example", ""), ("reports@example.net", "")], recipients.Select(recipient => (recipient.Address, recipient.Sender)));
        var message = await ReadAsync(queue, recipients[1].MessageId);
        taken.SetResult();
        Assert.Matches("^Report Domain: example.net Submitter: example.org Report-ID: <[A-Za-z0-9]+@mail.example.org>$", message.Subject);
        Assert.Equal(("dmarc@example.org", "auto-generated"), (((MailboxAddress)message.From[0]).Address, message.Headers["Auto-Submitted"]));
        var attached = Assert.IsType<MimePart>(Assert.IsType<Multipart>(message.Body)[1]);
        Assert.Equal("application/gzip", attached.ContentType.MimeType);
        Assert.Matches($"^example\\.org!example\\.net!{(s_today - 2) * 86_400}!{((s_today - 1) * 86_400) - 1}![A-Za-z0-9]+\\.xml\\.gz$", attached.FileName);
        var report = Report(attached);
        Assert.EndsWith($"Report-ID: <{report.Element("report_metadata")!.Element("report_id")!.Value}>", message.Subject, StringComparison.Ordinal);
        Assert.Equal("Example & Sons", report.Element("report_metadata")!.Element("org_name")!.Value);
        Assert.Equal("3 further messages of that day are in no row", report.Element("report_metadata")!.Element("error")!.Value);
        Assert.Equal([("192.0.2.1", "12"), ("192.0.2.2", "9")], report.Descendants("row").Select(row => (row.Element("source_ip")!.Value, row.Element("count")!.Value)));

        // Of what is left the day is not over.
        Assert.Equal([(s_today, "example.net")], await queue.DmarcResults.ListBeforeAsync(long.MaxValue, null, 10, default));
        var sent = await queue.DmarcResults.ListSentAsync(DateTimeOffset.UnixEpoch, "", 10, default);
        Assert.Equal(["all+dmarc@reports.example", "reports@example.net"], sent.Select(one => one.Recipient).Order());
        Assert.All(sent, one => Assert.Equal((s_today - 2, 2, 21L), (one.Day, one.Rows, one.Messages)));
    }

    [Fact]
    public async Task A_policy_that_was_changed_has_a_report_of_its_own_and_reports_are_signed()
    {
        await using var dns = await DnsServer.StartAsync("""
            _dmarc.example.net. TXT "v=DMARC1; p=none; rua=mailto:reports@example.net"
            """);
        using var keys = new TempFolder("dmarc-keys");
        Assert.NotNull(new KeyFolder(keys.FullPath).Create("example.org", "m1", DkimKeyKind.Ed25519));
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Dns:Servers"] = $"{dns.EndPoint}", ["Dkim:KeyFolder"] = keys.FullPath });
        var taken = new TaskCompletionSource();
        queue.Worker.Until = _ => taken.Task;
        await queue.DmarcResults.AddAsync(1, [Count("example.net", s_today - 2, "192.0.2.1", 7), Count("example.net", s_today - 2, "192.0.2.1", 2, "none")]);
        await queue.Duty("report_dmarc").RoundAsync();
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Commands.Sum(command => command.Recipients.Length) == 2), "both reports are on their way");
        var told = new List<string>();
        foreach (var recipient in queue.Worker.Commands.SelectMany(command => command.Recipients))
        {
            var message = await ReadAsync(queue, recipient.MessageId);
            Assert.StartsWith("v=1; ", message.Headers[HeaderId.DkimSignature], StringComparison.Ordinal);
            Assert.Contains("d=example.org", message.Headers[HeaderId.DkimSignature], StringComparison.Ordinal);
            var report = Report((MimePart)((Multipart)message.Body!)[1]);
            told.Add($"{report.Element("policy_published")!.Element("p")!.Value} {report.Descendants("count").Single().Value}");
        }

        taken.SetResult();
        Assert.Equal(["none 2", "reject 7"], told.Order());
    }

    [Fact]
    public async Task What_DNS_does_not_say_now_is_asked_for_again_and_after_a_day_the_others_are_told()
    {
        await using var zone = await DnsServer.StartAsync("""
            _dmarc.example.net. TXT "v=DMARC1; p=none; rua=mailto:reports@example.net,mailto:x@away.example"
            """);
        // Of who takes reports about others its servers say nothing.
        await using var dns = new HostileDnsServer(question => [question.AsSpan().IndexOf("_report"u8) >= 0 ? HostileDnsServer.Failed(question) : HostileDnsServer.Ask(zone.EndPoint, question)]);
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Dns:Servers"] = $"{dns.EndPoint}", ["Dns:Retries"] = "0" });
        await queue.DmarcResults.AddAsync(1, [Count("example.net", s_today - 2, "192.0.2.1", 1), Count("example.net", s_today - 1, "192.0.2.1", 1)]);
        await queue.Duty("report_dmarc").RoundAsync();
        Assert.Equal([(s_today - 1, "example.net")], await queue.DmarcResults.ListBeforeAsync(long.MaxValue, null, 10, default));
        var sent = Assert.Single(await queue.DmarcResults.ListSentAsync(DateTimeOffset.UnixEpoch, "example.net", 10, default));
        Assert.Equal((s_today - 2, "reports@example.net"), (sent.Day, sent.Recipient));
        Assert.Empty(await queue.DmarcResults.ListSentAsync(DateTimeOffset.UnixEpoch, "other.example", 10, default));
    }

    [Fact]
    public async Task Domains_whose_DNS_says_nothing_and_one_that_goes_wrong_silence_no_other()
    {
        await using var zone = await DnsServer.StartAsync("""
            _dmarc.z.example. TXT "v=DMARC1; p=none; rua=mailto:reports@z.example"
            """);
        await using var dns = new HostileDnsServer(question => [question.AsSpan().IndexOf("\u0001z"u8) >= 0 ? HostileDnsServer.Ask(zone.EndPoint, question) : HostileDnsServer.Failed(question)]);
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Dns:Servers"] = $"{dns.EndPoint}", ["Dns:Retries"] = "0" });
        await queue.DmarcResults.AddAsync(1, [.. Enumerable.Range(0, ReportCalendar.DomainsOfPage + 1).Select(i => Count($"d{i}.example", s_today - 2, "192.0.2.1", 1)),
            Count("z.example", s_today - 2, "192.0.2.1", 1)]);
        var calendar = new ReportCalendar(TimeProvider.System, NullLogger<ReportCalendar>.Instance);
        var seen = new ConcurrentQueue<string>();
        Assert.True(await calendar.ReportDueAsync(
            queue.DmarcResults,
            (_, domain) =>
            {
                seen.Enqueue(domain);
                return domain == "d7.example" ? throw new InvalidOperationException("no luck") : Task.FromResult(domain == "z.example");
            },
            default));
        Assert.Equal(ReportCalendar.DomainsOfPage + 2, seen.Distinct().Count());

        await queue.Duty("report_dmarc").RoundAsync();
        Assert.Equal("z.example", Assert.Single(await queue.DmarcResults.ListSentAsync(DateTimeOffset.UnixEpoch, "", 10, default)).Domain);
        Assert.Equal(ReportCalendar.DomainsOfPage + 1, (await queue.DmarcResults.ListBeforeAsync(long.MaxValue, null, 10_000, default)).Count);
    }

    [Fact]
    public void No_day_is_told_before_its_last_counts_are_there() => Assert.All(
        Enumerable.Range(0, 2000), i => Assert.InRange(ReportCalendar.PauseOf($"d{i}.example"), 2 * ResultCounter<DmarcResultKey>.Interval, TimeSpan.FromHours(5)));

    [Fact]
    public async Task Messages_under_policies_beyond_the_most_are_spoken_of()
    {
        await using var dns = await DnsServer.StartAsync("""
            _dmarc.example.net. TXT "v=DMARC1; p=none; rua=mailto:reports@example.net"
            """);
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Dns:Servers"] = $"{dns.EndPoint}" });
        var taken = new TaskCompletionSource();
        queue.Worker.Until = _ => taken.Task;
        await queue.DmarcResults.AddAsync(1, [.. Enumerable.Range(0, DmarcReports.MostPolicies + 2).Select(i => Count("example.net", s_today - 2, "192.0.2.1", 100 - i, $"p{i}"))]);
        await queue.Duty("report_dmarc").RoundAsync();
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.Commands.Sum(command => command.Recipients.Length) == DmarcReports.MostPolicies), "all reports are on their way");
        var errors = new List<string>();
        foreach (var recipient in queue.Worker.Commands.SelectMany(command => command.Recipients))
        {
            var attached = (MimePart)((Multipart)(await ReadAsync(queue, recipient.MessageId)).Body!)[1];
            using var gzip = new GZipStream(attached.Content!.Open(), CompressionMode.Decompress);
            errors.AddRange(XElement.Load(gzip).Descendants("error").Select(error => error.Value));
        }

        taken.SetResult();
        Assert.Equal([$"{95 + 94} further messages of that day are in no row"], errors);
    }

    [Theory]
    [InlineData("Contact", "nobody", "Queue:DmarcReports:Contact is 'nobody'; it must be a mail address with a domain or left out")]
    [InlineData("Organization", "a\nb", "Queue:DmarcReports:Organization is 'a?b'; it must be a line of up to 200 characters or left out")]
    [InlineData("ExceptDomains:0", "a b", "Queue:DmarcReports:ExceptDomains:0 is 'a b'; it must be a domain name such as example.org")]
    [InlineData("Retention", "00:10:00", "Queue:DmarcReports:Retention is 00:10:00; it must be 1 day to 3650 days")]
    public async Task A_setting_that_makes_no_sense_stops_the_start(string name, string value, string complaint) => Assert.Contains(
        complaint, (await Assert.ThrowsAsync<OptionsValidationException>(() => QueueUnderTest.StartAsync(new() { [$"Queue:DmarcReports:{name}"] = value }))).Message,
        StringComparison.Ordinal);

    private static DmarcResultCount Count(string domain, long day, string address, long messages, string policy = "reject")
    {
        var judgement = new DmarcJudgement(
            new(domain, "r", "r", policy, policy, 100, "0"), new(address, "none", false, true, domain, domain) { Spf = [new(domain, "mfrom", "pass")] });
        return new(new(day, domain, judgement.ToText()), messages);
    }

    private static XElement Report(MimePart attached)
    {
        using var gzip = new GZipStream(attached.Content!.Open(), CompressionMode.Decompress);
        using var xml = new MemoryStream();
        gzip.CopyTo(xml);
        xml.Position = 0;
        Assert.Empty(DmarcSchema.Check(xml));
        xml.Position = 0;
        return XElement.Load(xml);
    }

    private static async Task<MimeMessage> ReadAsync(QueueUnderTest queue, long messageId)
    {
        var content = new MemoryStream();
        await foreach (var chunk in queue.Messages.ReadContentAsync(messageId, default))
            content.Write(chunk.Span);
        content.Position = 0;
        return await MimeMessage.LoadAsync(content);
    }
}
