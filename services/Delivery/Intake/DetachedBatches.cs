namespace MailPipeline.Delivery.Intake;

/// <summary>
/// The batches that left their consumers. The bus knows nothing of them any more, so who stops it waits for them here.
/// </summary>
internal sealed class DetachedBatches(IHostApplicationLifetime lifetime)
{
    /// <summary>
    /// Each waits, or has a DNS question under way: a socket and some kilobytes. Beyond it they stay with their consumers. Those that are spoken
    /// about are bounded by the connections, and come on top.
    /// </summary>
    private const int Most = 10_000;

    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _gone = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _count;
    private bool _ends;

    /// <summary>False: there are enough, or the process stops.</summary>
    /// <param name="isSpoken">Is spoken about with a far end.</param>
    public bool TryAdd(bool isSpoken = false)
    {
        lock (_lock)
        {
            if (_ends || (_count >= Most && !isSpoken) || lifetime.ApplicationStopping.IsCancellationRequested)
                return false;
            _count++;
            return true;
        }
    }

    public void Remove()
    {
        lock (_lock)
        {
            if (--_count == 0 && _ends)
                _gone.TrySetResult();
        }
    }

    /// <summary>None is added any more; ends with the last one.</summary>
    public Task EndAsync()
    {
        lock (_lock)
        {
            _ends = true;
            if (_count == 0)
                _gone.TrySetResult();
            return _gone.Task;
        }
    }
}
