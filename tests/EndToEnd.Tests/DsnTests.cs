using System.Net;
using MailPipeline.Testing;
using MimeKit;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Reports that a sender asked for, both ways with Postfix: what it asks for we do, what we ask for it does (RFC 3461).</summary>
public sealed class DsnTests(DsnTests.Fixture fixture) : IClassFixture<DsnTests.Fixture>
{
    public sealed class Fixture() : PostfixFixture("dsn")
    {
        public override async ValueTask InitializeAsync()
        {
            var port = FreePorts.Next();
            var dns = await StartAsync(DnsServer.StartAsync(
                """
                postfix.example. MX 10 mx.postfix.example.
                mx.postfix.example. A 127.0.0.2
                """));
            // The kit's own far end does not offer DSN.
            Pipeline.AddSink("sink.example");
            await StartPipelineAsync($"--Dns:Servers:0={dns.EndPoint}", $"--Delivery:Port={port}", "--Delivery:LocalAddresses=Allow");
            // What it makes itself, its reports, it sends to us.
            await StartPostfixAsync(new() { Domains = ["postfix.example"], Address = IPAddress.Parse("127.0.0.2"), Port = port });
        }
    }

    private const string Ann = $"ann@{Pipeline.LocalDomain}";

    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    [Fact]
    public async Task Postfix_takes_over_what_we_hand_on_and_reports_to_our_user()
    {
        await SubmitAsync("user@postfix.example", "ToPostfix");
        var report = Assert.Single(await ReportsAsync("ToPostfix", ReadAnnAsync));
        Assert.Equal("delivered", ActionOf(report));
        Assert.Equal("rfc822;first@example.com", OfRecipient(report)["Original-Recipient"]?.Replace(" ", "", StringComparison.Ordinal));
        // One, and not ours.
        Assert.Equal(0, Pipeline.Count("SELECT COUNT(*) FROM reports r JOIN messages m ON m.id = r.message_id WHERE m.dsn LIKE '%ToPostfix%'"));
    }

    [Fact]
    public async Task A_host_that_makes_no_reports_is_reported_for_by_us()
    {
        await SubmitAsync("user@sink.example", "ToSink");
        var report = Assert.Single(await ReportsAsync("ToSink", ReadAnnAsync));
        Assert.Equal("relayed", ActionOf(report));
        Assert.Equal("rfc822; first@example.com", OfRecipient(report)["Original-Recipient"]);
        Assert.Equal("2.0.0", OfRecipient(report)["Status"]);
    }

    [Fact]
    public async Task Postfix_hands_on_what_its_user_asked_for_and_we_report_to_him()
    {
        var file = Path.Combine(Path.GetTempPath(), $"dsn-{Guid.NewGuid():N}.eml");
        await File.WriteAllTextAsync(file, "Subject: hello\n\nbody\n", Cancellation);
        try
        {
            await fixture.Postfix.SendAsync(
                "user@postfix.example", [$"bob@{Pipeline.LocalDomain}"], file, Cancellation, "-N", "success", "-R", "hdrs", "-V", "FromPostfix");
        }
        finally
        {
            File.Delete(file);
        }

        var report = Assert.Single(await ReportsAsync("FromPostfix", () => Task.FromResult(fixture.Postfix.ReadMaildir())));
        Assert.Equal("delivered", ActionOf(report));
        Assert.Equal($"rfc822; bob@{Pipeline.LocalDomain}", OfRecipient(report)["Original-Recipient"]);
        Assert.Equal($"rfc822; bob@{Pipeline.LocalDomain}", OfRecipient(report)["Final-Recipient"]);
    }

    private async Task SubmitAsync(string recipient, string envelopeId)
    {
        await using var dialogue = await SmtpDialogue.OpenAsync(Pipeline.SubmissionLogin("ann"), Cancellation);
        await dialogue.ExpectAsync($"MAIL FROM:<{Ann}> RET=HDRS ENVID={envelopeId}", 250, Cancellation);
        await dialogue.ExpectAsync($"RCPT TO:<{recipient}> NOTIFY=SUCCESS ORCPT=rfc822;first@example.com", 250, Cancellation);
        await dialogue.ExpectAsync("DATA", 354, Cancellation);
        await dialogue.ExpectAsync($"From: {Ann}\r\nSubject: hello\r\n\r\nbody\r\n.", 250, Cancellation);
    }

    /// <summary>The reports about this message, when there is one and nothing is under way any more.</summary>
    private async Task<List<MultipartReport>> ReportsAsync(string envelopeId, Func<Task<IReadOnlyList<byte[]>>> read)
    {
        List<MultipartReport> found = [];
        await Eventually.TrueAsync(
            async () =>
            {
                found = Pipeline.ReportsAbout(await read(), envelopeId);
                return found.Count > 0;
            },
            Limit, () => $"No report: {Pipeline.Server.Process.Output}\n{fixture.Postfix.Log}", Cancellation);
        await Pipeline.DrainAsync(Limit, Cancellation);
        return found;
    }

    private Task<IReadOnlyList<byte[]>> ReadAnnAsync() => Pipeline.ReadMaildropAsync("ann", Cancellation);

    private static HeaderList OfRecipient(MultipartReport report) =>
        Assert.Single(report.OfType<MessageDeliveryStatus>().Single().StatusGroups.Skip(1), group => group.Contains("Action"));

    private static string? ActionOf(MultipartReport report) => OfRecipient(report)["Action"];
}
