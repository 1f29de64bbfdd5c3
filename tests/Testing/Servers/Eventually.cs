using System.Diagnostics;

namespace MailPipeline.Testing;

/// <summary>Waits for what another process is about to do; for everything in this process there are better ways.</summary>
public static class Eventually
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(20);

    /// <summary>Returns how long it took; throws with the explanation when it did not come in time.</summary>
    public static Task<TimeSpan> TrueAsync(
        Func<Task<bool>> condition, TimeSpan limit, Func<string>? explain = null, CancellationToken cancellation = default) =>
        TrueAsync(s_pause, condition, limit, explain, cancellation);

    /// <summary>Waits with fewer looks, where a look costs what is looked at.</summary>
    /// <param name="every">Between two looks.</param>
    public static async Task<TimeSpan> TrueAsync(
        TimeSpan every, Func<Task<bool>> condition, TimeSpan limit, Func<string>? explain = null, CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (!await condition())
        {
            if (Stopwatch.GetElapsedTime(started) > limit)
                throw new TimeoutException($"Did not come true within {limit}. {explain?.Invoke()}");
            await Task.Delay(every, TimeProvider.System, cancellation);
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
    public static Task EndsAsync(Task task, Action goOn, CancellationToken cancellation = default) =>
        EndsAsync(
            task,
            () =>
            {
                goOn();
                return Task.CompletedTask;
            },
            cancellation);

    /// <inheritdoc cref="EndsAsync(Task, Action, CancellationToken)"/>
    public static async Task EndsAsync(Task task, Func<Task> goOn, CancellationToken cancellation = default)
    {
        var started = Stopwatch.GetTimestamp();
        while (!task.IsCompleted)
        {
            if (Stopwatch.GetElapsedTime(started) > s_limit)
                throw new TimeoutException($"Did not end within {s_limit}, though time went on");
            await goOn();
            await Task.WhenAny(task, Task.Delay(s_pause, TimeProvider.System, cancellation));
        }
        await task;
    }

    public static async Task<T> EndsAsync<T>(Task<T> task, Func<Task> goOn, CancellationToken cancellation = default)
    {
        await EndsAsync((Task)task, goOn, cancellation);
        return await task;
    }

    public static async Task<T> EndsAsync<T>(Task<T> task, Action goOn, CancellationToken cancellation = default)
    {
        await EndsAsync((Task)task, goOn, cancellation);
        return await task;
    }
}
