using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// The product as its users run it: the built Standalone program with a data folder, in a process of its own that can be
/// killed, stopped and started again on the same folder and ports.
/// </summary>
public sealed class StandaloneProcess : IAsyncDisposable
{
    private readonly string[] _settings;
    private ServerProcess? _process;

    /// <param name="dataFolder">Its --data.</param>
    /// <param name="settings">Further settings as on the command line, e.g. <c>--Queue:MaxAge=00:01:00</c>.</param>
    public StandaloneProcess(string dataFolder, params string[] settings)
    {
        DataFolder = dataFolder;
        PortOffset = FreePorts.NextOffset();
        _settings = settings;
    }

    public string DataFolder { get; }

    public int PortOffset { get; }

    /// <summary>Where its listeners are, should settings have moved them from loopback.</summary>
    public IPAddress Address { get; init; } = IPAddress.Loopback;

    /// <summary>The MX listener.</summary>
    public IPEndPoint Smtp => At(2525);

    public IPEndPoint Submission => At(2587);

    public IPEndPoint Pop3 => At(2110);

    public Uri Web => new($"http://{Address}:{8080 + PortOffset}/");

    /// <summary>The running (or last) process.</summary>
    public ServerProcess Process => _process ?? throw new InvalidOperationException("Not started");

    /// <summary>A command that the program is started through, e.g. strace; the program and its arguments follow.</summary>
    public IReadOnlyList<string> Wrapper { get; init; } = [];

    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    public static string ProgramPath => BuiltProgram.Find("Standalone");

    /// <summary>Starts it and waits until /health/ready says so.</summary>
    public async Task StartAsync(CancellationToken cancellation = default)
    {
        await LaunchAsync();
        await WaitUntilReadyAsync(TimeSpan.FromSeconds(60), cancellation);
    }

    /// <summary>Starts it and waits for nothing; for starts that are to fail or be killed.</summary>
    public async Task LaunchAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
        string[] command = [.. Wrapper, BuiltProgram.DotNet, ProgramPath, "--data", DataFolder, "--port-offset", $"{PortOffset}", .. _settings];
        _process = ServerProcess.Start(command[0], command[1..], DataFolderParent, Environment);
    }

    public Task WaitUntilReadyAsync(TimeSpan limit, CancellationToken cancellation = default) =>
        Process.WaitUntilAsync(IsReadyAsync, limit, "Standalone", cancellation);

    public Task<bool> IsReadyAsync(CancellationToken cancellation = default) => new WebProbe(Web).IsReadyAsync(cancellation);

    /// <summary>SIGKILL: nothing is flushed, nobody is told.</summary>
    public Task Kill9Async() => Process.KillAsync();

    /// <summary>SIGTERM; false when it did not end within the limit and had to be killed.</summary>
    public Task<bool> StopAsync(TimeSpan? limit = null) => Process.StopAsync(limit ?? TimeSpan.FromSeconds(30));

    /// <summary>Runs a command of the operator's (<c>domain add example.com</c>) on the same data folder; works while it runs.</summary>
    public Task<string> RunAsync(string[] command, string? input = null, CancellationToken cancellation = default) =>
        ServerProcess.RunAsync(BuiltProgram.DotNet, [BuiltProgram.Mail, .. command, "--data", DataFolder], DataFolderParent, Environment, input, cancellation);

    /// <summary>Adds an account whose domain exists; the password goes in by standard input.</summary>
    public Task AddAccountAsync(string address, string password, CancellationToken cancellation = default) =>
        RunAsync(["account", "add", address], password + "\n", cancellation);

    /// <summary>The sum of a metric over all its tags from /metrics, by its Prometheus name; null when it is not there.</summary>
    public Task<double?> ReadMetricAsync(string name, CancellationToken cancellation = default) =>
        new WebProbe(Web).ReadMetricAsync(name, cancellation);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }

    private string DataFolderParent => Path.GetDirectoryName(Path.GetFullPath(DataFolder))!;

    private IPEndPoint At(int port) => new(Address, port + PortOffset);
}
