using MailPipeline.Testing;
using Microsoft.Data.Sqlite;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Reports by DMARC from one system to another: what the one sees in a domain's name, the other shows.</summary>
public sealed class DmarcReportTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_one_system_sees_in_a_domains_name_the_other_shows_the_day_after()
    {
        // The domain's own mail is elsewhere: its reports go to an address of the second system, which says that it takes them.
        await using var dns = await DnsServer.StartAsync($"""
            example.net. TXT "v=spf1 ip4:192.0.2.1 -all"
            _dmarc.example.net. TXT "v=DMARC1; p=reject; rua=mailto:dmarc@{Pipeline.LocalDomain}!1m"
            example.net._report._dmarc.{Pipeline.LocalDomain}. TXT "v=DMARC1"
            mx.example.net. TXT "v=spf1 ip4:192.0.2.1 -all"
            """, Cancellation);
        await using var reader = new Pipeline("dmarc-reader");
        await reader.StartAsync(["dmarc"], [.. Pipeline.Impatient, $"--Dns:Servers={dns.EndPoint}", $"--Queue:DmarcReports:Addresses:0=dmarc@{Pipeline.LocalDomain}"], Cancellation);

        using var folder = new TempFolder("dmarc-reporter");
        await using var reporter = new StandaloneProcess(
            folder.CreateFolder("data"),
            [
                .. Pipeline.Impatient, $"--Dns:Servers={dns.EndPoint}", $"--Delivery:Routes:{Pipeline.LocalDomain}=127.0.0.1:{reader.Server.Smtp.Port}",
                "--Ingress:XclientFrom:0=127.0.0.1", "--Ingress:Checks:Authentication:Policy=Enforce", "--Ingress:Checks:Authentication:Dmarc:Reports=true",
                "--Queue:DmarcReports:Organization=Example Ltd", "--Queue:DmarcReports:Contact=dmarc@example.org",
            ]);
        await reporter.RunAsync(["domain", "add", "example.org"], cancellation: Cancellation);
        await reporter.AddAccountAsync("ann@example.org", Pipeline.Password, Cancellation);
        await reporter.StartAsync(Cancellation);
        Assert.Equal(250, await SendAsync(reporter, "192.0.2.1"));
        Assert.Equal(250, await SendAsync(reporter, "192.0.2.1"));
        Assert.Equal(550, await SendAsync(reporter, "192.0.2.66"));
        Assert.True(await reporter.StopAsync());
        // Two days go by.
        Assert.Equal(2, Execute(reporter, "UPDATE dmarc_results SET day = day - 2"));
        await reporter.StartAsync(Cancellation);

        var shown = "";
        await Eventually.TrueAsync(
            TimeSpan.FromMilliseconds(200),
            async () => (shown = await reader.Server.RunAsync(["dmarc", "reports", "example.net"], cancellation: Cancellation)).Contains("Example Ltd", StringComparison.Ordinal),
            s_limit, () => $"{shown}\n{reporter.Process.Output}\n{reader.Server.Process.Output}", Cancellation);
        var lines = shown.Split('\n').Select(line => string.Join(' ', line.Split(' ', StringSplitOptions.RemoveEmptyEntries))).ToList();
        Assert.Contains("192.0.2.1 2 0 2 0 0 0 Example Ltd", lines);
        Assert.Contains("192.0.2.66 1 0 0 1 0 1 Example Ltd", lines);

        // It is a mail as any other, and reads well by hand too.
        var mail = Assert.Single(await reader.ReadMaildropAsync("dmarc", Cancellation));
        await File.WriteAllBytesAsync(folder["report.eml"], mail, Cancellation);
        Assert.Contains(
            "Example Ltd reports of example.net (p=reject)", await reader.Server.RunAsync(["dmarc", "report", folder["report.eml"]], cancellation: Cancellation), StringComparison.Ordinal);
        Assert.Contains($"dmarc@{Pipeline.LocalDomain}", await reporter.RunAsync(["dmarc", "sent"], cancellation: Cancellation), StringComparison.Ordinal);
        Assert.Equal(0, Execute(reporter, "DELETE FROM dmarc_results"));
    }

    private static async Task<int> SendAsync(StandaloneProcess server, string client)
    {
        await using var dialogue = await SmtpDialogue.OpenAsync(new ServerLogin(server.Smtp), Cancellation);
        await dialogue.ExpectAsync($"XCLIENT ADDR={client}", 220, Cancellation);
        await dialogue.ExpectAsync("EHLO mx.example.net", 250, Cancellation);
        await dialogue.ExpectAsync("MAIL FROM:<bob@example.net>", 250, Cancellation);
        await dialogue.ExpectAsync("RCPT TO:<ann@example.org>", 250, Cancellation);
        await dialogue.ExpectAsync("DATA", 354, Cancellation);
        return (await dialogue.CommandAsync("From: bob@example.net\r\nSubject: test\r\n\r\ntext\r\n.", Cancellation))!.Code;
    }

    private static int Execute(StandaloneProcess server, string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(server.DataFolder, "mail.db")};Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
#pragma warning disable CA2100 // Written by the test.
        command.CommandText = sql;
#pragma warning restore CA2100
        return command.ExecuteNonQuery();
    }
}
