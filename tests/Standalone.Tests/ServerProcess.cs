using System.Diagnostics;
using MailPipeline.Testing;

namespace MailPipeline.Standalone.Tests;

/// <summary>The built program as a process of its own, on free loopback ports.</summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    // A process that hangs is a failure, not a wait for the runner's own end.
    private readonly CancellationTokenSource _patience = new(TimeSpan.FromMinutes(2), TimeProvider.System);
    private readonly Process _process;
    private readonly Task<string> _error;

    private ServerProcess(Process process)
    {
        _process = process;
        _error = process.StandardError.ReadToEndAsync();
    }

    public StreamReader Output => _process.StandardOutput;

    public static ServerProcess Start(string workingFolder, params string[] arguments) =>
        Start(Path.Combine(AppContext.BaseDirectory, "MailPipeline.Standalone"), workingFolder, arguments);

    /// <summary>The operator's program, which is built along.</summary>
    public static ServerProcess StartMail(string workingFolder, params string[] arguments) =>
        Start(Path.Combine(AppContext.BaseDirectory, "mail"), workingFolder, arguments);

    /// <summary>What is built already, in the configuration of these tests.</summary>
    public static ServerProcess DotNetRun(string workingFolder, params string[] arguments)
    {
        // .../tests/Standalone.Tests/bin/Release/net10.0/
        var configuration = Directory.GetParent(AppContext.BaseDirectory.TrimEnd('/'))!.Name;
        var project = Path.Combine(AppContext.BaseDirectory, "../../../../../services/Standalone");
        return Start("dotnet", workingFolder, ["run", "--no-build", "-c", configuration, "--project", Path.GetFullPath(project), "--", .. arguments]);
    }

    private static ServerProcess Start(string program, string workingFolder, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = workingFolder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // Where the tour makes its folder; what it leaves there would show.
        start.Environment["TMPDIR"] = workingFolder;
        return new ServerProcess(Process.Start(start)!);
    }

    /// <summary>Reads the output up to a line that contains the text.</summary>
    public async Task<string> ReadUntilAsync(string text)
    {
        while (await Output.ReadLineAsync(_patience.Token) is { } line)
        {
            if (line.Contains(text, StringComparison.Ordinal))
                return line;
        }
        throw new InvalidOperationException($"'{text}' did not come; the process said: {await _error}");
    }

    /// <summary>SIGTERM, as a service manager sends it.</summary>
    public async Task<int> TerminateAsync()
    {
        await SignalAsync("TERM");
        return (await EndAsync()).ExitCode;
    }

    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", $"{_process.Id}"]);
        await kill.WaitForExitAsync(_patience.Token);
    }

    public async Task<ProgramResult> EndAsync()
    {
        var output = await Output.ReadToEndAsync(_patience.Token);
        await _process.WaitForExitAsync(_patience.Token);
        return new ProgramResult(_process.ExitCode, output.TrimEnd(), (await _error).TrimEnd());
    }

    /// <summary>Settings that put every listener on a free port.</summary>
    /// <summary>All of its ports, none of which another test or an outgoing connection has.</summary>
    public static string[] PortSettings() =>
    [
        $"--Ingress:Listeners:0:Port={FreePorts.Next()}", $"--Ingress:Listeners:1:Port={FreePorts.Next()}",
        $"--Mailbox:Listeners:0:Port={FreePorts.Next()}", $"--Http:Port={FreePorts.Next()}", $"--Queue:SiloPort={FreePorts.Next()}",
    ];

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill();
            await _process.WaitForExitAsync(CancellationToken.None);
        }
        _process.Dispose();
        _patience.Dispose();
    }
}
