using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>
/// The dashboard's test message: a whole SMTP dialogue with Ingress, and then what became of the message, by its timeline.
/// </summary>
/// <param name="timeline">What Standalone's command <c>message</c> says of a message, by its id.</param>
internal sealed partial class TestMessage(Func<string, CancellationToken, Task<string>> timeline, TimeProvider time)
{
    /// <summary>The first attempt follows the acceptance within seconds, unless something is wrong.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);

    /// <summary>Each command with the class of the reply it must get.</summary>
    private static readonly (string Command, char Class)[] s_dialogue =
    [
        ("EHLO apphost.example.org", '2'),
        ("MAIL FROM:<test@example.org>", '2'),
        ("RCPT TO:<somebody@example.net>", '2'),
        ("DATA", '3'),
        ("From: test@example.org\r\nTo: somebody@example.net\r\nSubject: A test message\r\n\r\nSent from the dashboard.\r\n.", '2'),
    ];

    /// <summary>Success says that it was delivered, and where; failure what was refused, or why the message still waits.</summary>
    public async Task<ExecuteCommandResult> SendAsync(string host, int port, CancellationToken cancellation)
    {
        try
        {
            var (isAccepted, reply) = await SubmitAsync(host, port, cancellation);
            if (!isAccepted)
                return CommandResults.Failure(reply);
            return QueuedAs().Match(reply) is { Success: true } queued
                ? await FollowAsync(queued.Groups["id"].Value, cancellation)
                : CommandResults.Failure($"Accepted, but the reply names no message: {reply}");
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            return CommandResults.Failure(failure.Message);
        }
    }

    private static async Task<(bool IsAccepted, string Reply)> SubmitAsync(string host, int port, CancellationToken cancellation)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(host, port, cancellation);
        await using var stream = client.GetStream();
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var reply = await ReadReplyAsync(reader, cancellation);
        foreach (var (command, expected) in s_dialogue)
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(command + "\r\n"), cancellation);
            reply = await ReadReplyAsync(reader, cancellation);
            if (reply.Length == 0 || reply[0] != expected)
                return (false, $"{command.Split('\r')[0]}: {reply}");
        }

        await stream.WriteAsync("QUIT\r\n"u8.ToArray(), cancellation);
        return (true, reply);
    }

    /// <summary>Asks until the message has been tried, or for as long as that should take.</summary>
    private async Task<ExecuteCommandResult> FollowAsync(string id, CancellationToken cancellation)
    {
        var started = time.GetTimestamp();
        while (true)
        {
            var said = await timeline(id, cancellation);
            if (LastAttempt().Matches(said) is [.., var attempt])
            {
                var (outcome, words) = (attempt.Groups["outcome"].Value, $"{attempt.Groups["host"].Value}: {attempt.Groups["words"].Value.TrimEnd()}");
                return outcome == "delivered"
                    ? CommandResults.Success($"Message {id} is delivered{words}", said, CommandResultFormat.Text)
                    : CommandResults.Failure($"Message {id} is {outcome}{words}", said, CommandResultFormat.Text);
            }

            if (time.GetElapsedTime(started) >= s_patience)
                return CommandResults.Failure($"Message {id} is accepted and has not been tried yet", said, CommandResultFormat.Text);
            await Task.Delay(s_pause, time, cancellation);
        }
    }

    // RFC 5321 §4.2.1: lines but the last have a hyphen after the code.
    private static async Task<string> ReadReplyAsync(StreamReader reader, CancellationToken cancellation)
    {
        while (await reader.ReadLineAsync(cancellation) is { } line)
        {
            if (line.Length < 4 || line[3] != '-')
                return line;
        }

        return "";
    }

    [GeneratedRegex(@"queued as (?<id>[0-9A-F]+)")]
    private static partial Regex QueuedAs();

    /// <summary>Lines such as <c>...Z   attempt 1 at mx.example.net from delivery-7d4f[10.0.0.7]: deferred 4.4.1 no answer (0.100 s)</c>.</summary>
    [GeneratedRegex(@"^\S+ +attempt \d+(?<host> at \S+)?(?: from \S+)?: (?<outcome>delivered|deferred|failed|uncertain) (?<words>.*)$", RegexOptions.Multiline)]
    private static partial Regex LastAttempt();
}
