using System.Diagnostics;

namespace MailPipeline.Testing;

/// <summary>
/// A PostgreSQL server from Debian's programs with a database cluster of its own in a temporary folder. As root it runs as
/// the user <c>postgres</c>, since PostgreSQL refuses root.
/// </summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private readonly TempFolder _folder;
    private readonly bool _durable;
    private ServerProcess _process;

    private PostgresServer(TempFolder folder, int port, bool durable)
    {
        _folder = folder;
        _durable = durable;
        Port = port;
        _process = Launch();
    }

    public int Port { get; }

    /// <summary>Id of the postmaster.</summary>
    public int ProcessId => _process.Id;

    /// <summary>What the server wrote; for judging a failure.</summary>
    public string Output => _process.Output;

    /// <summary>For Npgsql; the user is the superuser and needs no password.</summary>
    public string ConnectionString(string database = "postgres") =>
        $"Host=127.0.0.1;Port={Port};Username=postgres;Database={database}";

    /// <summary>Makes a cluster and starts a server on it.</summary>
    /// <param name="durable">With fsync, for tests that kill it; slower.</param>
    public static async Task<PostgresServer> StartAsync(bool durable = false, CancellationToken cancellation = default)
    {
        var folder = new TempFolder("postgres", inMemory: !durable);
        try
        {
            var data = folder.CreateFolder("data");
            if (Environment.IsPrivilegedProcess)
                await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["-R", "postgres", folder.FullPath], cancellation: cancellation);
            var (program, arguments) = AsPostgres("initdb", ["-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--locale=C"]);
            await ServerProcess.RunAsync(program, arguments, folder.FullPath, cancellation: cancellation);
            var server = new PostgresServer(folder, FreePorts.Next(), durable);
            await server.WaitAsync(cancellation);
            return server;
        }
        catch
        {
            folder.Dispose();
            throw;
        }
    }

    /// <summary>Makes an empty database, e.g. one per test.</summary>
    public async Task<string> CreateDatabaseAsync(CancellationToken cancellation = default)
    {
        var name = $"test_{Guid.NewGuid():N}";
        await QueryAsync($"CREATE DATABASE {name}", cancellation);
        return ConnectionString(name);
    }

    /// <summary>Runs a statement by psql and returns its bare output.</summary>
    public Task<string> QueryAsync(string sql, CancellationToken cancellation = default) => QueryAsync(sql, "postgres", cancellation);

    /// <summary>What a query in another database says.</summary>
    public Task<string> QueryAsync(string sql, string database, CancellationToken cancellation = default) => ServerProcess.RunAsync(
        DebianProgram.FindPostgres("psql"),
        ["-h", "127.0.0.1", "-p", $"{Port}", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atqc", sql],
        cancellation: cancellation);

    /// <summary>SIGKILL to the postmaster. Its backends notice and end by themselves; the next start repairs.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>Fast shutdown: sessions are ended, data is flushed.</summary>
    public Task StopAsync() => _process.StopAsync(TimeSpan.FromSeconds(30), Signal.Interrupt);

    /// <summary>Starts it again on the same port after a stop or a kill.</summary>
    public async Task RestartAsync(CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            await _process.DisposeAsync();
            _process = Launch();
            try
            {
                await WaitAsync(cancellation);
                return;
            }
            catch (InvalidOperationException) when (Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(20))
            {
                // Backends of a killed postmaster hold its shared memory until they notice, at the end of their statement.
            }
        }
    }

    /// <summary>Ends all sessions of clients, as an administrator may at any time.</summary>
    public Task TerminateSessionsAsync(CancellationToken cancellation = default) => QueryAsync(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()",
        cancellation);

    public async ValueTask DisposeAsync()
    {
        // Immediate shutdown: also ends the backends.
        if (!_process.HasExited)
            await _process.StopAsync(TimeSpan.FromSeconds(10), Signal.Interrupt);
        await _process.DisposeAsync();
        _folder.Dispose();
    }

    private ServerProcess Launch()
    {
        List<string> arguments =
        [
            "-D", _folder["data"], "-h", "127.0.0.1", "-p", $"{Port}", "-k", _folder.FullPath,
            "-c", "max_connections=100", "-c", "shared_buffers=64MB",
        ];
        if (!_durable)
            arguments.AddRange(["-c", "fsync=off", "-c", "full_page_writes=off", "-c", "synchronous_commit=off"]);
        var (program, all) = AsPostgres("postgres", arguments);
        return ServerProcess.Start(program, all, _folder.FullPath);
    }

    private Task WaitAsync(CancellationToken cancellation) => _process.WaitUntilAsync(
        async ct =>
        {
            await using var asking = ServerProcess.Start(
                DebianProgram.FindPostgres("pg_isready"), ["-q", "-h", "127.0.0.1", "-p", $"{Port}", "-U", "postgres"]);
            await asking.WaitForExitAsync(ct);
            return asking.ExitCode == 0;
        },
        TimeSpan.FromSeconds(60),
        "PostgreSQL",
        cancellation);

    // setpriv replaces itself by the program, so that the process id is the postmaster's.
    private static (string Program, IEnumerable<string> Arguments) AsPostgres(string program, IEnumerable<string> arguments)
    {
        var path = DebianProgram.FindPostgres(program);
        return Environment.IsPrivilegedProcess
            ? (DebianProgram.Find("setpriv", "util-linux"), ["--reuid", "postgres", "--regid", "postgres", "--clear-groups", path, .. arguments])
            : (path, arguments);
    }
}
