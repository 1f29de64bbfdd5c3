using System.Text;
using MailPipeline.Testing;
using MimeKit;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// Postfix before us and mailbox servers behind us: it hands in by LMTP and by SMTP, and a Postfix and Dovecot's LMTP behind us say which
/// recipients they have.
/// </summary>
public sealed class HandInTests(HandInTests.Fixture fixture) : IClassFixture<HandInTests.Fixture>
{
    private const string Ann = $"ann@{Pipeline.LocalDomain}";
    private const string Bob = $"bob@{Pipeline.LocalDomain}";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    /// <summary>Its Postfix takes mail for our domain and hands it in; sends all other mail to us.</summary>
    public sealed class Fixture() : PostfixFixture("handin")
    {
        /// <summary>Has one mailbox, known@behind.example.</summary>
        internal PostfixServer Behind { get; private set; } = null!;

        internal DovecotServer Dovecot { get; private set; } = null!;

        public override async ValueTask InitializeAsync()
        {
            var port = FreePorts.Next();
            var socket = Pipeline.Folder["lmtp"];
            Behind = await StartAsync(PostfixServer.StartAsync(new()
            {
                Domains = ["behind.example"], Settings = "virtual_mailbox_maps = inline:{ {known@behind.example = inbox/} }",
            }));
            Dovecot = await StartAsync(DovecotServer.StartAsync(["carol"]));
            await StartPipelineAsync(
                "--Ingress:Listeners:2:Kind=Lmtp", $"--Ingress:Listeners:2:Port={port}", "--Ingress:Listeners:3:Kind=Lmtp",
                $"--Ingress:Listeners:3:Socket={socket}", "--Ingress:Listeners:3:SocketMode=0666", "--Ingress:RelayClients:0=127.0.0.2",
                "--MailStore:DirectoryCacheTime=00:00:00");
            await Pipeline.Server.RunAsync(["domain", "add", "behind.example", "--relay", $"127.0.0.1:{Behind.EndPoint.Port}", "--recipients", "verify"]);
            await Pipeline.Server.RunAsync(["domain", "add", "dovecot.example", "--relay", $"lmtp:{Dovecot.Socket}", "--recipients", "verify"]);
            await StartPostfixAsync(new()
            {
                Domains = [Pipeline.LocalDomain],
                Settings = $$"""
                virtual_transport = lmtp:inet:127.0.0.1:{{port}}
                transport_maps = inline:{ {{{Bob}} = lmtp:unix:{{socket}}} }
                """,
            });
        }
    }

    [Fact]
    public async Task Postfix_hands_in_by_LMTP_over_TCP_and_by_a_socket_and_hears_of_each_recipient()
    {
        var token = await SendAsync("you@example.net", [Ann, Bob, $"nobody@{Pipeline.LocalDomain}"]);
        foreach (var account in (string[])["ann", "bob"])
        {
            var text = Encoding.UTF8.GetString(await ArrivesAsync(account, token));
            Assert.Contains(" with LMTP id ", text, StringComparison.Ordinal);
            Assert.EndsWith("\r\n\r\n.\r\n..dots\r\n", text, StringComparison.Ordinal);
        }

        await Eventually.TrueAsync(
            () => Regex($"to=<{Ann}>,.* status=sent \\(250 2.0.0 Ok: queued as ") && Regex($"to=<{Bob}>,.* status=sent \\(250 2.0.0 Ok: queued as ")
                && Regex($"to=<nobody@{Pipeline.LocalDomain}>,.* status=bounced .*550 5.1.1 No such user here"),
            s_limit, () => fixture.Postfix.Log, Cancellation);

        Assert.Contains($"  LMTP  {Pipeline.Folder["lmtp"]} lmtp, STARTTLS", Pipeline.Server.Process.Output, StringComparison.Ordinal);

        bool Regex(string line) => System.Text.RegularExpressions.Regex.IsMatch(fixture.Postfix.Log, line);
    }

    /// <summary>Postfix -> us -> Dovecot's LMTP, with what its user wants to know.</summary>
    [Fact]
    public async Task What_Dovecot_takes_by_LMTP_is_delivered_and_who_is_not_there_is_refused_to_Postfix()
    {
        var token = await SendAsync(Ann, ["carol@dovecot.example", "gone@dovecot.example"], "-N", "success,failure", "-V", "chain");
        var reports = new List<MultipartReport>();
        await Eventually.TrueAsync(
            async () =>
            {
                reports = await Pipeline.ReadReportsAsync("ann", "chain", Cancellation);
                return reports.Count == 2;
            },
            s_limit, () => $"{fixture.Postfix.Log}\n{Pipeline.Server.Process.Output}", Cancellation);

        Assert.Equal(
            ["carol@dovecot.example delivered", "gone@dovecot.example failed"],
            reports.Select(report => $"{Field(report, "Final-Recipient").Split(';')[1].Trim()} {Field(report, "Action")}").Order());
        Assert.Contains(token, Encoding.UTF8.GetString(Assert.Single(fixture.Dovecot.ReadMaildir("carol"))), StringComparison.Ordinal);
        Assert.Contains("said: 550 5.1.1", fixture.Postfix.Log, StringComparison.Ordinal);

        static string Field(MultipartReport report, string name) => report.OfType<MessageDeliveryStatus>().Single().StatusGroups[1][name]!.Trim();
    }

    [Fact]
    public async Task A_Postfix_behind_us_is_asked_whom_it_has_and_what_it_said_counts_while_it_is_away()
    {
        await using (var dialogue = await SmtpDialogue.OpenAsync(new ServerLogin(Pipeline.Server.Smtp), Cancellation))
        {
            await dialogue.ExpectAsync("MAIL FROM:<you@example.net>", 250, Cancellation);
            await dialogue.ExpectAsync("RCPT TO:<known@behind.example>", 250, Cancellation);
            await dialogue.ExpectAsync("RCPT TO:<unknown@behind.example>", 550, Cancellation);
            await dialogue.ExpectAsync("DATA", 354, Cancellation);
            await dialogue.ExpectAsync("Subject: behind\r\n\r\nx\r\n.", 250, Cancellation);
        }

        await Eventually.TrueAsync(() => fixture.Behind.ReadMaildir().Count == 1, s_limit, () => fixture.Behind.Log, Cancellation);
        await fixture.Behind.DisposeAsync();
        await using var away = await SmtpDialogue.OpenAsync(new ServerLogin(Pipeline.Server.Smtp), Cancellation);
        await away.ExpectAsync("MAIL FROM:<you@example.net>", 250, Cancellation);
        await away.ExpectAsync("RCPT TO:<known@behind.example>", 250, Cancellation);
        await away.ExpectAsync("RCPT TO:<unknown@behind.example>", 550, Cancellation);
        await away.ExpectAsync("RCPT TO:<other@behind.example>", 450, Cancellation);
    }

    private async Task<string> SendAsync(string sender, string[] recipients, params string[] options)
    {
        var token = Guid.NewGuid().ToString("N");
        var file = Pipeline.Folder.Write(token, $"From: {sender}\nSubject: {token}\n\n.\n..dots\n");
        await fixture.Postfix.SendAsync(sender, recipients, file, Cancellation, options);
        return token;
    }

    private async Task<byte[]> ArrivesAsync(string account, string token)
    {
        byte[]? found = null;
        await Eventually.TrueAsync(
            async () => (found = (await Pipeline.ReadMaildropAsync(account, Cancellation)).FirstOrDefault(message => message.AsSpan().IndexOf(Encoding.ASCII.GetBytes($"Subject: {token}\r\n")) >= 0)) is not null,
            s_limit, () => $"{fixture.Postfix.Log}\n{Pipeline.Server.Process.Output}", Cancellation);
        return found!;
    }
}
