namespace MailPipeline.Queue;

/// <summary>
/// Does the same at intervals until the process stops, never twice at a time. What failed is told of and done again at the next tick.
/// </summary>
internal sealed class TickLoop(TimeSpan interval, TimeProvider time)
{
    /// <summary>The first tick is an interval from now.</summary>
    public async Task RunAsync(Func<CancellationToken, Task> tick, Action<Exception> failed, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        while (await WaitAsync(timer, stoppingToken))
            await TickAsync(tick, failed, stoppingToken);
    }

    /// <summary>The first tick is now.</summary>
    public async Task RunFromNowAsync(Func<CancellationToken, Task> tick, Action<Exception> failed, CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(interval, time);
        do
            await TickAsync(tick, failed, stoppingToken);
        while (await WaitAsync(timer, stoppingToken));
    }

    private static async Task TickAsync(Func<CancellationToken, Task> tick, Action<Exception> failed, CancellationToken stoppingToken)
    {
        try
        {
            await tick(stoppingToken);
        }
#pragma warning disable CA1031 // What failed is done again, and at a stop nobody needs to know.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            if (!stoppingToken.IsCancellationRequested)
                failed(exception);
        }
    }

    private static async ValueTask<bool> WaitAsync(PeriodicTimer timer, CancellationToken stoppingToken)
    {
        try
        {
            return await timer.WaitForNextTickAsync(stoppingToken);
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }
}
