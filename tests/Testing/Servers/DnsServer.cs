using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// An authoritative DNS server (Debian's knot) for everything: its zone is the root, so that a test writes names as they
/// are, and a name that it does not write does not exist.
/// </summary>
public sealed class DnsServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly ServerProcess _process;

    private DnsServer(TempFolder folder, ServerProcess process, IPEndPoint endPoint)
    {
        _folder = folder;
        _process = process;
        EndPoint = endPoint;
    }

    public IPEndPoint EndPoint { get; }

    /// <summary>Starts it with these records in zone file form, e.g. <c>example.com. MX 10 mx.example.com.</c></summary>
    public static Task<DnsServer> StartAsync(string records, CancellationToken cancellation = default) => StartAsync(records, [], cancellation);

    /// <summary>Starts it for those who cannot reach loopback.</summary>
    /// <param name="listen">Where it answers besides loopback.</param>
    public static async Task<DnsServer> StartAsync(string records, IReadOnlyCollection<IPAddress> listen, CancellationToken cancellation = default)
    {
        var knotd = DebianProgram.Find("knotd", "knot");
        var folder = new TempFolder("dns");
        try
        {
            var endPoint = new IPEndPoint(IPAddress.Loopback, FreePorts.Next());
            folder.Write("zone", $"""
                $ORIGIN .
                $TTL 60
                . SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 1
                . NS ns.invalid.
                {records.ReplaceLineEndings("\n")}

                """);
            var configuration = folder.Write("knot.conf", $"""
                server:
                    rundir: "{folder.FullPath}"
                    listen: [{string.Join(", ", new[] { endPoint.Address }.Concat(listen).Select(address => $"{address}@{endPoint.Port}"))}]
                    udp-workers: 1
                    tcp-workers: 1
                    background-workers: 1
                log:
                  - target: stderr
                    any: warning
                database:
                    storage: "{folder.CreateFolder("db")}"
                zone:
                  - domain: .
                    file: "{folder["zone"]}"
                    semantic-checks: off

                """);
            var process = ServerProcess.Start(knotd, ["-c", configuration], folder.FullPath);
            var server = new DnsServer(folder, process, endPoint);
            await process.WaitUntilAsync(server.AnswersAsync, TimeSpan.FromSeconds(20), "knotd", cancellation);
            return server;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _process.StopAsync(TimeSpan.FromSeconds(10));
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private async Task<bool> AnswersAsync(CancellationToken cancellation)
    {
        var reply = await DnsQuestion.AskAsync(EndPoint, DnsQuestion.SoaOfRoot(), TimeSpan.FromMilliseconds(200), cancellation);
        // RFC 1035 §4.1.1: RCODE 0 and an answer.
        return reply is { Length: > 12 } && (reply[3] & 0x0F) == 0 && reply[7] > 0;
    }
}
