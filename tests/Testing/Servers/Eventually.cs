using System.Diagnostics;

namespace MailPipeline.Testing;

/// <summary>Waits for what another process is about to do; for everything in this process there are better ways.</summary>
public static class Eventually
{
    /// <summary>Returns how long it took; throws with the explanation when it did not come in time.</summary>
    public static async Task<TimeSpan> TrueAsync(
        Func<Task<bool>> condition, TimeSpan limit, Func<string>? explain = null, CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > limit)
                throw new TimeoutException($"Did not come true within {limit}. {explain?.Invoke()}");
            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation);
        }
        return Stopwatch.GetElapsedTime(started);
    }

    public static Task<TimeSpan> TrueAsync(
        Func<bool> condition, TimeSpan limit, Func<string>? explain = null, CancellationToken cancellation = default) =>
        TrueAsync(() => Task.FromResult(condition()), limit, explain, cancellation);
}
