using Microsoft.Extensions.Hosting;

namespace MailPipeline.Delivery;

/// <summary>
/// The hand-outs that left their lane. The bus knows nothing of them any more, so the stop waits for them here, before the bus and
/// the renewal of claims end.
/// </summary>
internal sealed class HandOutsAside(IHostApplicationLifetime lifetime) : IHostedLifecycleService
{
    /// <summary>Each has a DNS question under way: a socket and some kilobytes. Beyond it they stay in the lane.</summary>
    private const int Most = 10_000;

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;
    private bool _stopping;

    /// <summary>False: there are enough, or the process stops.</summary>
    public bool TryAdd()
    {
        lock (_lock)
        {
            if (_stopping || _count == Most)
                return false;
            _count++;
            return true;
        }
    }

    public void Remove()
    {
        lock (_lock)
        {
            if (--_count == 0 && _stopping)
                _gone.TrySetResult();
        }
    }

    /// <summary>Comes before any service is stopped.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        lock (_lock)
        {
            _stopping = true;
            if (_count == 0)
                return;
        }

        // Not every stop begins with a signal; what is not begun is handed back only when they know.
        lifetime.StopApplication();
        await _gone.Task.WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
