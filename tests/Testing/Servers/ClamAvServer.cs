namespace MailPipeline.Testing;

/// <summary>
/// ClamAV's daemon and its milter (Debian's) with one signature of its own and no others: content with <see cref="Worm"/> is refused, all else gets
/// "X-Virus-Status: Clean". The milter is at a Unix socket; it goes on without the daemon when that is ended.
/// </summary>
public sealed class ClamAvServer : IAsyncDisposable
{
    /// <summary>What the signature is of.</summary>
    public const string Worm = "THIS-IS-A-WORM-OF-A-TEST";

    private static readonly TimeSpan s_startTime = TimeSpan.FromMinutes(1);

    private readonly TempFolder _folder;
    private readonly ServerProcess _daemon;
    private readonly ServerProcess _milter;

    private ClamAvServer(TempFolder folder, ServerProcess daemon, ServerProcess milter, string socket) =>
        (_folder, _daemon, _milter, Socket) = (folder, daemon, milter, socket);

    /// <summary>Of the milter.</summary>
    public string Socket { get; }

    public static async Task<ClamAvServer> StartAsync(CancellationToken cancellation = default)
    {
        var (daemon, milter) = (DebianProgram.Find("clamd", "clamav-daemon"), DebianProgram.Find("clamav-milter", "clamav-milter"));
        var folder = new TempFolder("clamav");
        ServerProcess? scanning = null;
        ServerProcess? asking = null;
        try
        {
            var (scanner, socket) = (folder["clamd.socket"], folder["milter.socket"]);
            var signatures = folder.CreateFolder("signatures");
            folder.Write("signatures/test.ndb", $"Test.Worm:0:*:{Convert.ToHexString(System.Text.Encoding.ASCII.GetBytes(Worm))}\n");
            scanning = ServerProcess.Start(daemon, ["--config-file", folder.Write("clamd.conf", $"""
                Foreground yes
                DatabaseDirectory {signatures}
                LocalSocket {scanner}
                TemporaryDirectory {folder.FullPath}
                MaxThreads 2
                SelfCheck 0

                """)], folder.FullPath);
            await scanning.WaitUntilAsync(_ => Task.FromResult(File.Exists(scanner)), s_startTime, "clamd", cancellation);
            asking = ServerProcess.Start(milter, ["--config-file", folder.Write("milter.conf", $"""
                Foreground yes
                MilterSocket unix:{socket}
                ClamdSocket unix:{scanner}
                TemporaryDirectory {folder.FullPath}
                OnClean Accept
                OnInfected Reject
                OnFail Defer
                RejectMsg It has %v
                AddHeader Replace

                """)], folder.FullPath);
            await asking.WaitUntilAsync(_ => Task.FromResult(File.Exists(socket)), s_startTime, "clamav-milter", cancellation);
            return new(folder, scanning, asking, socket);
        }
        catch
        {
            if (asking is not null)
                await asking.DisposeAsync();
            if (scanning is not null)
                await scanning.DisposeAsync();
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Ends the daemon: the milter has nobody to ask.</summary>
    public Task StopScanningAsync() => _daemon.KillAsync();

    public async ValueTask DisposeAsync()
    {
        foreach (var process in (ServerProcess[])[_milter, _daemon])
        {
            await process.StopAsync(TimeSpan.FromSeconds(10));
            await process.DisposeAsync();
        }

        _folder.Dispose();
    }
}
