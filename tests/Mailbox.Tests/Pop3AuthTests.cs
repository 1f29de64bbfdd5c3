using MailPipeline.Mailbox.Tests.Kit;

namespace MailPipeline.Mailbox.Tests;

/// <summary>Logins by AUTH (RFC 5034), each run whole, line by line and octet by octet. The account is ann@example.org, its password "secret".</summary>
public sealed class Pop3AuthTests
{
    private const string Plain = "AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=";
    private const string WrongPlain = "AGFubkBleGFtcGxlLm9yZwB3cm9uZw==";
    private const string Ann = "YW5uQGV4YW1wbGUub3Jn";

    public static TheoryData<Feed, string> Logins { get; } = new(
        from feed in Enum.GetValues<Feed>()
        from exchange in new[]
        {
            $"C: AUTH PLAIN {Plain}|S: +OK 0 messages (0 octets)",
            $"C: auth plain|S: + |C: {Plain}|S: +OK 0 messages (0 octets)",
            $"C: AUTH LOGIN|S: + VXNlcm5hbWU6|C: {Ann}|S: + UGFzc3dvcmQ6|C: c2VjcmV0|S: +OK 0 messages (0 octets)",
            $"C: AUTH LOGIN {Ann}|S: + UGFzc3dvcmQ6|C: c2VjcmV0|S: +OK 0 messages (0 octets)",
            // Who gives up, or fails, may begin anew.
            $"C: AUTH PLAIN|S: + |C: *|S: -ERR authentication cancelled|C: AUTH PLAIN {Plain}|S: +OK 0 messages (0 octets)",
            $"C: AUTH PLAIN {WrongPlain}|S: -ERR [AUTH] user name or password is wrong|C: AUTH PLAIN {Plain}|S: +OK 0 messages (0 octets)",
            "C: AUTH LOGIN|S: + VXNlcm5hbWU6|C: cQBx|S: -ERR the response cannot be decoded|C: NOOP|S: -ERR log in first",
            "C: AUTH PLAIN =|S: -ERR the response cannot be decoded|C: NOOP|S: -ERR log in first",
            "C: AUTH PLAIN|S: + |C: |S: -ERR the response cannot be decoded|C: NOOP|S: -ERR log in first",
            "C: AUTH PLAIN|S: + |C: !!!|S: -ERR the response cannot be decoded|C: NOOP|S: -ERR log in first",
            "C: AUTH PLAIN|S: + |C: \\xFF\\xFF|S: -ERR the response cannot be decoded|C: NOOP|S: -ERR log in first",
            "C: AUTH CRAM-MD5|S: -ERR unknown authentication mechanism|C: NOOP|S: -ERR log in first",
            "C: AUTH|S: -ERR usage: AUTH mechanism [initial-response]",
            $"C: AUTH PLAIN {Plain} x|S: -ERR usage: AUTH mechanism [initial-response]",
            $"C: AUTH PLAIN {Plain}|S: +OK...|C: AUTH PLAIN {Plain}|S: -ERR already logged in",
            // Acting for somebody else.
            "C: AUTH PLAIN Ym9iQGV4YW1wbGUub3JnAGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=|S: -ERR [AUTH] user name or password is wrong|C: NOOP|S: -ERR log in first",
        }
        select new TheoryDataRow<Feed, string>(feed, exchange));

    [Theory, MemberData(nameof(Logins))]
    public async Task Auth_takes_plain_and_login_with_and_without_an_initial_response(Feed feed, string exchange)
    {
        using var harness = new Pop3Harness();
        await Transcript.RunAsync(harness.Connect(), $"S: +OK...\n{exchange.Replace('|', '\n')}\nC: QUIT\nS: +OK bye", feed);
        Assert.False(harness.Maildrops.IsLocked(harness.AnnId));
    }

    [Fact]
    public async Task A_response_may_be_longer_than_any_command_up_to_its_own_bound()
    {
        using var harness = new Pop3Harness();
        var wire = harness.Connect();
        await wire.LineAsync();
        Assert.Equal("-ERR line too long", await wire.AskAsync("AUTH PLAIN " + new string('A', 300)));
        Assert.Equal("+ ", await wire.AskAsync("AUTH PLAIN"));
        Assert.Equal("-ERR [AUTH] user name or password is wrong", await wire.AskAsync(
            Convert.ToBase64String(System.Text.Encoding.ASCII.GetBytes("\0ann@example.org\0" + new string('x', 9000)))));
        Assert.Equal("+ ", await wire.AskAsync("AUTH PLAIN"));
        Assert.Equal("-ERR line too long", await wire.AskAsync(new string('A', 12_289)));
        // It ended the login: what follows is a command.
        Assert.Equal("-ERR log in first", await wire.AskAsync("NOOP"));
    }

    [Fact]
    public async Task Failures_by_AUTH_and_by_PASS_are_counted_together()
    {
        using var harness = new Pop3Harness(options => options.MaxLoginFailures = 3);
        await Transcript.RunAsync(harness.Connect(), $"""
            S: +OK...
            C: AUTH PLAIN {WrongPlain}
            S: -ERR [AUTH] user name or password is wrong
            C: USER ann@example.org
            S: +OK...
            C: PASS wrong
            S: -ERR [AUTH] user name or password is wrong
            C: AUTH LOGIN
            S: + VXNlcm5hbWU6
            C: {Ann}
            S: + UGFzc3dvcmQ6
            C: d3Jvbmc=
            S: -ERR [AUTH] user name or password is wrong
            """, Feed.ByLine);
    }

    [Fact]
    public async Task Auth_is_not_taken_in_clear_text()
    {
        using var harness = new Pop3Harness(options => options.AllowCleartextLogin = CleartextLogin.Never);
        var wire = harness.Connect();
        await wire.LineAsync();
        Assert.Equal("-ERR passwords are not taken in clear text; send STLS first", await wire.AskAsync($"AUTH PLAIN {Plain}"));
    }
}
