using System.Net.Sockets;
using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>The dashboard's test message: a whole SMTP dialogue with Ingress, its last reply shown.</summary>
internal static class TestMessage
{
    /// <summary>Each command with the class of the reply it must get.</summary>
    private static readonly (string Command, char Class)[] s_dialogue =
    [
        ("EHLO apphost.example.org", '2'),
        ("MAIL FROM:<test@example.org>", '2'),
        ("RCPT TO:<somebody@example.net>", '2'),
        ("DATA", '3'),
        ("From: test@example.org\r\nTo: somebody@example.net\r\nSubject: A test message\r\n\r\nSent from the dashboard.\r\n.", '2'),
    ];

    public static async Task<ExecuteCommandResult> SendAsync(EndpointReference smtp, CancellationToken cancellation)
    {
        try
        {
            using var client = new TcpClient();
            await client.ConnectAsync(smtp.Host, smtp.Port, cancellation);
            await using var stream = client.GetStream();
            using var reader = new StreamReader(stream, Encoding.UTF8);
            var reply = await ReadReplyAsync(reader, cancellation);
            foreach (var (command, expected) in s_dialogue)
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes(command + "\r\n"), cancellation);
                reply = await ReadReplyAsync(reader, cancellation);
                if (reply.Length == 0 || reply[0] != expected)
                    return CommandResults.Failure($"{command.Split('\r')[0]}: {reply}");
            }
            await stream.WriteAsync("QUIT\r\n"u8.ToArray(), cancellation);
            return CommandResults.Success();
        }
        catch (Exception failure) when (failure is IOException or SocketException)
        {
            return CommandResults.Failure(failure.Message);
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
}
