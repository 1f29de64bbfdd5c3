using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Addresses and header fields in UTF-8, from and to programs that are not ours.</summary>
public sealed class Utf8Tests(Utf8Tests.Fixture fixture) : IClassFixture<Utf8Tests.Fixture>
{
    private const string Domain = "bücher.example";
    private const string Jose = $"josé@{Domain}";

    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("utf8");

        internal PostfixServer Postfix { get; private set; } = null!;

        internal PostfixServer Old { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            var (far, old) = (FreePorts.Next(), FreePorts.Next());
            await Pipeline.StartAsync(
                [], [.. Pipeline.Impatient, $"--Delivery:Routes:far.example=127.0.0.1:{far}", $"--Delivery:Routes:grüße.example=127.0.0.1:{far}", $"--Delivery:Routes:old.example=127.0.0.1:{old}"],
                default);
            await Pipeline.Server.RunAsync(["domain", "add", Domain]);
            await Pipeline.Server.AddAccountAsync(Jose, Pipeline.Password, default);
            Postfix = await PostfixServer.StartAsync(new()
            {
                // It takes the two forms of a name for two names.
                Domains = ["far.example", "grüße.example", "xn--gre-6ka8l.example"], RelayHost = Pipeline.Server.Smtp, Port = far, Settings = "smtputf8_enable = yes\nlocal_header_rewrite_clients =",
            });
            Old = await PostfixServer.StartAsync(new() { Domains = ["old.example"], Port = old, Settings = "smtputf8_enable = no" });
        }

        public async ValueTask DisposeAsync()
        {
            if (Old is not null)
                await Old.DisposeAsync();
            if (Postfix is not null)
                await Postfix.DisposeAsync();
            await Pipeline.DisposeAsync();
        }
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    [Theory]
    [InlineData("žofie@far.example")]
    [InlineData("žofie@grüße.example")]
    [InlineData("ann@grüße.example")]
    public async Task Python_sends_and_Postfix_takes_it_with_SMTPUTF8(string recipient)
    {
        var message = $"From: {Jose}\r\nTo: {recipient}\r\nSubject: příliš žluťoučký {recipient}\r\n\r\ntext\r\n";
        await SendAsync(Jose, recipient, message);
        await Eventually.TrueAsync(() => Find(fixture.Postfix, recipient) is not null, TimeSpan.FromSeconds(30), () => fixture.Postfix.Log, Cancellation);
        var arrived = Find(fixture.Postfix, recipient)!;
        Assert.EndsWith(message.ReplaceLineEndings("\n"), arrived, StringComparison.Ordinal);
        Assert.Contains(" with UTF8SMTP id ", arrived, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_message_that_needs_no_SMTPUTF8_goes_to_a_host_without_it()
    {
        await SendAsync("ann@mail.example", "bob@old.example", "Subject: only in ASCII\r\n\r\ntext é\r\n");
        await Eventually.TrueAsync(() => Find(fixture.Old, "only in ASCII") is not null, TimeSpan.FromSeconds(30), () => fixture.Old.Log, Cancellation);
    }

    /// <summary>By Postfix from the command line to the maildrop, and by Python out of it.</summary>
    [Fact]
    public async Task Postfix_sends_and_Python_reads()
    {
        var file = Pipeline.Folder["message"];
        await File.WriteAllTextAsync(file, $"From: žofie@far.example\nTo: {Jose}\nSubject: dobrý den\n\ntext\n", new UTF8Encoding(false), Cancellation);
        await fixture.Postfix.SendAsync("žofie@far.example", [Jose], file, Cancellation);
        await ArrivesAsync("Subject: dobrý den");
    }

    /// <summary>RFC 6531 §3.2 and RFC 6533: at once, naming the host, and in the form in which the sender can read it.</summary>
    [Fact]
    public async Task A_host_without_SMTPUTF8_is_named_in_a_report_in_UTF8()
    {
        await SendAsync(Jose, "jörg@old.example", "Subject: für jörg\r\n\r\ntext\r\n");
        var report = await ArrivesAsync("Final-Recipient: utf-8; jörg@old.example");
        Assert.Contains("Content-Type: message/global-delivery-status", report, StringComparison.Ordinal);
        Assert.Contains("Status: 5.6.7", report, StringComparison.Ordinal);
        Assert.Contains("Remote-MTA: dns; 127.0.0.1", report.Replace("[127.0.0.1]", "127.0.0.1", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("Subject: für jörg", report, StringComparison.Ordinal);
    }

    private static string? Find(PostfixServer server, string text) =>
        server.ReadMaildir().Select(Encoding.UTF8.GetString).FirstOrDefault(message => message.Contains($"{text}\n", StringComparison.Ordinal));

    private Task SendAsync(string sender, string recipient, string message) =>
        ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import smtplib, sys
                port, sender, recipient, message = sys.argv[1:]
                with smtplib.SMTP("127.0.0.1", int(port)) as smtp:
                    smtp.sendmail(sender, [recipient], message.encode(), mail_options=["SMTPUTF8", "BODY=8BITMIME"])
                """,
                $"{Pipeline.Server.Smtp.Port}", sender, recipient, message,
            ],
            cancellation: Cancellation);

    /// <summary>The message in josé's maildrop that has this text; who does not say UTF8 is refused it.</summary>
    private async Task<string> ArrivesAsync(string text)
    {
        var found = "";
        await Eventually.TrueAsync(
            async () =>
            {
                found = await ServerProcess.RunAsync(
                    DebianProgram.Find("python3", "python3"),
                    [
                        "-c",
                        """
                        import poplib, sys
                        port, user, password, text = sys.argv[1:]
                        def log_in(utf8):
                            pop = poplib.POP3("127.0.0.1", int(port))
                            if utf8:
                                pop.utf8()
                            pop.user(user)
                            pop.pass_(password)
                            return pop
                        pop = log_in(True)
                        for number in range(1, pop.stat()[0] + 1):
                            message = b"\r\n".join(pop.retr(number)[1]).decode()
                            if text not in message:
                                continue
                            pop.quit()
                            pop = log_in(False)
                            try:
                                pop.retr(number)
                            except poplib.error_proto as error:
                                print(error)
                            print(message)
                            break
                        pop.quit()
                        """,
                        $"{Pipeline.Server.Pop3.Port}", Jose, Pipeline.Password, text,
                    ],
                    cancellation: Cancellation);
                return found.Contains(text, StringComparison.Ordinal);
            },
            TimeSpan.FromSeconds(30),
            () => fixture.Postfix.Log,
            Cancellation);
        Assert.Contains("-ERR [UTF8]", found, StringComparison.Ordinal);
        return found;
    }
}
