using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text;
using MailKit.Net.Smtp;
using MailKit.Security;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Tests;

/// <summary>OAUTHBEARER (RFC 7628) and XOAUTH2 at submission, with tokens of an issuer on this machine and with clients that others have written.</summary>
public sealed class TokenTests
{
    private const string Ann = "ann@example.com";

    private static string OAuthBearer(string token, string user = Ann) => Encode($"n,a={user},\u0001host=mx.example.com\u0001port=587\u0001auth=Bearer {token}\u0001\u0001");

    private static string XOAuth2(string token, string user = Ann) => Encode($"user={user}\u0001auth=Bearer {token}\u0001\u0001");

    private static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    private static Task<IngressHost> StartAsync(OpenIdIssuer issuer, params (string Key, string Value)[] settings) => IngressHost.StartAsync(
        new Dictionary<string, string>
        {
            ["Logins:OpenId:Issuer"] = issuer.Address,
            ["Logins:OpenId:Audiences:0"] = "mail",
            ["Logins:OpenId:AllowLoopbackHttp"] = "true",
            ["Ingress:AllowCleartextAuth"] = "true",
            ["Ingress:AuthFailureDelay"] = "00:00:00",
        }.Concat(settings.Select(setting => KeyValuePair.Create(setting.Key, setting.Value))).ToDictionary(),
        services: services => services.AddFakeLogging());

    [Fact]
    public async Task A_user_logs_in_by_a_token_and_sends_as_himself()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        foreach (var login in new[]
        {
            $"AUTH OAUTHBEARER {OAuthBearer(issuer.Token(Ann))}", $"AUTH XOAUTH2 {XOAuth2(issuer.Token(Ann))}",
            $"AUTH OAUTHBEARER {Encode($"n,,\u0001auth=Bearer {issuer.Token(Ann)}\u0001\u0001")}",
        })
        {
            await using var client = await Client.ConnectAsync(host.Submission);
            var offered = await client.SayAsync("EHLO client.example.net", "250");
            Assert.Contains("AUTH LOGIN PLAIN OAUTHBEARER XOAUTH2", offered, StringComparison.Ordinal);
            Assert.Contains("AUTH=LOGIN PLAIN\n", offered.ReplaceLineEndings("\n"), StringComparison.Ordinal);
            await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
            await client.SayAsync(login, "235 2.7.0");
            await client.SayAsync(login, "503 5.5.1");
            await client.SayAsync("MAIL FROM:<bob@example.com>", "553 5.7.1");
            await client.BeginAsync("sales@example.com", "joe@example.net");
            await client.SayAsync("From: sales@example.com\r\n\r\nx\r\n.", "250 2.0.0");
            Assert.Equal("sales@example.com", (await host.NextHintAsync()).Sender);
        }

        await using var waiting = await Client.GreetedAsync(host.Submission);
        await waiting.SayAsync("AUTH XOAUTH2", "334 ");
        await waiting.SayAsync(XOAuth2(issuer.Token(Ann)), "235 2.7.0");
    }

    [Fact]
    public async Task Who_is_refused_is_told_why_then_that_it_failed_and_has_no_more_tries_for_it()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer, ("Ingress:MaxAuthFailures", "4"));
        await using var client = await Client.GreetedAsync(host.Submission);
        var expired = issuer.Token(Ann, claims => (claims["nbf"], claims["exp"]) = (1, 2));
        var told = await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer(expired)}", "334 ");
        Assert.Equal(
            $$"""{"status":"invalid_token","openid-configuration":"{{issuer.Address}}/.well-known/openid-configuration"}""",
            Encoding.UTF8.GetString(Convert.FromBase64String(told[4..].Trim())));
        await client.SayAsync("AQ==", "535 5.7.8");
        told = await client.SayAsync($"AUTH XOAUTH2 {XOAuth2(issuer.Token("bob@example.com"))}", "334 ");
        Assert.Equal("""{"status":"401","schemes":"Bearer"}""", Encoding.UTF8.GetString(Convert.FromBase64String(told[4..].Trim())));
        await client.SayAsync("", "535 5.7.8");
        // Neither giving up nor a line that is none makes it any less of a failure.
        await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer(expired)}", "334 ");
        await client.SayAsync("*", "501 5.7.0");
        await client.SayAsync("MAIL FROM:<ann@example.com>", "530");
        await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer("forged")}", "334 ");
        await client.SayAsync("!", "501 5.5.2");
        await client.ExpectAsync("421 4.7.0");
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_broken_line_after_a_refusal_is_a_failure_as_well()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer, ("Ingress:MaxAuthFailures", "2"));
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer("forged")}", "334 ");
        await client.SendAsync("AQ==\n");
        await client.ExpectAsync("500");
        await client.SayAsync($"AUTH PLAIN {Encode("\0ann@example.com\0wrong")}", "535");
        await client.ExpectAsync("421");
    }

    [Theory]
    [InlineData(100)]
    [InlineData(3_000)]
    [InlineData(8_000)]
    public async Task A_token_may_be_as_long_as_a_response_in_the_command_or_behind_it(int padding)
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        var response = OAuthBearer(issuer.Token(Ann, claims => claims["groups"] = new string('x', padding * 3 / 4)));
        await using (var client = await Client.GreetedAsync(host.Submission))
            await client.SayAsync($"AUTH OAUTHBEARER {response}", "235 2.7.0");
        await using (var client = await Client.GreetedAsync(host.Submission))
        {
            await client.SayAsync("AUTH OAUTHBEARER", "334 ");
            await client.SayAsync(response, "235 2.7.0");
            // Whoever is logged in has no use for such a line.
            await client.SayAsync($"AUTH OAUTHBEARER {new string('A', 3000)}", "500");
        }
    }

    [Fact]
    public async Task Nothing_but_AUTH_may_be_as_long_as_a_token()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SayAsync($"NOOP {new string('A', 2041)}", "250");
        await client.SayAsync($"NOOP {new string('A', 2042)}", "500 5.5.2 Line too long");
        await client.SayAsync($"AUTHX {new string('A', 2042)}", "500 5.5.2 Line too long");
        await client.SayAsync($"AUTH OAUTHBEARER {new string('A', 12_400)}", "500 5.5.6");
        await client.SayAsync("AUTH OAUTHBEARER", "334 ");
        await client.SayAsync(new string('A', 12_289), "500 5.5.6");
        await using var mx = await Client.GreetedAsync(host.Mx);
        await mx.SayAsync($"AUTH OAUTHBEARER {new string('A', 3000)}", "500 5.5.2 Line too long");
        await mx.SayAsync("AUTH OAUTHBEARER", "502");
    }

    [Fact]
    public async Task An_issuer_that_is_away_or_silent_is_454_and_passwords_go_on()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        issuer.FallSilent();
        await using var host = await StartAsync(issuer, ("Logins:OpenId:FetchTimeout", "1s"), ("Ingress:MaxAuthFailures", "1"));
        await using var client = await Client.GreetedAsync(host.Submission);
        await client.SendAsync($"AUTH OAUTHBEARER {OAuthBearer(issuer.Token(Ann))}\r\n");
        await using (var other = await Client.GreetedAsync(host.Submission))
            await other.SayAsync($"AUTH PLAIN {Encode("\0ann@example.com\0secret")}", "235");
        await client.ExpectAsync("454 4.7.0");
        // A temporary failure is none of those that end a session.
        await client.SayAsync($"AUTH XOAUTH2 {XOAuth2(issuer.Token(Ann))}", "454 4.7.0");
        await client.SayAsync($"AUTH PLAIN {Encode("\0ann@example.com\0secret")}", "235");
        Assert.Contains(host.Services.GetFakeLogCollector().GetSnapshot(), record => record.Id.Id == 9001 && record.Message.Contains("no answer within 1 s", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Many_forged_tokens_are_refused_and_are_in_nobodys_way()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer, ("Ingress:MaxAuthFailures", "100"));
        await using var client = await Client.GreetedAsync(host.Submission);
        for (var i = 0; i < 10; i++)
        {
            await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer($"forged{i}", Ann)}", "334 ");
            await client.SayAsync("AQ==", "535 5.7.8");
        }

        // Passwords of that name are guessed there no longer, perhaps.
        await client.SayAsync($"AUTH PLAIN {Encode("\0ann@example.com\0secret")}", "454 4.7.0");
        await client.SayAsync($"AUTH XOAUTH2 {XOAuth2(issuer.Token(Ann))}", "235");
    }

    [Fact]
    public async Task No_token_is_in_any_log_or_trace_and_the_log_says_why_it_was_refused()
    {
        var traced = new ConcurrentQueue<string>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity => traced.Enqueue($"{activity.DisplayName} {string.Join(' ', activity.TagObjects.Select(tag => $"{tag.Key}={tag.Value}"))}"),
        };
        ActivitySource.AddActivityListener(listener);
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer, ("Ingress:MaxAuthFailures", "100"), ("Logging:LogLevel:Default", "Trace"));
        await using var client = await Client.GreetedAsync(host.Submission);
        string[] tokens =
        [
            issuer.Token(Ann, claims => claims["aud"] = "web"), issuer.Token(Ann, key: IssuerKey.Rsa("rsa-1")), issuer.Token("bob@example.com"),
            issuer.Token(Ann, header: head => head["kid"] = "evil\r\nstatus=accepted"), "opaque", issuer.Token(Ann),
        ];
        foreach (var token in tokens)
        {
            var isRight = token == tokens[^1];
            await client.SayAsync($"AUTH XOAUTH2 {XOAuth2(token)}", isRight ? "235" : "334 ");
            if (!isRight)
                await client.SayAsync("", "535");
        }

        var records = host.Services.GetFakeLogCollector().GetSnapshot();
        Assert.All(records.Select(record => $"{record.Message} {record.Exception}").Concat(traced), line => Assert.All(
            tokens.SelectMany(token => token.Split('.')), part => Assert.DoesNotContain(part, line, StringComparison.Ordinal)));
        Assert.Equal(
            ["for another audience", "signed by no key of the issuer", "of another user", "signed by no key of the issuer", "no signed token"],
            records.Where(record => record.Id.Id == 1007).Select(record => record.Message.Split("reason=\"the token is ")[1].Split('"')[0]));
    }

    [Fact]
    public async Task Without_an_issuer_nothing_of_it_is_there()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:AllowCleartextAuth"] = "true" });
        await using var client = await Client.ConnectAsync(host.Submission);
        Assert.DoesNotContain("OAUTH", await client.SayAsync("EHLO client.example.net", "250"), StringComparison.Ordinal);
        await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer("x")}", "504 5.5.4");
        await client.SayAsync($"AUTH OAUTHBEARER {OAuthBearer(new string('x', 2000))}", "500");
    }

    [Theory]
    [InlineData("Ingress:Listeners:1:AuthMechanisms", "PLAIN XOAUTH2", "Ingress:Listeners:1:AuthMechanisms is 'PLAIN XOAUTH2', but XOAUTH2 needs an issuer of tokens; set Logins:OpenId:Issuer, or leave it out")]
    [InlineData("Logins:OpenId:Issuer", "http://login.example.org", "Logins:OpenId:Issuer is 'http://login.example.org'; it must be an address by https without a query, such as https://login.example.org (by http only on this machine, with Logins:OpenId:AllowLoopbackHttp)")]
    [InlineData("Logins:OpenId:Issuer", "http://127.0.0.1:8080", "Logins:OpenId:Issuer is 'http://127.0.0.1:8080'; it must be an address by https without a query, such as https://login.example.org (by http only on this machine, with Logins:OpenId:AllowLoopbackHttp)")]
    [InlineData("Logins:OpenId:Issuer", "https://login.example.org", "Logins:OpenId:Audiences has no entry, or an empty one; it must name for whom tokens are made, e.g. Logins:OpenId:Audiences:0=mail")]
    [InlineData("Logins:OpenId:Audiences:0", "mail", "Logins:OpenId:Issuer is not set, but other settings of Logins:OpenId are; it must be an address such as https://login.example.org")]
    public async Task Settings_that_do_not_fit_are_named(string setting, string value, string expected)
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(
            async () => await IngressHost.StartAsync(new Dictionary<string, string> { [setting] = value }));
        Assert.Contains(expected, failure.Failures);
    }

    [Fact]
    public async Task MailKit_logs_in_by_both_mechanisms_and_sends()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        foreach (var make in new Func<string, SaslMechanism>[] { token => new SaslMechanismOAuthBearer(Ann, token), token => new SaslMechanismOAuth2(Ann, token) })
        {
            using var client = new SmtpClient();
#pragma warning disable CA5359 // The server's certificate is its own.
            client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
            await client.ConnectAsync(IPAddress.Loopback.ToString(), host.Submissions.Port, SecureSocketOptions.SslOnConnect, TestContext.Current.CancellationToken);
            await Assert.ThrowsAsync<AuthenticationException>(() => client.AuthenticateAsync(make(issuer.Token("bob@example.com")), TestContext.Current.CancellationToken));
            await client.AuthenticateAsync(make(issuer.Token(Ann)), TestContext.Current.CancellationToken);
            await client.SendAsync(
                MimeKit.MimeMessage.Load(new MemoryStream("From: ann@example.com\r\nTo: carol@example.net\r\nSubject: x\r\n\r\ny\r\n"u8.ToArray()), TestContext.Current.CancellationToken),
                TestContext.Current.CancellationToken);
            Assert.Equal(Ann, (await host.NextHintAsync()).Sender);
            await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
        }
    }

    [Theory]
    [InlineData("OAUTHBEARER", 0)]
    [InlineData("XOAUTH2", 0)]
    [InlineData("XOAUTH2", 2000)]
    public async Task Curl_logs_in_and_sends(string mechanism, int padding)
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        using var folder = new TempFolder();
        var token = issuer.Token(Ann, claims => claims["groups"] = new string('x', padding));
        await ServerProcess.RunAsync(
            DebianProgram.Find("curl", "curl"),
            [
                "-sS", "-k", "--ssl-reqd", "--oauth2-bearer", token, "--login-options", $"AUTH={mechanism}", "-u", $"{Ann}:",
                $"smtp://{host.Submission}/client.example.net", "--mail-from", Ann, "--mail-rcpt", "joe@example.net",
                "-T", folder.Write("message", "From: ann@example.com\r\n\r\nx\r\n"),
            ],
            cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(Ann, (await host.NextHintAsync()).Sender);
    }

    [Fact]
    public async Task Python_smtplib_logs_in_and_hears_of_a_refusal()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        await ServerProcess.RunAsync(
            DebianProgram.Find("python3", "python3"),
            [
                "-c",
                """
                import smtplib, ssl, sys
                port, wrong, right = sys.argv[1:]
                context = ssl._create_unverified_context()
                def response(token, challenge=None):
                    return "" if challenge else "user=ann@example.com\x01auth=Bearer " + token + "\x01\x01"
                with smtplib.SMTP("127.0.0.1", int(port)) as smtp:
                    smtp.starttls(context=context)
                    smtp.ehlo()
                    try:
                        smtp.auth("XOAUTH2", lambda challenge=None: response(wrong, challenge))
                        sys.exit("it was taken")
                    except smtplib.SMTPAuthenticationError as refused:
                        assert refused.smtp_code == 535, refused
                    smtp.auth("XOAUTH2", lambda challenge=None: response(right, challenge))
                    smtp.sendmail("ann@example.com", ["joe@example.net"], "From: ann@example.com\r\n\r\nx\r\n")
                """,
                $"{host.Submission.Port}", issuer.Token(Ann, claims => claims["aud"] = "web"), issuer.Token(Ann),
            ],
            cancellation: TestContext.Current.CancellationToken);
        Assert.Equal(Ann, (await host.NextHintAsync()).Sender);
    }
}
