using System.Net;
using System.Net.Sockets;
using System.Text;
using Pop3Client = MailKit.Net.Pop3.Pop3Client;
using MailKit.Security;
using MailPipeline.Mailbox.Pop3;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.Sasl;
using Pop3Sasl = MailPipeline.Sasl.SaslMechanism;
using MailPipeline.Testing;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox.Tests;

/// <summary>OAUTHBEARER (RFC 7628) and XOAUTH2 in POP3 (RFC 5034): the dialogue alone, and the service with clients that others have written.</summary>
public sealed class Pop3TokenTests
{
    private const string Ann = "ann@example.org";

    private static Task<MailboxHost> StartAsync(OpenIdIssuer issuer, params (string Key, string Value)[] settings) => MailboxHost.StartAsync(
        new Dictionary<string, string?>
        {
            ["Logins:OpenId:Issuer"] = issuer.Address,
            ["Logins:OpenId:Audiences:0"] = "mail",
            ["Logins:OpenId:AllowLoopbackHttp"] = "true",
            ["Logins:OpenId:FetchTimeout"] = "1s",
        }.Concat(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).ToDictionary());

    private static string Encode(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text.Replace('|', '\x01')));

    private static string Line(Pop3Step step) => step switch
    {
        Pop3Step.Reply reply => reply.Line,
        Pop3Step.Close close => "(end) " + close.Line,
        Pop3Step.Verify verify => verify.Claim.UserName,
        _ => step.GetType().Name,
    };

    private static Pop3Session Session(bool secure = true) => new(new Pop3Terms(secure, StartTls: true, CleartextLogin: false, MaxLoginFailures: 2, MaxBadCommands: 20)
    {
        Mechanisms = Pop3Sasl.Tokens,
        TokenIssuer = new TokenIssuer("https://login.example.org/.well-known/openid-configuration", ""),
    });

    [Fact]
    public void Who_is_refused_is_told_why_then_that_it_failed_and_each_time_counts()
    {
        var session = Session();
        var login = Encoding.ASCII.GetBytes($"AUTH OAUTHBEARER {Encode("n,a=ann@example.org,|auth=Bearer x||")}");
        Assert.Equal(Ann, Line(session.Command(login)));
        Assert.Equal("+ " + Encode("""{"status":"invalid_token","openid-configuration":"https://login.example.org/.well-known/openid-configuration"}"""), Line(session.LoginFailed(LoginFailure.BadCredentials)));
        Assert.Equal("-ERR [AUTH] user name or password is wrong", Line(session.Command("AQ=="u8)));
        session.Command(login);
        session.LoginFailed(LoginFailure.BadCredentials);
        Assert.Equal("(end) -ERR [AUTH] user name or password is wrong", Line(session.Command("*"u8)));

        session = Session();
        session.Command(login);
        session.LoginFailed(LoginFailure.BadCredentials);
        Assert.Equal("-ERR line too long", Line(session.Malformed(LineFault.TooLong)));
        session.Command(login);
        Assert.StartsWith("(end) ", Line(session.LoginFailed(LoginFailure.Unavailable)), StringComparison.Ordinal);
    }

    [Fact]
    public void Only_AUTH_may_be_as_long_as_a_token_and_only_under_TLS_before_the_login()
    {
        var session = Session();
        Assert.Equal(SaslExchange.MaxCommandBytes, session.MaxLineBytes);
        Assert.Equal(Ann, Line(session.Command(Encoding.ASCII.GetBytes($"AUTH XOAUTH2 {Encode($"user={Ann}|auth=Bearer {new string('x', 8000)}||")}"))));
        session.LoginFailed(LoginFailure.Unavailable);
        Assert.Equal("-ERR line too long", Line(session.Command(Encoding.ASCII.GetBytes("USER " + new string('a', 249)))));
        Assert.Equal(Pop3Session.MaxCommandBytes, Session(secure: false).MaxLineBytes);
    }

    [Fact]
    public async Task The_service_takes_tokens_and_while_the_issuer_is_away_says_later()
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        issuer.FallSilent();
        await using var host = await StartAsync(issuer);
        await host.AddAccountAsync(Ann);
        using var client = await ConnectAsync(host, 1, SecureSocketOptions.SslOnConnect);
        Assert.Contains("OAUTHBEARER", client.AuthenticationMechanisms);
        Assert.Contains("XOAUTH2", client.AuthenticationMechanisms);
        await Assert.ThrowsAsync<AuthenticationException>(
            () => client.AuthenticateAsync(new SaslMechanismOAuthBearer(Ann, issuer.Token(Ann)), TestContext.Current.CancellationToken));
        using var socket = new TcpClient();
        await socket.ConnectAsync(host.EndPoints[1], TestContext.Current.CancellationToken);
        await using var wire = await TestTls.AsClientAsync(socket.GetStream(), TestContext.Current.CancellationToken);
        await wire.WriteAsync(Encoding.ASCII.GetBytes($"AUTH XOAUTH2 {Encode($"user={Ann}|auth=Bearer {issuer.Token(Ann)}||")}\r\n"), TestContext.Current.CancellationToken);
        using var lines = new StreamReader(wire);
        await lines.ReadLineAsync(TestContext.Current.CancellationToken);
        Assert.StartsWith("-ERR [SYS/TEMP] ", await lines.ReadLineAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        await client.AuthenticateAsync(Ann, "secret", TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(0, SecureSocketOptions.StartTls)]
    [InlineData(1, SecureSocketOptions.SslOnConnect)]
    public async Task MailKit_logs_in_by_both_mechanisms(int listener, SecureSocketOptions tls)
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        await host.AddAccountAsync(Ann);
        foreach (var make in new Func<string, MailKit.Security.SaslMechanism>[] { token => new SaslMechanismOAuthBearer(Ann, token), token => new SaslMechanismOAuth2(Ann, token) })
        {
            using (var refused = await ConnectAsync(host, listener, tls))
            {
                // Here it takes the challenge that says why for a fault of the protocol; in SMTP it does not.
                await Assert.ThrowsAnyAsync<Exception>(() => refused.AuthenticateAsync(make(issuer.Token("bob@example.org")), TestContext.Current.CancellationToken));
            }

            using var client = await ConnectAsync(host, listener, tls);
            await client.AuthenticateAsync(make(issuer.Token(Ann)), TestContext.Current.CancellationToken);
            Assert.Equal(0, client.Count);
            await client.DisconnectAsync(true, TestContext.Current.CancellationToken);
        }

        Assert.DoesNotContain(host.TracedLines, line => line.Contains("eyJ", StringComparison.Ordinal));
        Assert.Contains(host.TracedLines, line => line.Contains("reason=\"the token is of another user\" reply=-ERR [AUTH]", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("OAUTHBEARER")]
    [InlineData("XOAUTH2")]
    public async Task Curl_logs_in(string mechanism)
    {
        await using var issuer = await OpenIdIssuer.StartAsync();
        await using var host = await StartAsync(issuer);
        await host.AddAccountAsync(Ann);
        await ServerProcess.RunAsync(
            DebianProgram.Find("curl", "curl"),
            ["-sS", "-k", "--oauth2-bearer", issuer.Token(Ann), "--login-options", $"AUTH={mechanism}", "-u", $"{Ann}:", $"pop3s://{host.EndPoints[1]}"],
            cancellation: TestContext.Current.CancellationToken);
        await Assert.ThrowsAnyAsync<Exception>(() => ServerProcess.RunAsync(
            DebianProgram.Find("curl", "curl"),
            ["-sS", "-k", "--oauth2-bearer", issuer.Token("bob@example.org"), "--login-options", $"AUTH={mechanism}", "-u", $"{Ann}:", $"pop3s://{host.EndPoints[1]}"],
            cancellation: TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task A_listener_that_names_tokens_needs_an_issuer()
    {
        var failure = await Assert.ThrowsAsync<OptionsValidationException>(
            () => MailboxHost.StartAsync(new() { ["Mailbox:Listeners:0:AuthMechanisms"] = "OAUTHBEARER" }));
        Assert.Contains(
            "Mailbox:Listeners:0:AuthMechanisms is 'OAUTHBEARER', but OAUTHBEARER needs an issuer of tokens; set Logins:OpenId:Issuer, or leave it out", failure.Failures);
    }

    private static async Task<Pop3Client> ConnectAsync(MailboxHost host, int listener, SecureSocketOptions tls)
    {
        var client = new Pop3Client();
#pragma warning disable CA5359 // The server's certificate is its own.
        client.ServerCertificateValidationCallback = (_, _, _, _) => true;
#pragma warning restore CA5359
        await client.ConnectAsync(IPAddress.Loopback.ToString(), host.EndPoints[listener].Port, tls, TestContext.Current.CancellationToken);
        return client;
    }
}
