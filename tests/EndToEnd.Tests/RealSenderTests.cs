using System.Text;
using MailKit.Net.Smtp;
using MailKit.Security;
using MailPipeline.Testing;
using MimeKit;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Other people's clients hand in the corpus; it comes out of the maildrop byte for byte.</summary>
public sealed class RealSenderTests(RealSenderTests.Fixture fixture) : IClassFixture<RealSenderTests.Fixture>
{
    public sealed class Fixture : IAsyncLifetime
    {
        internal Pipeline Pipeline { get; } = new("senders");

        internal PostfixServer Postfix { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            await Pipeline.StartAsync(["ann", "bob"], ["--Ingress:Listeners:1:AuthMechanisms=LOGIN PLAIN SCRAM-SHA-256", .. Pipeline.WithSubmissions], default);
            // It says STARTTLS here, and speaks in clear in the tests of reports.
            Postfix = await PostfixServer.StartAsync(new() { RelayHost = Pipeline.Server.Smtp, Settings = "smtp_tls_security_level = encrypt" });
        }

        public async ValueTask DisposeAsync()
        {
            if (Postfix is not null)
                await Postfix.DisposeAsync();
            await Pipeline.DisposeAsync();
        }
    }

    private const string Ann = $"ann@{Pipeline.LocalDomain}";
    private const string Bob = $"bob@{Pipeline.LocalDomain}";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Pipeline Pipeline => fixture.Pipeline;

    public static TheoryData<string> AllNames => [.. Corpus.Names];

    [Theory, MemberData(nameof(AllNames))]
    public async Task Swaks(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, Bob);
        // As it goes over the wire: swaks is told to leave it alone.
        var wire = Pipeline.Folder["swaks"];
        await File.WriteAllBytesAsync(
            wire, [.. DotStuffing.Stuff(message.ToArray()).Span, .. ".\r\n"u8], Cancellation);
        await ServerProcess.RunAsync(
            DebianProgram.Find("swaks", "swaks"),
            [
                "--server", "127.0.0.1", "--port", $"{Pipeline.Server.Submission.Port}", "-tls", "--auth", "PLAIN", "--auth-user", Ann,
                "--auth-password", Pipeline.Password, "--from", Ann, "--to", Bob, "--no-data-fixup", "--data", $"@{wire}", "--suppress-data",
                "--hide-all", "--timeout", "60",
            ],
            cancellation: Cancellation);
        await AssertArrivesAsync(message);
    }

    [Theory, MemberData(nameof(AllNames))]
    public async Task Curl(string name)
    {
        var message = Corpus.Create(name, Token(), "you@example.net", Bob);
        await ServerProcess.RunAsync(
            DebianProgram.Find("curl", "curl"),
            ["-sS", $"smtp://{Pipeline.Server.Smtp}/client.example", "--mail-from", message.Sender, "--mail-rcpt", Bob, "-T", await WriteAsync(message)],
            cancellation: Cancellation);
        await AssertArrivesAsync(message);
    }

    [Theory, MemberData(nameof(AllNames))]
    public async Task Python_smtplib(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, Bob);
        await SubmitByPythonAsync(await WriteAsync(message));
        await AssertArrivesAsync(message);
    }

    /// <summary>smtplib sends octets as they are, and stuffs dots where lines begin for it.</summary>
    [Theory]
    [InlineData("plain")]
    [InlineData("dots")]
    [InlineData("white space")]
    public async Task Python_smtplib_with_the_line_ends_of_its_system(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, Bob);
        var file = Pipeline.Folder["message"];
        // It adds a CRLF where there is none at the end.
        await File.WriteAllBytesAsync(file, [.. message.ToArray().SkipLast(2).Where(octet => octet != '\r'), .. "\r\n"u8], Cancellation);
        await SubmitByPythonAsync(file);
        await AssertArrivesAsync(message);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("eight bit")]
    [InlineData("dots")]
    [InlineData("long header")]
    [InlineData("25 MB")]
    public async Task MailKit_with_STARTTLS_and_AUTH(string name)
    {
        var message = Corpus.Create(name, Token(), Ann, Bob);
        var reply = await SubmitByMailKitAsync(message, Pipeline.Server.Submission.Port, SecureSocketOptions.StartTls);
        Assert.Contains("queued as", reply, StringComparison.OrdinalIgnoreCase);
        await AssertArrivesAsync(message);
    }

    [Theory]
    [InlineData("plain")]
    [InlineData("login")]
    [InlineData("scram-sha-256")]
    public async Task Msmtp_by_each_mechanism(string auth)
    {
        var message = Corpus.Create("plain", Token(), Ann, Bob);
        var configuration = Pipeline.Folder.WriteSecret($"msmtprc-{auth}", $"""
            account default
            host 127.0.0.1
            port {Pipeline.Server.Submission.Port}
            from {Ann}
            user {Ann}
            passwordeval printf '%s\n' '{Pipeline.Password}'
            auth {auth}
            tls on
            tls_starttls on
            tls_certcheck off

            """);
        await ServerProcess.RunAsync(
            DebianProgram.Find("msmtp", "msmtp"), ["-C", configuration, Bob],
            input: Encoding.ASCII.GetString(message.ToArray()).ReplaceLineEndings("\n"), cancellation: Cancellation);
        await AssertArrivesAsync(message);
    }

    [Theory, MemberData(nameof(AllNames))]
    public async Task Postfix_as_a_client_of_the_MX_listener(string name)
    {
        var message = Corpus.Create(name, Token(), "you@example.net", Bob);
        await fixture.Postfix.SendAsync(message.Sender, [Bob], await WriteAsync(message), Cancellation);
        await AssertArrivesAsync(message, () => fixture.Postfix.Log, "ESMTPS");
    }

    /// <summary>As which a client is understood is seen in what stands in front of the message (RFC 3848).</summary>
    [Theory]
    [InlineData("swaks")]
    [InlineData("curl")]
    [InlineData("smtplib")]
    [InlineData("msmtp")]
    [InlineData("MailKit")]
    public async Task Each_client_speaks_in_clear_by_STARTTLS_and_over_implicit_TLS(string client)
    {
        foreach (var (mode, protocol) in new[] { ("clear", "ESMTP"), ("STARTTLS", "ESMTPSA"), ("implicit", "ESMTPSA") })
        {
            var message = Corpus.Create("dots", Token(), Ann, Bob);
            await SendAsync(client, mode, message);
            await AssertArrivesAsync(message, protocol: protocol);
        }
    }

    [Fact]
    public async Task Text_without_a_final_line_end_gets_exactly_the_one_that_the_client_adds()
    {
        var message = Corpus.Create("plain", Token(), "you@example.net", Bob);
        var file = Pipeline.Folder["curl"];
        await File.WriteAllBytesAsync(file, message.ToArray()[..^2], Cancellation);
        await ServerProcess.RunAsync(
            DebianProgram.Find("curl", "curl"),
            ["-sS", $"smtp://{Pipeline.Server.Smtp}/client.example", "--mail-from", message.Sender, "--mail-rcpt", Bob, "-T", file],
            cancellation: Cancellation);
        await AssertArrivesAsync(message);
    }

    /// <param name="mode">In clear it is the MX listener and nobody logs in, else submission.</param>
    private async Task SendAsync(string client, string mode, LedgerMessage message)
    {
        var port = $"{mode switch { "clear" => Pipeline.Server.Smtp.Port, "STARTTLS" => Pipeline.Server.Submission.Port, _ => Pipeline.SubmissionsPort }}";
        var (isClear, isImplicit) = (mode == "clear", mode == "implicit");
        switch (client)
        {
            case "swaks":
                var wire = Pipeline.Folder["swaks"];
                await File.WriteAllBytesAsync(wire, [.. DotStuffing.Stuff(message.ToArray()).Span, .. ".\r\n"u8], Cancellation);
                string[] login = isClear ? [] : [isImplicit ? "-tlsc" : "-tls", "--auth", "PLAIN", "--auth-user", Ann, "--auth-password", Pipeline.Password];
                await ServerProcess.RunAsync(
                    DebianProgram.Find("swaks", "swaks"),
                    ["--server", "127.0.0.1", "--port", port, .. login, "--from", Ann, "--to", Bob, "--no-data-fixup", "--data", $"@{wire}", "--suppress-data", "--hide-all"],
                    cancellation: Cancellation);
                break;
            case "curl":
                string[] user = isClear ? [] : ["--ssl-reqd", "--insecure", "--user", $"{Ann}:{Pipeline.Password}"];
                await ServerProcess.RunAsync(
                    DebianProgram.Find("curl", "curl"),
                    ["-sS", $"smtp{(isImplicit ? "s" : "")}://127.0.0.1:{port}/client.example", .. user, "--mail-from", Ann, "--mail-rcpt", Bob, "-T", await WriteAsync(message)],
                    cancellation: Cancellation);
                break;
            case "smtplib":
                await SubmitByPythonAsync(await WriteAsync(message), port, mode);
                break;
            case "msmtp":
                var configuration = Pipeline.Folder.WriteSecret($"msmtprc-{mode}", $"""
                    account default
                    host 127.0.0.1
                    port {port}
                    from {Ann}
                    user {Ann}
                    passwordeval printf '%s\n' '{Pipeline.Password}'
                    auth {(isClear ? "off" : "plain")}
                    tls {(isClear ? "off" : "on")}
                    tls_starttls {(isImplicit ? "off" : "on")}
                    {(isClear ? "" : "tls_certcheck off")}

                    """);
                await ServerProcess.RunAsync(
                    DebianProgram.Find("msmtp", "msmtp"), ["-C", configuration, Bob],
                    input: Encoding.ASCII.GetString(message.ToArray()).ReplaceLineEndings("\n"), cancellation: Cancellation);
                break;
            default:
                await SubmitByMailKitAsync(
                    message, int.Parse(port, System.Globalization.CultureInfo.InvariantCulture),
                    isClear ? SecureSocketOptions.None : isImplicit ? SecureSocketOptions.SslOnConnect : SecureSocketOptions.StartTls);
                break;
        }
    }

    private static async Task<string> SubmitByMailKitAsync(LedgerMessage message, int port, SecureSocketOptions tls)
    {
        using var stream = new MemoryStream(message.ToArray());
        var parsed = await MimeMessage.LoadAsync(stream, Cancellation);
        using var client = new SmtpClient();
#pragma warning disable CA5359 // The server's certificate is its own.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync("127.0.0.1", port, tls, Cancellation);
        if (tls != SecureSocketOptions.None)
            await client.AuthenticateAsync(Ann, Pipeline.Password, Cancellation);
        var reply = await client.SendAsync(parsed, MailboxAddress.Parse(Ann), [MailboxAddress.Parse(Bob)], Cancellation);
        await client.DisconnectAsync(quit: true, Cancellation);
        return reply;
    }

    private static string Token() => Guid.NewGuid().ToString("N")[..12];

    private async Task SubmitByPythonAsync(string file, string? port = null, string mode = "STARTTLS") =>
        await ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import smtplib, ssl, sys
                port, mode, sender, recipient, file, user, password = sys.argv[1:]
                context = ssl._create_unverified_context()
                with smtplib.SMTP_SSL("127.0.0.1", int(port), context=context) if mode == "implicit" else smtplib.SMTP("127.0.0.1", int(port)) as smtp:
                    if mode == "STARTTLS":
                        smtp.starttls(context=context)
                    if mode != "clear":
                        smtp.login(user, password)
                    smtp.sendmail(sender, [recipient], open(file, "rb").read(), mail_options=["BODY=8BITMIME"])
                """,
                port ?? $"{Pipeline.Server.Submission.Port}", mode, Ann, Bob, file, Ann, Pipeline.Password,
            ],
            cancellation: Cancellation);

    private async Task<string> WriteAsync(LedgerMessage message)
    {
        var file = Pipeline.Folder["message"];
        await File.WriteAllBytesAsync(file, message.ToArray(), Cancellation);
        return file;
    }

    private async Task AssertArrivesAsync(LedgerMessage message, Func<string>? explain = null, string protocol = "")
    {
        await Eventually.TrueAsync(
            async () =>
            {
                await using var client = await Pop3Client.OpenAsync(Pipeline.Maildrop("bob").Login, Cancellation);
                var found = false;
                foreach (var (number, _) in await client.ListAsync(Cancellation))
                {
                    var copy = new MemoryStream();
                    await client.CommandAsync($"RETR {number}", Cancellation);
                    await foreach (var line in client.ReadLinesAsync(Cancellation))
                    {
                        copy.Write(line.Span);
                        copy.Write("\r\n"u8);
                    }
                    if (copy.GetBuffer().AsSpan(0, (int)copy.Length).IndexOf(Encoding.ASCII.GetBytes(message.Token)) < 0)
                        continue;
                    found = true;
                    Received.AssertWhole(message, copy.GetBuffer().AsSpan(0, (int)copy.Length));
                    if (protocol.Length > 0)
                        Assert.Contains($" with {protocol} id ", Encoding.Latin1.GetString(copy.ToArray()), StringComparison.Ordinal);
                    await client.DeleteAsync(number, Cancellation);
                }
                await client.CommandAsync("QUIT", Cancellation);
                return found;
            },
            TimeSpan.FromSeconds(30),
            explain,
            Cancellation);
    }
}
