using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Hands memory that native code has freed back to the system. glibc keeps it, in an arena for every few threads: what the compiler
/// of the runtime needed while the first messages came stays resident for good, some 5 MB. Elsewhere (musl) this does nothing.
/// </summary>
internal sealed class NativeHeapTrim(TimeProvider time) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(2);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        var collections = -1;
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                // The runtime gives up what its compiler kept for later when the garbage collector has run; nothing to do while idle.
                if (collections == (collections = GC.CollectionCount(0)))
                    continue;
                _ = Trim(0);
            }
        }
        catch (Exception absent) when (absent is DllNotFoundException or EntryPointNotFoundException or OperationCanceledException)
        {
            // Another C library, or the end.
        }
    }

    /// <summary>malloc_trim(3): gives back whole free pages of all arenas but <paramref name="pad"/> bytes; 1 if there were any.</summary>
    [DllImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static extern int Trim(nuint pad);
}
