namespace MailPipeline.Delivery.Batches;

/// <summary>
/// The waiting of one batch: counted while it lasts, and said when it takes so long that the batch had better leave its place among
/// the consumers to others.
/// </summary>
internal sealed class BatchWaits(DeliveryTelemetry telemetry, TimeProvider time)
{
    /// <summary>A resolver that has to ask the world needs some hundred milliseconds; what takes longer is mostly dead.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(500);

    private readonly TaskCompletionSource _long = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes when it has waited for long.</summary>
    public Task Long => _long.Task;

    /// <summary>Returns when the task has ended, however it did.</summary>
    public async Task ForAsync(Task task, BatchWaitReason reason)
    {
        if (task.IsCompleted)
            return;
        using var timer = time.CreateTimer(_ => _long.TrySetResult(), null, s_patience, Timeout.InfiniteTimeSpan);
        var since = time.GetTimestamp();
        telemetry.Waits(reason, since, time);
        try
        {
            await task.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            telemetry.WaitsNoLonger(reason, since);
        }
    }
}
