using System.Text;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Commands.Tests;

/// <summary>Reports by DMARC, by an operator.</summary>
public sealed class DmarcCommandTests : IDisposable
{
    private readonly CommandRun _run = new();

    public void Dispose() => _run.Dispose();

    [Fact]
    public async Task What_others_report_is_shown_by_domain_by_source_and_by_who_reports()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("dmarc reports")).ShouldBeDone("Nothing is reported");
        (await _run.RunAsync("dmarc reports example.org")).ShouldBeDone("Nothing is reported of example.org");
        await using (var services = _run.OpenServices())
        {
            var store = services.GetRequiredService<DmarcReportStore>();
            await services.GetRequiredService<MailDatabase>().OpenAsync(default);
            var now = TimeProvider.System.GetUtcNow();
            await store.KeepAsync(new(1, "example.org", "Example Ltd", "", "1", now.AddDays(-2), now.AddDays(-1), "none",
                [new("192.0.2.1", "example.org", 5, "none", HasDkim: true, HasSpf: true), new("192.0.2.66", "example.org", 2, "reject", HasDkim: false, HasSpf: false)], 0));
            await store.KeepAsync(new(2, "example.org", "Other\u001b", "", "1", now.AddDays(-2), now.AddDays(-1), "none",
                [new("192.0.2.1", "example.org", 1, "none", HasDkim: false, HasSpf: true)], 0));
            await store.KeepAsync(new(3, "xn--bcher-kva.example", "Other", "", "2", now.AddDays(-40), now.AddDays(-39), "none",
                [new("192.0.2.1", "", 1, "none", HasDkim: false, HasSpf: true)], 0));
        }

        Lines(
            await _run.RunAsync("dmarc reports"),
            "domain messages DKIM SPF failed quarantined rejected reported by",
            "example.org 8 5 6 2 0 2 Example Ltd and 1 more");
        Lines(
            await _run.RunAsync("dmarc reports Example.ORG."),
            "source messages DKIM SPF failed quarantined rejected reported by",
            "192.0.2.1 6 5 6 0 0 0 Example Ltd and 1 more",
            "192.0.2.66 2 0 0 2 0 2 Example Ltd",
            "",
            "reported by reports proven messages failed",
            "Example Ltd 1 0 7 2",
            "Other 1 0 1 0");
        Assert.Contains("xn--bcher-kva.example (bücher.example)", (await _run.RunAsync("dmarc reports --since 2000-01-01")).Output, StringComparison.Ordinal);
        Assert.Contains("192.0.2.1", (await _run.RunAsync("dmarc reports bücher.example --since 60d")).Output, StringComparison.Ordinal);
        Assert.Equal(
            """{"status":"done","result":"dmarcDomains","domains":[{"domain":"example.org","reports":2,"provenReports":0,"organizations":2,"messages":8,"dkim":5,"spf":6,"failed":2,"quarantined":0,"rejected":2}],"more":false}""",
            (await _run.RunAsync("dmarc reports --json")).Output);
        Assert.StartsWith(
            """{"status":"done","result":"dmarcDomain","domain":"example.org","sources":[{"source":"192.0.2.1","reports":2,""", (await _run.RunAsync("dmarc reports example.org --json")).Output,
            StringComparison.Ordinal);
        Assert.StartsWith("--since is 'soon'; it must be 12h, 7d,", (await _run.RunAsync("dmarc reports --since soon")).Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_we_report_to_others_is_shown()
    {
        await _run.RunAsync("domain add example.org");
        (await _run.RunAsync("dmarc sent")).ShouldBeDone("No report was sent");
        await using (var services = _run.OpenServices())
        {
            await services.GetRequiredService<MailDatabase>().OpenAsync(default);
            var store = services.GetRequiredService<DmarcResultStore>();
            await store.AddAsync(1, [new(new(20_000, "example.net", "x"), 3)]);
            Assert.True(await store.ReportAsync(
                20_000, "example.net", [], [new(0x1E240, 20_000, "example.net", "reports@example.net", "1.20000", 1, 3, TimeProvider.System.GetUtcNow())]));
        }

        var lines = (await _run.RunAsync("dmarc sent example.NET")).Output.Split('\n');
        Assert.Matches("^message +domain +day +to +rows +messages +sent$", lines[0].Trim());
        Assert.Matches("^1E240 +example.net +2024-10-04 +reports@example.net +1 +3 +20[^ ]+Z$", lines[1].Trim());
        (await _run.RunAsync("dmarc sent example.com")).ShouldBeDone("No report was sent");
        Assert.Contains(
            """dmarcSent","reports":[{"id":"1E240","domain":"example.net","day":"2024-10-04","recipient":"reports@example.net","reportId":"1.20000","rows":1,"messages":3,"sentAt":""",
            (await _run.RunAsync("dmarc sent --json")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_report_in_a_file_is_read_by_hand()
    {
        var begin = new DateTimeOffset(2030, 1, 2, 0, 0, 0, TimeSpan.Zero);
        var file = Path.Combine(_run.Folder, "report.xml.gz");
        await File.WriteAllBytesAsync(file, DmarcReportWriter.Compress(new DmarcReport(
            new("Example Ltd", "reports@example.com", "1", begin, begin.AddSeconds(86_399)) { Errors = ["3 more"] }, new("example.org", "r", "r", "none", "none", 100, "0"),
            [
                new(
                    new("192.0.2.66", "none", false, false, "example.org", "list.example")
                    {
                        Reasons = [new("local_policy", "a list")], Dkim = [new("example.org", "m1", "fail")], Spf = [new("list.example", "mfrom", "pass")],
                    },
                    4),
            ])));
        Lines(
            await _run.RunAsync($"dmarc report {file}"),
            "Example Ltd reports of example.org (p=none), from 2030-01-02T00:00:00Z to 2030-01-02T23:59:59Z",
            "It says: 3 more",
            "source messages done DKIM SPF From sender found because of",
            "192.0.2.66 4 none fail fail example.org list.example dkim=fail example.org/m1; spf=pass list.example (mfrom) local_policy (a list)");
        Assert.Equal(
            """{"status":"done","result":"dmarcReport","organization":"Example Ltd","email":"reports@example.com","reportId":"1","begin":"2030-01-02T00:00:00.000Z","end":"2030-01-02T23:59:59.000Z","errors":["3 more"],"domain":"example.org","policy":"none","subdomainPolicy":"none","rows":[{"source":"192.0.2.66","messages":4,"disposition":"none","dkim":false,"spf":false,"headerFrom":"example.org","envelopeFrom":"list.example","reasons":["local_policy (a list)"],"results":["dkim=fail example.org/m1","spf=pass list.example (mfrom)"]}],"omitted":0}""",
            (await _run.RunAsync($"dmarc report {file} --json")).Output);
        await File.WriteAllTextAsync(file, "<!DOCTYPE x><feedback/>", Encoding.ASCII);
        Assert.Contains("cannot be used: ", (await _run.RunAsync($"dmarc report {file}")).Error, StringComparison.Ordinal);
        Assert.Contains("cannot be used: ", (await _run.RunAsync($"dmarc report {file}.none")).Error, StringComparison.Ordinal);
    }

    private static void Lines(CommandResult result, params string[] lines)
    {
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Equal(lines, result.Output.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))));
    }
}
