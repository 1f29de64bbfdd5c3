using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Delivery.Claims;

/// <summary>
/// Makes the deliveries of one batch durable while the batch goes on: one write is under way, what arrives meanwhile goes
/// with the next. Repeats until storage has answered; a delivery is never given up silently. The write that makes all of the claim
/// delivered ends it.
/// </summary>
internal sealed class DeliveredRecorder(
    IClaims claims, ActiveClaim claim, BatchCommand wanted, IReadOnlySet<long> won, DeliveryTelemetry telemetry, TimeProvider time, ILogger log,
    CancellationToken abandon)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(5);

    private readonly Lock _lock = new();
    private readonly HashSet<long> _recorded = [];
    private readonly HashSet<long> _unrecorded = [];
    private List<AttemptResult> _waiting = [];
    private bool _isWriting;
    private Task _written = Task.CompletedTask;

    /// <summary>All of the claim is delivered and recorded, and storage has ended it. Known when all is completed.</summary>
    public bool HasEndedClaim { get; private set; }

    public void Add(IEnumerable<AttemptResult> delivered)
    {
        lock (_lock)
        {
            _waiting.AddRange(delivered);
            if (_isWriting || _waiting.Count == 0)
                return;
            _isWriting = true;
        }

        _written = WriteAllAsync();
    }

    /// <summary>The delivery is durable: whatever becomes of this process, nobody is in doubt about it.</summary>
    public bool HasRecorded(long recipientId)
    {
        lock (_lock)
            return _recorded.Contains(recipientId);
    }

    /// <summary>Ends when everything added is answered for; returns the recipients that storage refused: their claim was lost.</summary>
    public async Task<IReadOnlySet<long>> CompleteAsync()
    {
        await _written;
        return _unrecorded;
    }

    private async Task WriteAllAsync()
    {
        while (true)
        {
            List<AttemptResult> batch;
            lock (_lock)
            {
                if (_waiting.Count == 0)
                {
                    _isWriting = false;
                    return;
                }

                batch = _waiting;
                _waiting = [];
            }

            var recorded = await RecordAsync(batch);
            lock (_lock)
                _recorded.UnionWith(recorded);
            foreach (var result in batch)
            {
                if (recorded.Contains(result.RecipientId))
                    continue;
                _unrecorded.Add(result.RecipientId);
                telemetry.DeliveryUnrecorded();
                using var trace = telemetry.TraceOf(TraceParentOf(result.RecipientId));
                log.DeliveryUnrecorded(MessageIds.ToText(RecipientIds.MessageId(result.RecipientId)), claim.Id, result.Reply);
            }
        }
    }

    /// <summary>With these all that was won is delivered. Nobody else adds to what is recorded.</summary>
    private bool IsLast(List<AttemptResult> batch) =>
        _recorded.Count + batch.Count >= won.Count && won.IsSubsetOf(_recorded.Concat(batch.Select(result => result.RecipientId)).ToHashSet());

    private string TraceParentOf(long recipientId) =>
        Array.Find(wanted.Recipients, recipient => recipient.RecipientId == recipientId)?.TraceParent ?? "";

    /// <summary>
    /// Storage is there and takes something of these not. Each is recorded for itself and without the far end's words: that it was
    /// delivered is what matters, or a copy goes out. What is refused again is not repeated, and counts as delivered and not recorded.
    /// </summary>
    private async Task<IReadOnlySet<long>> RecordPlainlyAsync(List<AttemptResult> batch)
    {
        var recorded = new HashSet<long>(batch.Count);
        foreach (var result in batch)
        {
            recorded.UnionWith(await RecordAsync(
                [result with { Status = "2.0.0", Reply = "250 (the reply could not be stored)", RemoteHost = "" }], isPlain: true));
        }

        return recorded;
    }

    private async Task<IReadOnlySet<long>> RecordAsync(List<AttemptResult> batch, bool isPlain = false)
    {
        var pause = FirstPause;
        while (true)
        {
            try
            {
                if (isPlain || !IsLast(batch))
                    return await claims.RecordDeliveredAsync(claim.Id, batch, CancellationToken.None);
                claim.BeginEnd();
                (var recorded, HasEndedClaim) = await claims.RecordLastDeliveredAsync(claim.Id, batch, won, CancellationToken.None);
                return recorded;
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                telemetry.RecordRetried();
                log.RecordFailed(refused, claim.Id, batch.Count);
                return isPlain ? new HashSet<long>() : await RecordPlainlyAsync(batch);
            }
#pragma warning disable CA1031 // Whatever went wrong, the far end has the messages: ask until storage answers.
            catch (Exception error)
#pragma warning restore CA1031
            {
                telemetry.RecordRetried();
                log.RecordFailed(error, claim.Id, batch.Count);
            }

            try
            {
                await Task.Delay(pause, time, abandon);
            }
            catch (OperationCanceledException)
            {
                return new HashSet<long>();
            }

            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }
}
