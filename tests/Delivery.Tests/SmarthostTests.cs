using System.Text;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Smtp;
using MailPipeline.Mail;
using MailPipeline.Sasl;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>Next hops that know us by a name and a password.</summary>
public sealed class SmarthostTests : IDisposable
{
    private const string Password = "s3cret,=words";

    private const string Transaction =
        """
        C: MAIL FROM:<sender@example.com>
        S: 250 Ok
        C: RCPT TO:<user1@example.net>
        S: 250 Ok
        C: DATA
        S: 354 Go on
        C: one
        C: .
        S: 250 Taken
        C: QUIT
        S: 221 Bye

        """;

    private const string End = "C: QUIT\nS: 221 Bye\n";

    private readonly TempFolder _folder = new("smarthost");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task The_password_is_shown_under_TLS_before_the_first_mail()
    {
        var (report, _) = await RunAsync(_ => { }, Secured("PLAIN LOGIN") + $"C: AUTH PLAIN {Base64($"\0ann\0{Password}")}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task LOGIN_answers_two_questions()
    {
        var (report, _) = await RunAsync(
            _ => { }, Secured("LOGIN") + $"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {Base64("ann")}\nS: 334 UGFzc3dvcmQ6\nC: {Base64(Password)}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_token_is_shown_by_XOAUTH2_and_a_refusal_asked_for()
    {
        var first = Base64($"user=ann\u0001auth=Bearer {Password}\u0001\u0001");
        var (taken, _) = await RunAsync(
            smarthost => smarthost.Mechanism = SmarthostMechanism.XOAuth2, Secured("PLAIN XOAUTH2") + $"C: AUTH XOAUTH2 {first}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(taken));
        var (refused, _) = await RunAsync(
            smarthost => smarthost.Mechanism = SmarthostMechanism.XOAuth2,
            Secured("PLAIN XOAUTH2") + $"C: AUTH XOAUTH2 {first}\nS: 334 {Base64("{}")}\nC: \nS: 535 5.7.8 No\n" + End);
        Assert.Equal(["Deferred 4.7.8"], Bench.Outcomes(refused));
    }

    [Theory]
    [InlineData("535 5.7.8 Bad credentials", "4.7.8", "535 5.7.8 (the credentials are wrong)")]
    [InlineData("535 Go away", "4.7.8", "535 (the credentials are wrong)")]
    [InlineData("454 4.7.0 Later", "4.7.0", "454 4.7.0 (not now)")]
    [InlineData("534 5.7.9 Too weak", "4.7.8", "534 5.7.9 (it wants a stronger mechanism or another kind of password)")]
    [InlineData("250 What?", "4.7.8", "250 (its reply is no login)")]
    // Hosts that say what they were sent.
    [InlineData("500 5.5.1 Command unrecognized: \"AUTH PLAIN AGFubgBzM2NyZXQsPXdvcmRz\"", "4.7.8", "500 5.5.1 (it does not know AUTH)")]
    [InlineData("535-5.7.8 No login of ann with\nS: 535 5.7.8 s3cret,=words", "4.7.8", "535 5.7.8 (the credentials are wrong)")]
    public async Task What_is_refused_waits_and_the_operator_reads_why(string reply, string status, string told)
    {
        var (report, log) = await RunAsync(_ => { }, Secured("PLAIN") + $"C: AUTH PLAIN {Base64($"\0ann\0{Password}")}\nS: {reply}\n" + End);
        var result = Assert.Single(report.Results);
        Assert.Equal((AttemptOutcome.Deferred, status), (result.Outcome, result.Status));
        // His mail waits for it, and so its sender may read it: without our settings.
        Assert.EndsWith($" does not take our login: {told}", result.Reply, StringComparison.Ordinal);
        Assert.DoesNotContain("Delivery:", result.Reply, StringComparison.Ordinal);
        Assert.True(report.Unreachable);
        Assert.Contains($"{result.Reply} [Delivery:Smarthosts:0:Credentials, by PLAIN]", log, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, log + result.Reply, StringComparison.Ordinal);
        Assert.DoesNotContain(Base64($"\0ann\0{Password}"), log + result.Reply, StringComparison.Ordinal);
    }

    /// <summary>A host that repeats the command and goes, before its reply has an end.</summary>
    [Fact]
    public async Task What_is_begun_of_a_reply_to_AUTH_is_not_told()
    {
        var first = Base64($"\0ann\0{Password}");
        var (report, log) = await RunAsync(_ => { }, Secured("PLAIN") + $"C: AUTH PLAIN {first}\nS: 500-5.5.1 AUTH PLAIN {first}\n! close");
        var result = Assert.Single(report.Results);
        Assert.Equal((AttemptOutcome.Deferred, "4.4.2"), (result.Outcome, result.Status));
        Assert.EndsWith(" without an answer to AUTH", result.Reply, StringComparison.Ordinal);
        Assert.DoesNotContain(first, log + result.Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_password_travels_in_clear()
    {
        const string InClear = "S: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\nS: 250 AUTH PLAIN LOGIN\n";
        var (kept, _) = await RunAsync(smarthost => smarthost.Tls = TlsPolicy.Opportunistic, InClear + End);
        Assert.Equal(["Deferred 4.7.11"], Bench.Outcomes(kept));
        var (shown, _) = await RunAsync(
            smarthost => (smarthost.Tls, smarthost.AllowCleartextAuth) = (TlsPolicy.Opportunistic, true),
            InClear + $"C: AUTH PLAIN {Base64($"\0ann\0{Password}")}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(shown));
    }

    /// <summary>RFC 8314 §3.3: TLS before the first word, and a login that is bound to it.</summary>
    [Fact]
    public async Task Where_TLS_comes_first_nothing_is_said_before_it()
    {
        const string Hello = "! tls\nS: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\n";
        var (report, _) = await RunAsync(
            smarthost => smarthost.ImplicitTls = true, $"{Hello}S: 250 AUTH PLAIN\nC: AUTH PLAIN {Base64($"\0ann\0{Password}")}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        var (bound, _) = await RunAsync(
            smarthost => (smarthost.ImplicitTls, smarthost.Mechanism) = (true, SmarthostMechanism.ScramSha256Plus),
            Hello + "S: 250 AUTH SCRAM-SHA-256-PLUS\n* AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIs\nS: 454 4.7.0 Later\n" + End);
        Assert.Equal(["Deferred 4.7.0"], Bench.Outcomes(bound));
    }

    /// <summary>What falls back to clear for other mail does not take the password along.</summary>
    [Fact]
    public async Task TLS_that_fails_brings_no_password_into_the_open()
    {
        const string Offer = "S: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\n";
        var (report, _) = await RunAsync(smarthost => smarthost.Tls = TlsPolicy.Opportunistic, Offer + "C: STARTTLS\nS: 220 Go on\n! close", Offer + End);
        Assert.Equal(["Deferred 4.7.11"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Without_a_word_about_TLS_the_certificate_has_to_be_good()
    {
        var (report, _) = await RunAsync(
            smarthost => smarthost.Tls = null, "S: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 Go on\n! tls\n");
        Assert.Equal(["Deferred 4.7.5"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("S: 250-PIPELINING", "offers no AUTH, and we may not go without it")]
    [InlineData("S: 250-AUTH GSSAPI NTLM", "offers AUTH by GSSAPI, NTLM, and none of them is SCRAM-SHA-256, PLAIN or LOGIN")]
    public async Task A_host_that_cannot_be_told_is_said_to_be_one(string line, string expected)
    {
        var (report, _) = await RunAsync(_ => { }, Secured("PLAIN").Replace("S: 250-AUTH PLAIN", line, StringComparison.Ordinal) + End);
        Assert.Equal(["Deferred 4.7.9"], Bench.Outcomes(report));
        Assert.EndsWith(expected, report.Results[0].Reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task TLS_may_come_before_the_greeting()
    {
        var (report, _) = await RunAsync(
            smarthost => smarthost.ImplicitTls = true,
            "! tls\nS: 220 mx.example.net\nC: EHLO client.example.com\nS: 250-mx.example.net\nS: 250-STARTTLS\nS: 250 AUTH PLAIN\n"
            + $"C: AUTH PLAIN {Base64($"\0ann\0{Password}")}\nS: 235 Welcome\n" + Transaction);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task The_credentials_are_those_of_the_moment()
    {
        await using var server = new ScriptedServer(
        [
            Secured("PLAIN") + $"C: AUTH PLAIN {Base64("\0ann\0first-words")}\nS: 535 5.7.8 No\n" + End,
            Secured("PLAIN") + $"C: AUTH PLAIN {Base64("\0bob\0other-words")}\nS: 235 Welcome\n" + Transaction.Replace("user1", "user2", StringComparison.Ordinal),
        ]);
        var secret = _folder.CreateFolder("secret");
        Write("ann", "first-words\n");
        await using var bench = new Bench();
        bench.Options.Pipelining = false;
        bench.Options.Smarthosts.Add(new SmarthostOptions { Host = $"127.0.0.1:{server.Port}", Tls = TlsPolicy.Required, Credentials = secret });
        Assert.Equal(["Deferred 4.7.8"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Write("bob", "other-words");
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        await server.FinishAsync();

        void Write(string name, string password)
        {
            File.WriteAllText(Path.Combine(secret, "username"), name);
            File.WriteAllText(Path.Combine(secret, "password"), password);
        }
    }

    [Fact]
    public async Task Credentials_that_are_gone_are_asked_of_the_operator_and_the_mail_waits()
    {
        var (report, log) = await RunAsync(smarthost => File.Delete(smarthost.Credentials), Secured("PLAIN") + End);
        var result = Assert.Single(report.Results);
        Assert.Equal((AttemptOutcome.Deferred, "4.7.8"), (result.Outcome, result.Status));
        Assert.StartsWith("Our login for 127.0.0.1", result.Reply, StringComparison.Ordinal);
        Assert.EndsWith(" cannot be used", result.Reply, StringComparison.Ordinal);
        Assert.Contains("[Delivery:Smarthosts:0:Credentials: it must be a file", log, StringComparison.Ordinal);
    }

    /// <summary>RFC 7677 §3.</summary>
    [Fact]
    public void SCRAM_proves_both_sides_by_the_example_of_its_RFC()
    {
        var client = new SaslClient.ScramSha256(new SmarthostCredentials("user", "pencil"), "rOprNGfwEbeRWgbNEkqO");
        Assert.Equal("n,,n=user,r=rOprNGfwEbeRWgbNEkqO", Encoding.UTF8.GetString(client.Initial!));
        Assert.Equal(
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            Encoding.UTF8.GetString(client.Answer("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"u8.ToArray())!));
        Assert.False(client.IsServerProven);
        Assert.Empty(client.Answer("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="u8.ToArray())!);
        Assert.True(client.IsServerProven);
    }

    [Theory]
    [InlineData("r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=nonce,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("r=nonce1,s=,i=4096")]
    [InlineData("r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=0")]
    [InlineData("r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4095")]
    [InlineData("r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=2000000000")]
    [InlineData("m=x,r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096")]
    [InlineData("")]
    public void SCRAM_proves_nothing_to_a_server_that_does_not_know_it(string challenge) =>
        Assert.Null(new SaslClient.ScramSha256(new SmarthostCredentials("user", "pencil"), "nonce").Answer(Encoding.UTF8.GetBytes(challenge)));

    [Fact]
    public void SCRAM_takes_no_impostor_for_the_server()
    {
        var client = new SaslClient.ScramSha256(new SmarthostCredentials("user", "pencil"), "nonce");
        Assert.NotNull(client.Answer("r=nonce1,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"u8.ToArray()));
        Assert.Null(client.Answer("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="u8.ToArray()));
        Assert.False(client.IsServerProven);
    }

    [Theory]
    // Whether it speaks TLS itself the host does not say: only the operator knows.
    [InlineData("Any", "SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256", "n,,")]
    [InlineData("Any", "SCRAM-SHA-256-PLUS PLAIN", "PLAIN", "")]
    [InlineData("Any", "SCRAM-SHA-256 PLAIN", "SCRAM-SHA-256", "n,,")]
    [InlineData("ScramSha256", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256", "n,,")]
    [InlineData("ScramSha256Plus", "SCRAM-SHA-256-PLUS SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "p=tls-exporter,,")]
    public async Task A_login_is_bound_to_the_connection_where_the_operator_says_so(string mechanism, string offered, string said, string header)
    {
        // The header has a multiple of three octets, as far as it matters here, so that it is seen in base64.
        var begin = Convert.ToBase64String(Encoding.ASCII.GetBytes(header))[..(header.Length / 3 * 4)];
        var (report, _) = await RunAsync(
            smarthost => smarthost.Mechanism = Enum.Parse<SmarthostMechanism>(mechanism), Secured(offered) + $"* AUTH {said} {begin}\nS: 454 4.7.0 Later\n" + End);
        Assert.Equal(["Deferred 4.7.0"], Bench.Outcomes(report));
    }

    [Theory]
    [InlineData("SCRAM-SHA-256 PLAIN")]
    [InlineData("PLAIN")]
    public async Task Who_wants_it_bound_shows_nothing_where_it_cannot_be(string offered)
    {
        var (report, _) = await RunAsync(smarthost => smarthost.Mechanism = SmarthostMechanism.ScramSha256Plus, Secured(offered) + End);
        Assert.Equal(["Deferred 4.7.9"], Bench.Outcomes(report));
        Assert.EndsWith("none of them is SCRAM-SHA-256-PLUS, over TLS that a login can be bound to", report.Results[0].Reply, StringComparison.Ordinal);
    }

    /// <summary>Of two ways of binding EHLO does not tell which the host knows: one of before RFC 9266, or one that says so, is asked for the other.</summary>
    [Theory]
    [InlineData("S: 535 5.7.8 What is that?\n")]
    [InlineData("S: 334 ZT11bnN1cHBvcnRlZC1jaGFubmVsLWJpbmRpbmctdHlwZQ==\nC: *\nS: 501 5.7.0 Ended\n")]
    public async Task A_host_that_binds_by_its_certificate_alone_is_logged_in_to_by_that(string refusal)
    {
        var (report, log) = await RunAsync(
            smarthost => smarthost.Mechanism = SmarthostMechanism.ScramSha256Plus,
            Secured("SCRAM-SHA-256-PLUS") + "* AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIs\n" + refusal
            + "* AUTH SCRAM-SHA-256-PLUS cD10bHMtc2VydmVyLWVuZC1wb2lud\nS: 535 5.7.8 No\n" + End);
        Assert.Equal(["Deferred 4.7.8"], Bench.Outcomes(report));
        Assert.EndsWith("535 5.7.8 (the credentials are wrong)", report.Results[0].Reply, StringComparison.Ordinal);
        Assert.Contains(", by SCRAM-SHA-256-PLUS by tls-server-end-point]", log, StringComparison.Ordinal);
    }

    /// <summary>A host that is out of order is not asked again at once.</summary>
    [Fact]
    public async Task A_host_that_wants_to_be_asked_later_is_not_asked_for_another_binding()
    {
        var (report, log) = await RunAsync(
            smarthost => smarthost.Mechanism = SmarthostMechanism.ScramSha256Plus,
            Secured("SCRAM-SHA-256-PLUS") + "* AUTH SCRAM-SHA-256-PLUS cD10bHMtZXhwb3J0ZXIs\nS: 454 4.7.0 Later\n" + End);
        Assert.EndsWith("454 4.7.0 (not now)", report.Results[0].Reply, StringComparison.Ordinal);
        Assert.Contains(", by SCRAM-SHA-256-PLUS by tls-exporter]", log, StringComparison.Ordinal);
    }

    /// <summary>Our client and our server, with one channel between them or two.</summary>
    [Theory]
    [InlineData(SmarthostMechanism.ScramSha256Plus, true, true)]
    [InlineData(SmarthostMechanism.ScramSha256Plus, false, false)]
    [InlineData(SmarthostMechanism.Any, false, true)]
    public void A_server_takes_a_bound_login_of_its_own_channel_alone(SmarthostMechanism mechanism, bool isSameChannel, bool isTaken)
    {
        ChannelBinding[] channel = [new(ChannelBinding.Exporter, new byte[] { 1, 2, 3 }), new(ChannelBinding.ServerEndPoint, new byte[] { 1, 2, 3 })];
        ChannelBinding[] other = [new(ChannelBinding.Exporter, new byte[] { 4, 5, 6 }), channel[1]];
        var client = SaslClient.Choose(mechanism, ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"], new SmarthostCredentials("user", "pencil"), channel)[0];
        Assert.False(client.HasShownProof);
        var (exchange, step) = SaslExchange.Begin(
            Encoding.ASCII.GetBytes($"{client.Mechanism} {Convert.ToBase64String(client.Initial!)}"), SaslMechanism.All, isSameChannel ? channel : other);
        if (step.Action == SaslAction.FindKeys)
        {
            step = exchange!.KeysFound(ScramKeys.Create("pencil", ScramKeys.LeastIterations));
            step = exchange.Read(Encoding.ASCII.GetBytes(Convert.ToBase64String(client.Answer(Convert.FromBase64String(step.Challenge))!)));
        }

        // Who is refused now is not asked again by another binding: he knows the proof.
        Assert.True(client.HasShownProof);
        Assert.Equal(isTaken ? SaslAction.Verify : SaslAction.Challenge, step.Action);
        Assert.Equal(isTaken, exchange!.Claim is ScramClaim { IsProven: true });
    }

    [Fact]
    public async Task A_host_that_skips_its_own_proof_gets_no_mail()
    {
        var (report, _) = await RunAsync(_ => { }, Secured("SCRAM-SHA-256") + "* AUTH SCRAM-SHA-256 \nS: 235 Welcome\n" + End);
        Assert.Equal(["Deferred 4.7.8"], Bench.Outcomes(report));
        Assert.Contains("has not proven that it knows our password", report.Results[0].Reply, StringComparison.Ordinal);
    }

    private static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static string Secured(string mechanisms) =>
        $"""
        S: 220 mx.example.net
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 STARTTLS
        C: STARTTLS
        S: 220 Go on
        ! tls
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250-AUTH {mechanisms}
        S: 250 8BITMIME

        """;

    private async Task<(AttemptReport Report, string Log)> RunAsync(Action<SmarthostOptions> configure, params string[] scripts)
    {
        await using var server = new ScriptedServer(scripts);
        var file = _folder["credentials"];
        await File.WriteAllTextAsync(file, $"ann\n{Password}\n", TestContext.Current.CancellationToken);
        var smarthost = new SmarthostOptions { Host = $"127.0.0.1:{server.Port}", Tls = TlsPolicy.Required, Credentials = file };
        await using var bench = new Bench();
        bench.Options.Pipelining = false;
        bench.Options.Smarthosts.Add(smarthost);
        configure(smarthost);
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        await server.FinishAsync();
        return (report, string.Join('\n', [.. bench.TracedLines, .. bench.LoginLines.Collector.GetSnapshot().Select(record => record.Message)]));
    }
}
