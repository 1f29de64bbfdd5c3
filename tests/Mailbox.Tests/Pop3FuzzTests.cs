using System.Text.RegularExpressions;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.Sasl;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Mailbox.Tests;

/// <summary>
/// Whatever a client of POP3 sends over one connection, the lines of SASL among it: see tests/Fuzz. Nothing fails, nothing hangs, the answers are the same
/// however the octets are cut, and nothing of what was sent comes back.
/// </summary>
public sealed partial class Pop3FuzzTests : IDisposable
{
    private const string Kind = "pop3";

    private const int Inputs = 300;

    private static readonly string[] s_words =
    [
        "USER ann@example.org\r\n", "PASS secret\r\n", "AUTH\r\n", "AUTH PLAIN ", "AUTH LOGIN\r\n", "AUTH SCRAM-SHA-256 ", "AUTH SCRAM-SHA-256-PLUS ", "AUTH OAUTHBEARER ", "AUTH XOAUTH2 ",
        "AUTH PLAIN AGFubkBleGFtcGxlLm9yZwBzZWNyZXQ=\r\n", "biwsbj1hbm5AZXhhbXBsZS5vcmcscj1hYmM=", "AQ==", "=\r\n", "*\r\n", "CAPA\r\n", "STLS\r\n", "STAT\r\n", "LIST ", "UIDL ", "RETR 1\r\n",
        "TOP 1 0\r\n", "DELE 1\r\n", "RSET\r\n", "NOOP\r\n", "UTF8\r\n", "LANG ", "QUIT\r\n", "APOP ann ", " 99999999999999999999",
    ];

    private readonly Pop3Harness _harness = new(mechanisms: SaslMechanism.NamesOf(SaslMechanism.All));

    public static TheoryData<string> Kept => [.. FuzzInputs.NamesOf(Kind)];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private FuzzSearch Search => new(Kind, s_words, TryAsync);

    [Theory, MemberData(nameof(Kept))]
    public async Task A_session_that_is_kept_is_answered_the_same_however_it_is_cut(string name) =>
        Assert.Null(await Search.FaultOfAsync(FuzzInputs.Read(Kind, name), Cancellation));

    [Fact]
    public async Task What_is_made_of_them_fails_no_more_than_they_do() => AssertNone(await Search.RunAsync(Inputs, Cancellation));

    [Fact]
    [Trait("Soak", "true")]
    public async Task Nor_does_it_in_an_hour() => AssertNone(await Search.RunAsync(FuzzSearch.SoakTime, Cancellation));

    /// <summary>A checker that cannot fail proves nothing.</summary>
    [Fact]
    public void What_is_wrong_is_seen()
    {
        Assert.Null(FaultOf("+OK ready\r\n+ \r\n-ERR no\r\n"));
        Assert.NotNull(FaultOf("+OK ready\r\n-ERR no"));
        Assert.NotNull(FaultOf("ready\r\n"));
        Assert.NotNull(FaultOf("+OK \u0007\r\n"));
    }

    public void Dispose() => _harness.Dispose();

    private async Task<(string? Fault, string Shape)> TryAsync(byte[] input)
    {
        var (whole, fault) = await PlayAsync(input, isCut: false);
        var (cut, other) = await PlayAsync(input, isCut: true);
        fault ??= other ?? FaultOf(whole);
        // A challenge of SCRAM is never the same twice.
        if (fault is null && Challenge().Replace(cut, "+ ") != Challenge().Replace(whole, "+ "))
            fault = $"octet by octet it is answered\n{cut}\nand whole\n{whole}";
        return (fault, string.Concat(Status().Matches(whole).Select(status => status.Value)));
    }

    private async Task<(string Said, string? Fault)> PlayAsync(byte[] input, bool isCut)
    {
        _harness.Maildrops.Clear();
        foreach (var text in (string[])["Subject: one\r\n\r\n.text\r\n", "Subject: two\r\n\r\n"])
            _harness.Maildrops.AddMessage(_harness.AnnId, text);
        _harness.Log.Clear();
        var wire = _harness.Connect(ListenerTls.None);
        var said = wire.RestAsync();
        foreach (var piece in isCut ? input.Select(octet => new[] { octet }) : [input])
        {
            // The server has said its last word.
            if ((await wire.ToServer.WriteAsync(piece)).IsCompleted)
                break;
        }

        await wire.HalfCloseAsync();
        var answers = await said;
        await wire.Served;
        var failed = _harness.Log.GetSnapshot().FirstOrDefault(line => line.Level >= LogLevel.Error);
        return (answers, failed is null ? null : $"{failed.Message} {failed.Exception}");
    }

    /// <summary>Null: the first line is a status, and all are whole and of what can be seen.</summary>
    private static string? FaultOf(string said) =>
        !said.EndsWith("\r\n", StringComparison.Ordinal) ? $"a line without an end: {said}"
        : !said.StartsWith("+OK", StringComparison.Ordinal) && !said.StartsWith("-ERR ", StringComparison.Ordinal) ? $"no greeting: {said}"
        : said.Any(letter => letter is not ('\r' or '\n' or (>= ' ' and <= '~'))) ? $"not what can be seen: {said}"
        : null;

    private static void AssertNone(FuzzResult result)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"{result}");
        Assert.Null(result.Fault);
    }

    [GeneratedRegex(@"^\+ [^\r]*", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Challenge();

    [GeneratedRegex(@"^(\+OK|-ERR( \[[A-Z/-]+\])?|\+ )", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Status();
}
