using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using MailPipeline.Sasl;

namespace MailPipeline.Smtp.Tests;

/// <summary>Whatever a client sends: see tests/Fuzz. Nothing is thrown, nothing hangs, and no second message comes out of one.</summary>
public sealed partial class FuzzTests
{
    private const int Inputs = 3000;

    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(20);

    public static TheoryData<string> Sessions => [.. FuzzInputs.NamesOf("session")];

    public static TheoryData<string> Contents => [.. FuzzInputs.NamesOf("content")];

    [Theory, MemberData(nameof(Sessions))]
    public void A_session_that_is_kept_is_answered_the_same_however_it_is_cut(string name) => Assert.Null(FaultOfSession(FuzzInputs.Read("session", name), out _));

    [Theory, MemberData(nameof(Contents))]
    public void A_content_that_is_kept_makes_one_message_or_none(string name) => Assert.Null(FaultOfContent(FuzzInputs.Read("content", name), out _));

    [Theory]
    [InlineData("session")]
    [InlineData("content")]
    public Task What_is_made_of_them_fails_no_more_than_they_do(string kind) => SearchAsync(kind, inputs => inputs < Inputs);

    [Theory]
    [InlineData("session")]
    [InlineData("content")]
    [Trait("Soak", "true")]
    public Task Nor_does_it_in_an_hour(string kind)
    {
        var started = Stopwatch.GetTimestamp();
        // The two run one after the other.
        var time = TimeSpan.FromMinutes(Minutes() / 2);
        return SearchAsync(kind, _ => Stopwatch.GetElapsedTime(started) < time);
    }

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

    private static async Task SearchAsync(string kind, Func<int, bool> goesOn)
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        var inputs = new FuzzInputs(kind, seed);
        var seen = new HashSet<string>();
        var tried = 0;
        for (; goesOn(tried); tried++)
        {
            var input = inputs.Next();
            var (fault, shape) = await TryAsync(kind, input);
            if (fault is not null)
            {
                var path = inputs.Write(input, shorter => Fault(kind, shorter, out _) is not null);
                Assert.Fail($"seed {seed}, input {tried}, kept as {path}: {fault}");
            }

            if (seen.Add(shape))
                inputs.Keep(input);
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{tried} inputs, {seen.Count} different answers");
    }

    private static async Task<(string? Fault, string Shape)> TryAsync(string kind, byte[] input)
    {
        var shape = "";
        var run = Task.Run(() => Fault(kind, input, out shape), TestContext.Current.CancellationToken);
        try
        {
            return (await run.WaitAsync(s_longest, TestContext.Current.CancellationToken), shape);
        }
        catch (TimeoutException)
        {
            return ($"hangs for {s_longest}", "");
        }
    }

    private static string? Fault(string kind, byte[] input, out string shape)
    {
        try
        {
            return kind == "session" ? FaultOfSession(input, out shape) : FaultOfContent(input, out shape);
        }
#pragma warning disable CA1031 // Whatever is thrown is what is looked for.
        catch (Exception thrown)
#pragma warning restore CA1031
        {
            shape = "";
            return $"{thrown}";
        }
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

    private static double Minutes() =>
        double.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_SOAK_MINUTES"), CultureInfo.InvariantCulture, out var given) ? given : 60;

    [GeneratedRegex("^[2-5][0-9][0-9]([ -][ -~]*)?$", RegexOptions.CultureInvariant)]
    private static partial Regex Reply();

    [GeneratedRegex("^334 [^\r]*", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Challenges();

    [GeneratedRegex("^[2-5][0-9][0-9] ", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex Codes();
}
