using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// The product as its users run it: the built Standalone program with a data folder, in a process of its own that can be
/// killed, stopped and started again on the same folder and ports.
/// </summary>
public sealed class StandaloneProcess : IAsyncDisposable
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };

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

    /// <summary>The MX listener.</summary>
    public IPEndPoint Smtp => At(2525);

    public IPEndPoint Submission => At(2587);

    public IPEndPoint Pop3 => At(2110);

    public Uri Web => new($"http://127.0.0.1:{8080 + PortOffset}/");

    /// <summary>The running (or last) process.</summary>
    public ServerProcess Process => _process ?? throw new InvalidOperationException("Not started");

    /// <summary>A command that the program is started through, e.g. strace; the program and its arguments follow.</summary>
    public IReadOnlyList<string> Wrapper { get; init; } = [];

    public IReadOnlyDictionary<string, string?> Environment { get; init; } = new Dictionary<string, string?>();

    /// <summary>The built program; the configuration (Debug or Release) of the running tests is taken.</summary>
    public static string ProgramPath
    {
        get
        {
            // .../tests/X.Tests/bin/Release/net10.0/ -> .../services/Standalone/bin/Release/net10.0/
            var output = AppContext.BaseDirectory.TrimEnd('/').Split("/bin/")[^1];
            for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "MailPipeline.sln")))
                {
                    var program = Path.Combine(folder.FullName, "services/Standalone/bin", output, "MailPipeline.Standalone.dll");
                    return File.Exists(program)
                        ? program
                        : throw new FileNotFoundException($"Standalone is not built: {program} is missing. Build MailPipeline.sln first.");
                }
            }
            throw new FileNotFoundException($"No MailPipeline.sln above {AppContext.BaseDirectory}");
        }
    }

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
        string[] command = [.. Wrapper, DotNet, ProgramPath, "--data", DataFolder, "--port-offset", $"{PortOffset}", .. _settings];
        _process = ServerProcess.Start(command[0], command[1..], DataFolderParent, Environment);
    }

    public Task WaitUntilReadyAsync(TimeSpan limit, CancellationToken cancellation = default) =>
        Process.WaitUntilAsync(IsReadyAsync, limit, "Standalone", cancellation);

    public async Task<bool> IsReadyAsync(CancellationToken cancellation = default)
    {
        try
        {
            using var reply = await Http.GetAsync(new Uri(Web, "health/ready"), cancellation);
            return reply.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    /// <summary>SIGKILL: nothing is flushed, nobody is told.</summary>
    public Task Kill9Async() => Process.KillAsync();

    /// <summary>SIGTERM; false when it did not end within the limit and had to be killed.</summary>
    public Task<bool> StopAsync(TimeSpan? limit = null) => Process.StopAsync(limit ?? TimeSpan.FromSeconds(30));

    /// <summary>Runs a command of it (<c>domain add example.com</c>) on the same data folder; works while it runs.</summary>
    public Task<string> RunAsync(string[] command, string? input = null, CancellationToken cancellation = default) =>
        ServerProcess.RunAsync(DotNet, [ProgramPath, .. command, "--data", DataFolder], DataFolderParent, Environment, input, cancellation);

    /// <summary>Adds an account whose domain exists; the password goes in by standard input.</summary>
    public Task AddAccountAsync(string address, string password, CancellationToken cancellation = default) =>
        RunAsync(["account", "add", address], password + "\n", cancellation);

    /// <summary>The sum of a metric over all its tags from /metrics, by its Prometheus name; null when it is not there.</summary>
    public async Task<double?> ReadMetricAsync(string name, CancellationToken cancellation = default)
    {
        var text = await Http.GetStringAsync(new Uri(Web, "metrics"), cancellation);
        var values = text.Split('\n')
            .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
            .Select(line => double.Parse(line[(line.LastIndexOf('}') + 1)..].Trim().Split(' ').Last(w => w.Length > 0 && !IsTimestamp(w)), System.Globalization.CultureInfo.InvariantCulture))
            .ToList();
        return values.Count == 0 ? null : values.Sum();
    }

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
            await _process.DisposeAsync();
    }

    private static string DotNet => System.Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    private string DataFolderParent => Path.GetDirectoryName(Path.GetFullPath(DataFolder))!;

    private IPEndPoint At(int port) => new(IPAddress.Loopback, port + PortOffset);

    // The text form may end a line with a time in milliseconds.
    private static bool IsTimestamp(string word) => word.Length == 13 && word.All(char.IsAsciiDigit);
}
