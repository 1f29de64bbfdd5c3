using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>Debian's postsrsd: the sender rewriting of a forwarder that is not ours, as Postfix asks for it (tcp_table(5)).</summary>
public sealed class PostSrsdServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly ServerProcess _process;
    private readonly IPEndPoint _forward;
    private readonly IPEndPoint _reverse;

    private PostSrsdServer(TempFolder folder, ServerProcess process, IPEndPoint forward, IPEndPoint reverse) =>
        (_folder, _process, _forward, _reverse) = (folder, process, forward, reverse);

    /// <param name="domain">Of the addresses that it makes.</param>
    /// <param name="separator">Behind SRS0 and SRS1: =, + or -.</param>
    public static async Task<PostSrsdServer> StartAsync(string domain, char separator, CancellationToken cancellation = default)
    {
        var program = DebianProgram.Find("postsrsd", "postsrsd");
        var folder = new TempFolder("postsrsd");
        try
        {
            var (forward, reverse) = (new IPEndPoint(IPAddress.Loopback, FreePorts.Next()), new IPEndPoint(IPAddress.Loopback, FreePorts.Next()));
            var process = ServerProcess.Start(
                program, ["-s", folder.Write("secrets", "a secret of its own\n"), "-d", domain, "-a", $"{separator}", "-4", "-f", $"{forward.Port}", "-r", $"{reverse.Port}"],
                folder.FullPath);
            await process.WaitUntilAsync(
                async ct => await FreePorts.AcceptsAsync(forward, ct) && await FreePorts.AcceptsAsync(reverse, ct), TimeSpan.FromSeconds(20), "postsrsd", cancellation);
            return new(folder, process, forward, reverse);
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>The sender that a message is forwarded under.</summary>
    public Task<string> RewriteAsync(string sender, CancellationToken cancellation) => AskAsync(_forward, sender, cancellation);

    /// <summary>Whom a report to such a sender goes to.</summary>
    public Task<string> ReverseAsync(string recipient, CancellationToken cancellation) => AskAsync(_reverse, recipient, cancellation);

    public async ValueTask DisposeAsync()
    {
        await _process.StopAsync(TimeSpan.FromSeconds(10));
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private static async Task<string> AskAsync(IPEndPoint server, string address, CancellationToken cancellation)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(server, cancellation);
        await using var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"get {address}\n"), cancellation);
        using var reader = new StreamReader(stream, Encoding.ASCII);
        var answer = await reader.ReadLineAsync(cancellation) ?? "";
        return answer.StartsWith("200 ", StringComparison.Ordinal) ? answer[4..].Trim() : throw new InvalidDataException($"postsrsd says of {address}: {answer}");
    }
}
