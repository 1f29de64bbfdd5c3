using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace MailPipeline.Testing;

/// <summary>A program that a test runs: its output is kept, and it is ended by its process id.</summary>
public sealed class ServerProcess : IAsyncDisposable
{
    private const int KeptLines = 20_000;

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _output = new();
    private readonly TaskCompletionSource _outputEnded = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _openStreams = 2;

    private ServerProcess(Process process) => _process = process;

    public int Id => _process.Id;

    public bool HasExited => _process.HasExited;

    public int ExitCode => _process.ExitCode;

    /// <summary>What it has used of processors.</summary>
    public TimeSpan ProcessorTime => _process.TotalProcessorTime;

    /// <summary>Standard output and error so far, the newest lines when there are very many.</summary>
    public string Output => string.Join('\n', _output);

    /// <summary>Starts a program. Environment entries with a null value are removed.</summary>
    public static ServerProcess Start(
        string program, IEnumerable<string> arguments, string? workingDirectory = null, IReadOnlyDictionary<string, string?>? environment = null, string? input = null)
    {
        var start = new ProcessStartInfo(program)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = workingDirectory ?? "",
        };
        foreach (var argument in arguments)
            start.ArgumentList.Add(argument);
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
            start.Environment[name] = value;
        var process = new Process { StartInfo = start };
        var server = new ServerProcess(process);
        process.OutputDataReceived += (_, e) => server.Keep(e.Data);
        process.ErrorDataReceived += (_, e) => server.Keep(e.Data);
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        if (input is not null)
            process.StandardInput.Write(input);
        process.StandardInput.Close();
        return server;
    }

    /// <summary>Runs a program to its end and returns its output; throws when it does not end with 0.</summary>
    public static async Task<string> RunAsync(
        string program, IEnumerable<string> arguments, string? workingDirectory = null, IReadOnlyDictionary<string, string?>? environment = null, string? input = null, CancellationToken cancellation = default)
    {
        var list = arguments.ToList();
        await using var process = Start(program, list, workingDirectory, environment, input);
        await process.WaitForExitAsync(cancellation);
        return process.ExitCode == 0
            ? process.Output
            : throw new InvalidOperationException($"{program} {string.Join(' ', list)} ended with {process.ExitCode}:\n{process.Output}");
    }

    /// <summary>Waits until it has ended and all of its output is here.</summary>
    public async Task WaitForExitAsync(CancellationToken cancellation = default)
    {
        await _process.WaitForExitAsync(cancellation);
        // A child that it left behind may hold the pipes open: its output is not waited for.
        await Task.WhenAny(_outputEnded.Task, Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellation));
    }

    /// <summary>Asks until it is ready; throws with its output when it ends or takes too long.</summary>
    public async Task WaitUntilAsync(Func<CancellationToken, Task<bool>> ready, TimeSpan limit, string what, CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            if (_process.HasExited)
                throw new InvalidOperationException($"{what} ended with {_process.ExitCode} before it was ready:\n{Output}");
            if (Stopwatch.GetElapsedTime(started) > limit)
                throw new TimeoutException($"{what} was not ready after {limit}:\n{Output}");
            if (await ready(cancellation))
                return;
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation);
        }
    }

    /// <summary>SIGKILL, and waits for the end.</summary>
    public async Task KillAsync()
    {
        Send(Signal.Kill);
        await _process.WaitForExitAsync();
    }

    /// <summary>SIGTERM (or another), and waits for the end; SIGKILL when that takes longer than the limit.</summary>
    public async Task<bool> StopAsync(TimeSpan limit, Signal signal = Signal.Terminate)
    {
        Send(signal);
        using var timeout = new CancellationTokenSource(limit);
        try
        {
            await WaitForExitAsync(timeout.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
            return false;
        }
    }

    /// <summary>Sends a signal, if it still runs.</summary>
    public void Send(Signal signal)
    {
        if (!_process.HasExited)
            _ = NativeMethods.Kill(_process.Id, (int)signal);
    }

    /// <summary>A figure in kilobytes from /proc/PID/status, e.g. VmHWM (peak resident memory) or VmRSS.</summary>
    public long ReadMemoryKilobytes(string field)
    {
        var line = File.ReadLines($"/proc/{_process.Id}/status").First(l => l.StartsWith(field + ":", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Trim(), System.Globalization.CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
            await KillAsync();
        _process.Dispose();
    }

    private void Keep(string? line)
    {
        if (line is null)
        {
            if (Interlocked.Decrement(ref _openStreams) == 0)
                _outputEnded.TrySetResult();
            return;
        }
        _output.Enqueue(line);
        if (_output.Count > KeptLines)
            _output.TryDequeue(out _);
    }

    private static class NativeMethods
    {
        [DllImport("libc", EntryPoint = "kill", SetLastError = true)]
        [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
#pragma warning disable SYSLIB1054 // Source-generated interop needs unsafe code, which one call is not worth.
        public static extern int Kill(int processId, int signal);
#pragma warning restore SYSLIB1054
    }
}

/// <summary>Signals by their Linux numbers.</summary>
public enum Signal
{
    Interrupt = 2,
    Kill = 9,
    Terminate = 15,
    Continue = 18,
    Stop = 19,
}
