using System.IO.Compression;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using MailPipeline.Mail;
using MailPipeline.Queue.Reports;
using MailPipeline.Testing;
using MimeKit;

namespace MailPipeline.Queue.Tests;

/// <summary>Reports to domains about TLS with their hosts (RFC 8460).</summary>
public sealed class TlsReportTests
{
    private const string Sts = "sts\nversion: STSv1\nmode: testing\nmx: mx1.mail.company-y.example\nmx: *.company-y.example\nmax_age: 86400";

    // After the example of RFC 8460, appendix B.
    private const string Example =
        """
        {
          "organization-name": "Company-X",
          "date-range": { "start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z" },
          "contact-info": "sts-reporting@company-x.example",
          "report-id": "5065427c-23d3-47ca-b6e0-946ea0e8c4be",
          "policies": [{
            "policy": {
              "policy-type": "sts",
              "policy-string": ["version: STSv1","mode: testing","mx: mx1.mail.company-y.example","mx: *.company-y.example","max_age: 86400"],
              "policy-domain": "company-y.example",
              "mx-host": ["mx1.mail.company-y.example", "*.company-y.example"]
            },
            "summary": { "total-successful-session-count": 5326, "total-failure-session-count": 303 },
            "failure-details": [{
              "result-type": "certificate-expired",
              "receiving-ip": "2001:db8:abcd:0012::1",
              "receiving-mx-hostname": "mx1.mail.company-y.example",
              "failed-session-count": 100
            }, {
              "result-type": "starttls-not-supported",
              "receiving-ip": "203.0.113.56",
              "receiving-mx-hostname": "mx2.mail.company-y.example",
              "failed-session-count": 200
            }, {
              "result-type": "sts-policy-fetch-error",
              "failed-session-count": 3
            }]
          }, {
            "policy": { "policy-type": "no-policy-found", "policy-domain": "company-y.example" },
            "summary": { "total-successful-session-count": 1, "total-failure-session-count": 0 },
            "failure-details": []
          }]
        }
        """;

    private static readonly DomainReportHead s_head = new(
        new DateTimeOffset(2016, 4, 1, 0, 0, 0, TimeSpan.Zero).ToUnixTimeSeconds() / 86_400, "company-y.example", "Company-X", "sts-reporting@company-x.example",
        "5065427c-23d3-47ca-b6e0-946ea0e8c4be");

    private static readonly TlsResultCount[] s_counts =
    [
        new(Key(Sts, "", "mx1.mail.company-y.example", ""), 5000), new(Key(Sts, "", "mx2.mail.company-y.example", ""), 326),
        new(Key(Sts, "certificate-expired", "mx1.mail.company-y.example", "2001:db8:abcd:0012::1"), 100),
        new(Key(Sts, "starttls-not-supported", "mx2.mail.company-y.example", "203.0.113.56"), 200), new(Key(Sts, "sts-policy-fetch-error", "", ""), 3),
        new(Key("no-policy-found", "", "mx1.mail.company-y.example", ""), 1),
    ];

    [Fact]
    public void A_report_has_the_form_of_the_RFC() =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(Example), JsonNode.Parse(TlsReport.Write(s_head, s_counts))), Encoding.UTF8.GetString(TlsReport.Write(s_head, s_counts)));

    [Theory]
    [InlineData("v=TLSRPTv1;rua=mailto:reports@example.com", "reports@example.com", "")]
    [InlineData("v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt", "", "https://reporting.example.com/v1/tlsrpt")]
    [InlineData("v=TLSRPTv1 ; more=1; rua = mailto:a@example.com,https://b.example/c?d, mailto:e%2Bf@example.com?subject=x ;", "a@example.com e+f@example.com", "https://b.example/c?d")]
    [InlineData("v=TLSRPTv1; rua=mailto:a@example.com,mailto:b@example.com,mailto:c@example.com,mailto:d@example.com", "a@example.com b@example.com c@example.com", "")]
    [InlineData("v=TLSRPTv1; rua=http://b.example/c, ftp://b.example, mailto:, mailto:x, nonsense", "", "")]
    [InlineData("v=TLSRPTv1;", "", "")]
    [InlineData("v=TLSRPTv1", "", "")]
    [InlineData("v=TLSRPTv2; rua=mailto:a@example.com", "", "")]
    [InlineData("v=spf1 -all", "", "")]
    public void Whom_a_record_names(string record, string mailboxes, string pages)
    {
        var targets = TlsReportTargets.Parse(["something else", record]);
        Assert.Equal(mailboxes, string.Join(' ', targets.Mailboxes));
        Assert.Equal(pages, string.Join(' ', targets.Pages));
        Assert.Equal(mailboxes.Length + pages.Length == 0, targets.IsEmpty);
        Assert.True(TlsReportTargets.Parse([record, record]).IsEmpty);
    }

    [Theory]
    [InlineData("192.0.2.1", true)]
    [InlineData("2001:db8::1", true)]
    [InlineData("127.0.0.1", false)]
    [InlineData("10.1.2.3", false)]
    [InlineData("169.254.169.254", false)]
    [InlineData("::1", false)]
    [InlineData("::ffff:10.1.2.3", false)]
    [InlineData("fd00::1", false)]
    public void A_strangers_page_is_not_asked_for_where_only_we_can_ask(string address, bool isOpen) => Assert.Equal(isOpen, TlsReportPost.IsOpen(IPAddress.Parse(address)));

    [Fact]
    public async Task A_day_that_is_over_is_reported_once_to_whom_the_domain_names()
    {
        await using var dns = await DnsServer.StartAsync("""
            _smtp._tls.example.net. TXT "v=TLSRPTv1; rua=mailto:reports@example.com"
            _smtp._tls.page.example. TXT "v=TLSRPTv1; rua=https://localhost/tlsrpt"
            localhost. A 127.0.0.1
            """);
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Dns:Servers"] = $"{dns.EndPoint}" });
        var taken = new TaskCompletionSource();
        queue.Worker.Until = _ => taken.Task;
        var today = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() / 86_400;
        TlsResultKey Of(string domain, long day) => new(day, domain, "sts\nmode: enforce", "certificate-expired", "mx.example.net", "192.0.2.1");
        await queue.TlsResults.AddAsync(1, [
            new(Of("example.net", today), 1), new(Of("example.net", today - 2), 7), new(Of("silent.example", today - 2), 1), new(Of("page.example", today - 2), 1),
            new(Of("example.net", today - 5), 1),
        ]);

        await queue.Duty("report_tls").RoundAsync();
        await queue.Duty("report_tls").RoundAsync();
        await Eventually.TrueAsync(() => !queue.Worker.Commands.IsEmpty, TimeSpan.FromSeconds(30));

        var recipient = Assert.Single(Assert.Single(queue.Worker.Commands).Recipients);
        Assert.Equal(("reports@example.com", "", true), (recipient.Address, recipient.Sender, recipient.Body.HasFlag(BodyType.TlsOptional)));
        var content = new MemoryStream();
        await foreach (var chunk in queue.Messages.ReadContentAsync(recipient.MessageId, default))
            content.Write(chunk.Span);
        taken.SetResult();
        content.Position = 0;
        using var message = await MimeMessage.LoadAsync(content, TestContext.Current.CancellationToken);
        Assert.StartsWith("Report Domain: example.net Submitter: mail.example.org Report-ID: <", message.Subject, StringComparison.Ordinal);
        Assert.Equal(
            ("example.net", "mail.example.org", "No", "postmaster@mail.example.org"),
            (message.Headers["TLS-Report-Domain"], message.Headers["TLS-Report-Submitter"], message.Headers["TLS-Required"], ((MailboxAddress)message.From[0]).Address));
        var report = Assert.IsType<MultipartReport>(message.Body);
        Assert.Equal("tlsrpt", report.ReportType);
        var attached = Assert.IsType<MimePart>(report[1]);
        Assert.Equal("application/tlsrpt+gzip", attached.ContentType.MimeType);
        Assert.Matches($"^mail\\.example\\.org!example\\.net!{(today - 2) * 86_400}!{((today - 1) * 86_400) - 1}![A-Za-z0-9]+\\.json\\.gz$", attached.FileName);
        await using var json = new GZipStream(attached.Content!.Open(), CompressionMode.Decompress);
        var read = (await JsonNode.ParseAsync(json, cancellationToken: TestContext.Current.CancellationToken))!;
        Assert.Equal(7, (int)read["policies"]![0]!["summary"]!["total-failure-session-count"]!);

        // Of what is left, the day is not over, or the page could not be had; nobody wants the rest, or it is too old.
        Assert.Equal(
            [(today - 2, "page.example"), (today, "example.net")], await queue.TlsResults.ListBeforeAsync(long.MaxValue, null, 10, default));
    }

    private static TlsResultKey Key(string policy, string result, string host, string address) => new(s_head.Day, s_head.Domain, policy, result, host, address);
}
