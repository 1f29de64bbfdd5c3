using System.Text.RegularExpressions;
using MailPipeline.Sasl;
using MailPipeline.Testing;

namespace MailPipeline.Smtp.Tests;

/// <summary>Whatever a client sends: see tests/Fuzz. Nothing is thrown, nothing hangs, and no second message comes out of one.</summary>
public sealed partial class FuzzTests
{
    private const int Inputs = 3000;

    private static readonly string[] s_words =
    [
        "+0D+0A", "+00", "EHLO x\r\n", "LHLO x\r\n", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.com>", "DATA\r\n", "RSET\r\n", "QUIT\r\n", "STARTTLS\r\n", "NOOP\r\n",
        "BDAT 1\r\n", "BDAT 0 LAST\r\n", "BDAT 99999999999999999999 LAST\r\n", " LAST", " SMTPUTF8", " BODY=8BITMIME", " SIZE=", " RET=FULL", " ENVID=", " AUTH=", " NOTIFY=NEVER", " ORCPT=rfc822;",
        " ORCPT=utf-8;", "\\x{", "}", " BY=1;R", " HOLDFOR=1", " MT-PRIORITY=-9", "AUTH PLAIN ", "AUTH LOGIN\r\n", "AUTH SCRAM-SHA-256 ", "AUTH SCRAM-SHA-256-PLUS ", "AUTH XOAUTH2 ",
        "ETRN @", "XCLIENT ADDR=", "[IPv6:::1]",
    ];

    public static TheoryData<string> Sessions => [.. FuzzInputs.NamesOf("session")];

    public static TheoryData<string> Contents => [.. FuzzInputs.NamesOf("content")];

    [Theory, MemberData(nameof(Sessions))]
    public void A_session_that_is_kept_is_answered_the_same_however_it_is_cut(string name) => Assert.Null(FaultOfSession(FuzzInputs.Read("session", name), out _));

    [Theory, MemberData(nameof(Contents))]
    public void A_content_that_is_kept_makes_one_message_or_none(string name) => Assert.Null(FaultOfContent(FuzzInputs.Read("content", name), out _));

    [Theory]
    [InlineData("session")]
    [InlineData("content")]
    public async Task What_is_made_of_them_fails_no_more_than_they_do(string kind) =>
        AssertNone(await SearchOf(kind).RunAsync(Inputs, TestContext.Current.CancellationToken));

    [Theory]
    [InlineData("session")]
    [InlineData("content")]
    [Trait("Soak", "true")]
    // The two run one after the other.
    public async Task Nor_does_it_in_an_hour(string kind) =>
        AssertNone(await SearchOf(kind).RunAsync(FuzzSearch.SoakTime / 2, TestContext.Current.CancellationToken));

    /// <summary>A checker that cannot fail proves nothing: a session that is told otherwise than it was, and a message that is two.</summary>
    [Fact]
    public void What_is_wrong_is_seen()
    {
        Assert.NotNull(FaultOfReplies("250 Ok\r\n250-and\r\n"));
        Assert.NotNull(FaultOfReplies("250 Ok\r\nfree text\r\n"));
        Assert.NotNull(FaultOfReplies("250 Ok\r\n250-a\r\n550 b\r\n"));
        Assert.NotNull(FaultOfReplies("250 O\u0007k\r\n"));
        Assert.Null(FaultOfReplies("250-a\r\n250 Ok\r\n"));
        Assert.NotNull(FaultOfAccepted("x\r\n", ["x\r\n", "x\r\n"]));
        Assert.NotNull(FaultOfAccepted("x\r\n", ["y\r\n"]));
        Assert.Null(FaultOfAccepted("x", ["x\r\n"]));
    }

    private static FuzzSearch SearchOf(string kind) => new(kind, s_words, input =>
    {
        var fault = kind == "session" ? FaultOfSession(input, out var shape) : FaultOfContent(input, out shape);
        return Task.FromResult((fault, shape));
    });

    private static void AssertNone(FuzzResult result)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"{result}");
        Assert.Null(result.Fault);
    }

    /// <summary>Null: each listener answers well, and the same however the octets come.</summary>
    /// <param name="shape">The codes of the answers.</param>
    private static string? FaultOfSession(byte[] input, out string shape)
    {
        shape = "";
        foreach (var profile in Profiles())
        {
            var whole = Play(profile, [input]);
            shape += string.Concat(Codes().Matches(whole.Output).Select(code => code.Value)) + "|";
            if (FaultOfReplies(whole.Output) is { } fault)
                return $"{profile.Kind}: {fault}";
            foreach (var (how, pieces) in new[] { ("line by line", Lines(input)), ("octet by octet", [.. input.Select(octet => new[] { octet })]) })
            {
                var cut = Play(profile, pieces);
                // A challenge of SCRAM is never the same twice.
                if (Challenges().Replace(cut.Output, "334") != Challenges().Replace(whole.Output, "334"))
                    return $"{profile.Kind}: {how} it is answered\n{cut.Output}\nand whole\n{whole.Output}";
                if (!cut.Accepted.Select(Print).SequenceEqual(whole.Accepted.Select(Print)))
                    return $"{profile.Kind}: {how} it makes other messages";
            }
        }

        return null;
    }

    /// <summary>Null: by DATA and by BDAT it makes one message or none, and what stands behind it is heard.</summary>
    private static string? FaultOfContent(byte[] content, out string shape)
    {
        shape = "";
        const string Begin = "EHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\n";
        var text = Wire.Text(content);
        var stuffed = Wire.Written(output =>
        {
            var stuffing = new DotStuffing();
            stuffing.Write(content, output);
            stuffing.Finish(output);
        });
        var half = content.Length / 2;
        string[] ways =
        [
            $"{Begin}DATA\r\n{stuffed}NOOP\r\nQUIT\r\n",
            $"{Begin}BDAT {content.Length} LAST\r\n{text}NOOP\r\nQUIT\r\n",
            $"{Begin}BDAT {half}\r\n{text[..half]}BDAT {content.Length - half} LAST\r\n{text[half..]}NOOP\r\nQUIT\r\n",
        ];
        foreach (var way in ways)
        {
            foreach (var pieces in new[] { [Wire.Bytes(way)], Wire.Bytes(way).Chunk(3).ToArray() })
            {
                var host = Play(Profiles()[0], pieces);
                shape += string.Concat(Codes().Matches(host.Output).Select(code => code.Value)) + "|";
                if (FaultOfReplies(host.Output) is { } fault)
                    return fault;
                if (!host.Output.EndsWith("250 2.0.0 Ok\r\n221 2.0.0 Bye\r\n", StringComparison.Ordinal) && !host.IsClosed)
                    return $"what stands behind it is not heard:\n{host.Output}";
                if (FaultOfAccepted(text, [.. host.Accepted.Select(message => message.Content)]) is { } other)
                    return other;
            }
        }

        return null;
    }

    private static string? FaultOfAccepted(string content, string[] accepted) =>
        accepted.Length > 1 ? $"{accepted.Length} messages came out of one"
        // A last line without an end gets one.
        : accepted is [var one] && one != content && one != content + "\r\n" ? $"not what was sent: {PlainText.Of(one)}" : null;

    // RFC 5321 §4.2.1: lines of one code, a hyphen behind all but the last, printable.
    private static string? FaultOfReplies(string output)
    {
        if (output.Length > 0 && !output.EndsWith("\r\n", StringComparison.Ordinal))
            return $"a reply without an end: {PlainText.Of(output)}";
        var open = "";
        foreach (var line in output.Split("\r\n")[..^1])
        {
            if (!Reply().IsMatch(line) || (open.Length > 0 && !line.StartsWith(open, StringComparison.Ordinal)))
                return $"not a reply: {PlainText.Of(line)}";
            open = line.Length > 3 && line[3] == '-' ? line[..3] : "";
        }

        return open.Length > 0 ? $"a reply without its last line: {open}" : null;
    }

    private static SmtpProfile[] Profiles() =>
    [
        new() { HostName = "mx.example.com", OffersStartTls = true, OffersSmtpUtf8 = true },
        new()
        {
            Kind = ListenerKind.Submission, HostName = "mx.example.com", OffersAuth = true, AllowsCleartextAuth = true, OffersOldAuth = true, OffersStartTls = true,
            OffersSmtpUtf8 = true, RequiresAuth = true, MaxHoldTime = TimeSpan.FromDays(7), Mechanisms = SaslMechanism.All, TokenIssuer = new("https://login.example.org", ""),
        },
        new() { Kind = ListenerKind.Lmtp, HostName = "mx.example.com", OffersSmtpUtf8 = true },
    ];

    private static ScriptedHost Play(SmtpProfile profile, IEnumerable<byte[]> pieces)
    {
        var host = new ScriptedHost(profile, ClientTraits.StartsQueues | ClientTraits.NamesClients);
        host.Greet();
        foreach (var piece in pieces)
            host.Feed(piece);
        return host;
    }

    private static List<byte[]> Lines(byte[] input)
    {
        List<byte[]> lines = [];
        for (var rest = input.AsSpan(); !rest.IsEmpty;)
        {
            var end = rest.IndexOf((byte)'\n') + 1;
            lines.Add(rest[..(end == 0 ? rest.Length : end)].ToArray());
            rest = rest[lines[^1].Length..];
        }

        return lines;
    }

    private static string Print((string Sender, string[] Recipients, string Content) message) => $"{message.Sender}|{string.Join(',', message.Recipients)}|{message.Content}";

    [GeneratedRegex("^[2-5][0-9][0-9]([ -][ -~]*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Reply();

    [GeneratedRegex("^334 [^\r]*", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Challenges();

    [GeneratedRegex("^[2-5][0-9][0-9] ", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Codes();
}
