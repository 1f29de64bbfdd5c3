using System.Globalization;
using System.Text.RegularExpressions;

namespace MailPipeline.Testing;

/// <summary>A small file system of its own (tmpfs) that a test can fill and empty. Needs root, to mount.</summary>
public sealed class SmallDisk : IDisposable
{
    private readonly TempFolder _folder;

    private SmallDisk(TempFolder folder) => _folder = folder;

    /// <summary>Where it is mounted.</summary>
    public string FullPath => _folder["disk"];

    private string Ballast => Path.Combine(FullPath, "ballast");

    public static async Task<SmallDisk> MountAsync(int megabytes, CancellationToken cancellation = default)
    {
        var folder = new TempFolder("disk");
        folder.CreateFolder("disk");
        var disk = new SmallDisk(folder);
        await ServerProcess.RunAsync(
            DebianProgram.Find("mount", "mount"), ["-t", "tmpfs", "-o", $"size={megabytes}m,mode=0755", "tmpfs", disk.FullPath], cancellation: cancellation);
        return disk;
    }

    /// <summary>Takes all the room there is.</summary>
    public void Fill()
    {
        using var file = new FileStream(Ballast, FileMode.Append);
        var block = new byte[4096];
        try
        {
            while (true)
            {
                file.Write(block);
                file.Flush();
            }
        }
        catch (IOException)
        {
        }
    }

    /// <summary>Gives the room back.</summary>
    public void Empty() => File.Delete(Ballast);

    public void Dispose()
    {
        // Lazily: a server that is just ending may still hold files.
        using var unmount = System.Diagnostics.Process.Start(DebianProgram.Find("umount", "mount"), ["-l", FullPath]);
        unmount.WaitForExit();
        _folder.Dispose();
    }
}

/// <summary>Makes every fsync and fdatasync of a running process fail with EIO while it is attached (Debian's strace).</summary>
public sealed partial class FailingSync : IAsyncDisposable
{
    private readonly ServerProcess _strace;
    private readonly TempFolder _folder;

    private FailingSync(ServerProcess strace, TempFolder folder)
    {
        _strace = strace;
        _folder = folder;
    }

    /// <summary>Syncs that failed so far.</summary>
    public int Injected => File.Exists(_folder["trace"]) ? InjectedMark().Count(File.ReadAllText(_folder["trace"])) : 0;

    public static async Task<FailingSync> AttachAsync(int processId, CancellationToken cancellation = default)
    {
        var folder = new TempFolder("strace");
        var strace = ServerProcess.Start(
            DebianProgram.Find("strace", "strace"),
            [
                "-f", "-p", processId.ToString(CultureInfo.InvariantCulture), "-o", folder["trace"],
                "-e", "trace=fsync,fdatasync,sync_file_range", "-e", "inject=fsync,fdatasync:error=EIO",
            ]);
        // It says when it has every thread.
        await strace.WaitUntilAsync(_ => Task.FromResult(strace.Output.Contains("attached", StringComparison.Ordinal)), TimeSpan.FromSeconds(20), "strace", cancellation);
        return new(strace, folder);
    }

    public async ValueTask DisposeAsync()
    {
        await _strace.StopAsync(TimeSpan.FromSeconds(10), Signal.Interrupt);
        await _strace.DisposeAsync();
        _folder.Dispose();
    }

    [GeneratedRegex(@"\(INJECTED\)")]
    private static partial Regex InjectedMark();
}
