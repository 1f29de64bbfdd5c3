using System.Runtime;
using System.Runtime.InteropServices;
using Microsoft.Extensions.Hosting;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Keeps what is resident near what is in use: once a second, while mail flows, and not at all while it does not. The garbage
/// collector lets some 20 MB of dead messages gather before it looks at the old generation of a heap of 7 MB, and has no setting for that
/// but a hard limit, at which a process fails; and glibc keeps what native code has freed, most of it what the runtime's compiler needed for
/// the first messages. Where the collector works in the background its heap is meant to be large, and is left to it.
/// </summary>
public sealed class SmallHeap(TimeProvider time) : BackgroundService
{
    /// <summary>A full collection at this size takes some 10 ms.</summary>
    private const long MinGrowthBytes = 4 * 1024 * 1024;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(s_interval, time);
        var collections = -1;
        var isGlibc = true;
        var collects = GCSettings.LatencyMode == GCLatencyMode.Batch;
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                if (collections == (collections = GC.CollectionCount(0)))
                    continue;
                if (collects && HasGrown(GC.GetGCMemoryInfo(GCKind.FullBlocking).HeapSizeBytes, GC.GetTotalMemory(forceFullCollection: false)))
                    GC.Collect(GC.MaxGeneration, GCCollectionMode.Forced, blocking: true, compacting: true);
                isGlibc = isGlibc && TryTrim();
            }
        }
        catch (OperationCanceledException)
        {
            // The end.
        }
    }

    /// <summary>A large heap is collected less often for its size: the time spent on it stays a small share.</summary>
    internal static bool HasGrown(long bytesAfterCollection, long bytesNow) =>
        bytesNow - bytesAfterCollection > Math.Max(MinGrowthBytes, bytesAfterCollection);

    private static bool TryTrim()
    {
        try
        {
            _ = Trim(0);
            return true;
        }
        catch (Exception absent) when (absent is DllNotFoundException or EntryPointNotFoundException)
        {
            return false;
        }
    }

    /// <summary>malloc_trim(3): gives whole free pages of all arenas back to the system, but for <paramref name="pad"/> bytes.</summary>
    [DllImport("libc.so.6", EntryPoint = "malloc_trim")]
    private static extern int Trim(nuint pad);
}
