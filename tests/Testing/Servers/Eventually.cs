using System.Diagnostics;

namespace MailPipeline.Testing;

/// <summary>Waits for what another process is about to do; for everything in this process there are better ways.</summary>
public static class Eventually
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

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

    /// <summary>
    /// Waits for a task that a clock of the test ends, and lets that clock go on meanwhile: a server begins to wait for its client a moment
    /// after its last reply has left, so one step in that moment would be nobody's, and the task would never end.
    /// </summary>
    public static async Task EndsAsync(Task task, Action goOn, CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (!task.IsCompleted)
        {
            if (Stopwatch.GetElapsedTime(started) > s_limit)
                throw new TimeoutException($"Did not end within {s_limit}, though time went on");
            goOn();
            await Task.WhenAny(task, Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, cancellation));
        }
        await task;
    }

    public static async Task<T> EndsAsync<T>(Task<T> task, Action goOn, CancellationToken cancellation = default)
    {
        await EndsAsync((Task)task, goOn, cancellation);
        return await task;
    }
}
