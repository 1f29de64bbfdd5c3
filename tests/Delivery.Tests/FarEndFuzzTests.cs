using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using MailPipeline.Delivery.Routing;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery.Tests;

/// <summary>
/// Whatever a far end answers, the challenges of SASL among it: see tests/Fuzz. Each recipient has one outcome, nobody is called delivered whose message was
/// not sent to its end, nothing is said but commands of ours, nothing fails and nothing hangs.
/// </summary>
public sealed partial class FarEndFuzzTests : IDisposable
{
    private const string Kind = "far-end";

    private const int Inputs = 400;

    private const string Password = "a-secret-of-ours";

    private static readonly string[] s_words =
    [
        "220 mx\r\n", "250 Ok\r\n", "250-", "251 ", "354 Go on\r\n", "221 Bye\r\n", "334 ", "235 2.7.0 Ok\r\n", "421 4.3.2 Down\r\n", "450 4.2.1 Later\r\n", "550 5.1.1 No\r\n", "552 5.3.4 Large\r\n", "999 ", "2.1.5 ",
        "5.7.1 ", "PIPELINING\r\n", "SIZE 10\r\n", "8BITMIME\r\n", "CHUNKING\r\n", "SMTPUTF8\r\n", "DSN\r\n", "STARTTLS\r\n", "ENHANCEDSTATUSCODES\r\n", "LIMITS RCPTMAX=1 MAILMAX=1\r\n", "DELIVERBY 1\r\n",
        "AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n", "AUTH=LOGIN\r\n", "REQUIRETLS\r\n", "r=", ",s=AAAA,i=4096", ",i=2147483648", "VXNlcm5hbWU6", "\u001b[2J",
    ];

    private readonly TempFolder _folder = new("far-end");
    private readonly string _credentials;

    public FarEndFuzzTests()
    {
        _credentials = _folder["credentials"];
        File.WriteAllText(_credentials, $"ann\n{Password}\n");
    }

    public static TheoryData<string> Kept => [.. FuzzInputs.NamesOf(Kind)];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private FuzzSearch Search => new(Kind, s_words, TryAsync);

    [Theory, MemberData(nameof(Kept))]
    public async Task What_a_far_end_has_answered_is_borne(string name) => Assert.Null(await Search.FaultOfAsync(FuzzInputs.Read(Kind, name), Cancellation));

    [Fact]
    public async Task What_is_made_of_it_fails_no_more_than_that_does() => AssertNone(await Search.RunAsync(Inputs, Cancellation));

    [Fact]
    [Trait("Soak", "true")]
    public async Task Nor_does_it_in_an_hour() => AssertNone(await Search.RunAsync(FuzzSearch.SoakTime, Cancellation));

    /// <summary>A checker that cannot fail proves nothing; and answers that take a message have it delivered, so that what is kept reaches that far.</summary>
    [Fact]
    public async Task What_is_wrong_is_seen()
    {
        Assert.Null(FaultOf("EHLO client.example.com\r\nAUTH PLAIN AGFubg==\r\nMAIL FROM:<sender@example.com>\r\nRCPT TO:<user1@example.net>\r\nDATA\r\none\r\n.\r\nQUIT\r\n"));
        Assert.NotNull(FaultOf("EHLO client.example.com\r\n250 Ok\r\n"));
        Assert.NotNull(FaultOf("MAIL FROM:<sender@example.com>\nRCPT TO:<user1@example.net>\r\n"));
        Assert.NotNull(FaultOf($"AUTH PLAIN {Password}\r\n"));
        Assert.Equal("ok:Delivered Failed", (await TryAsync(FuzzInputs.Read(Kind, "pipelining"))).Shape.Split('|')[0]);
    }

    private async Task<(string? Fault, string Shape)> TryAsync(byte[] input)
    {
        var shape = "";
        foreach (var hasLogin in (bool[])[false, true])
        {
            await using var server = new FarEnd(input);
            await using var bench = new Bench();
            if (hasLogin)
                bench.Options.Smarthosts.Add(new SmarthostOptions { Host = server.Host, Tls = TlsPolicy.Opportunistic, Credentials = _credentials, AllowCleartextAuth = true });
            else
                bench.RouteTo(server.Host);
            var report = await bench.RunAsync(bench.Message("one\r\n", ["user1@example.net", "user2@example.net"]));
            await server.DisposeAsync();
            shape += $"ok:{string.Join(' ', report.Results.Select(result => result.Outcome))}|{string.Join(',', report.Results.Select(result => result.Status))}|";
            if (!report.Results.Select(result => result.RecipientId).Order().SequenceEqual([RecipientIds.Of(1, 0), RecipientIds.Of(1, 1)]))
                return ($"{report.Results.Length} outcomes of two recipients", shape);
            foreach (var said in server.Said)
            {
                if (FaultOf(said) is { } fault)
                    return (fault, shape);
            }

            var isSent = server.Said.Any(said => said.Contains("\r\none\r\n.\r\n", StringComparison.Ordinal) || WholeChunk().IsMatch(said));
            if (!isSent && report.Results.Any(result => result.Outcome is AttemptOutcome.Delivered or AttemptOutcome.Uncertain))
                return ($"called {report.Results[0].Outcome}, and was never sent", shape);
            if (report.Results.Any(result => result.Reply.Contains(Password, StringComparison.Ordinal)))
                return ("the password is in a reply", shape);
            if (bench.Log.Collector.GetSnapshot().FirstOrDefault(line => line.Level >= LogLevel.Error) is { } failed)
                return ($"{failed.Message} {failed.Exception}", shape);
        }

        return (null, shape);
    }

    /// <summary>Null: what a far end was told are commands, the answers of SASL and the message, line by line.</summary>
    private static string? FaultOf(string said) =>
        // Behind STARTTLS comes what no one reads here.
        said.Split("STARTTLS\r\n")[0] is var clear && !Commands().IsMatch(clear) ? $"not what we say: {clear}"
        : clear.Contains(Password, StringComparison.Ordinal) ? "the password, as it is" : null;

    private static void AssertNone(FuzzResult result)
    {
        TestContext.Current.TestOutputHelper?.WriteLine($"{result}");
        Assert.Null(result.Fault);
    }

    public void Dispose() => _folder.Dispose();

    // The last line may not be whole: the far end has gone.
    [GeneratedRegex(
        @"\A(((EHLO|HELO) client\.example\.com|MAIL FROM:<sender@example\.com>[ -~]{0,100}|RCPT TO:<user[12]@example\.net>[ -~]{0,100}|DATA|BDAT [0-9]+( LAST)?|RSET|NOOP|QUIT|STARTTLS|AUTH [A-Z0-9-]+( [A-Za-z0-9+/=]+)?|[A-Za-z0-9+/=]*|\*|one|\.)(\r\n|\z))*\z",
        RegexOptions.CultureInvariant)]
    private static partial Regex Commands();

    [GeneratedRegex("BDAT 5 LAST\r\none\r\n", RegexOptions.CultureInvariant)]
    private static partial Regex WholeChunk();

    /// <summary>A far end that has so many answers, gives one to each command and to each message, and ends with the last of them. The same to each connection.</summary>
    private sealed class FarEnd : IAsyncDisposable
    {
        private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
        private readonly List<byte[]> _answers = [];
        private readonly List<Task<string>> _talks = [];
        private readonly Task _accepting;

        public FarEnd(byte[] input)
        {
            var text = Encoding.Latin1.GetString(input);
            var begun = 0;
            // What is no last line of a reply goes with what follows: nobody waits for more of a reply than there is.
            foreach (Match last in LastLine().Matches(text))
            {
                _answers.Add(input[begun..(last.Index + last.Length)]);
                begun = last.Index + last.Length;
            }

            if (begun < input.Length)
                _answers.Add(input[begun..]);
            _listener.Start();
            _accepting = AcceptAsync();
        }

        public string Host => $"127.0.0.1:{((IPEndPoint)_listener.LocalEndpoint).Port}";

        /// <summary>What each connection was told; once this is disposed.</summary>
        public IReadOnlyList<string> Said { get; private set; } = [];

        public async ValueTask DisposeAsync()
        {
            _listener.Dispose();
            await _accepting;
            Said = await Task.WhenAll(_talks);
        }

        private async Task AcceptAsync()
        {
            try
            {
                while (true)
                    _talks.Add(TalkAsync(await _listener.AcceptTcpClientAsync()));
            }
            catch (Exception error) when (error is SocketException or ObjectDisposedException or InvalidOperationException)
            {
                // It listens no more.
            }
        }

        private async Task<string> TalkAsync(TcpClient client)
        {
            using var connection = client;
            var stream = connection.GetStream();
            var said = new StringBuilder();
            var (answered, read, isContent) = (0, 0, false);
            var buffer = new byte[4096];
            try
            {
                if (_answers.Count == 0)
                    connection.Client.Shutdown(SocketShutdown.Send);
                await AnswerAsync();
                while (await stream.ReadAsync(buffer) is > 0 and var length)
                {
                    said.Append(Encoding.Latin1.GetString(buffer, 0, length));
                    while (NextCommand() is { } command)
                        await AnswerAsync(command);
                }
            }
            catch (IOException)
            {
                // The client has broken off.
            }

            return said.ToString();

            // A command, a message or a chunk that is whole; null: none is.
            string? NextCommand()
            {
                var text = said.ToString(read, said.Length - read);
                var end = !isContent ? text.IndexOf('\n', StringComparison.Ordinal) + 1
                    : text.StartsWith(".\r\n", StringComparison.Ordinal) ? 3
                    : text.IndexOf("\r\n.\r\n", StringComparison.Ordinal) is >= 0 and var dot ? dot + 5 : 0;
                if (end > 0 && !isContent && Chunk().Match(text[..end]) is { Success: true } chunk)
                    end = end + int.Parse(chunk.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) is var whole && whole <= text.Length ? whole : 0;
                if (end == 0)
                    return null;
                read += end;
                return text[..end];
            }

            async Task AnswerAsync(string command = "")
            {
                if (answered == _answers.Count)
                    return;
                isContent = command == "DATA\r\n" && _answers[answered].AsSpan().StartsWith("354"u8);
                // TLS never comes about here: behind its 220 comes all that is left.
                do
                    await stream.WriteAsync(_answers[answered++]);
                while (command == "STARTTLS\r\n" && answered < _answers.Count);
                if (answered == _answers.Count)
                    connection.Client.Shutdown(SocketShutdown.Send);
            }
        }
    }

    [GeneratedRegex(@"^[2-5][0-9]{2}([ \t][^\r\n]*)?\r\n", RegexOptions.Multiline | RegexOptions.CultureInvariant)]
    private static partial Regex LastLine();

    [GeneratedRegex(@"\ABDAT ([0-9]{1,4})( LAST)?\r\n", RegexOptions.CultureInvariant)]
    private static partial Regex Chunk();
}
