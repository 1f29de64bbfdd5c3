using System.Net;
using MailPipeline.Delivery.Batches;
using MailPipeline.Delivery.Connections;
using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Intake;

/// <summary>
/// Sees to it that a batch has an address to connect from before it takes a place among the connections. Where none can be had the mail is put off, and
/// nobody takes its domain or its hosts for the cause.
/// </summary>
internal sealed class SourcePutOffs(SourceSlots sources, DeliveryTelemetry telemetry, TimeProvider time, Random random)
{
    private static readonly TimeSpan s_shortest = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_longest = TimeSpan.FromMinutes(1);

    /// <summary>Somebody has to change the pool, or the host.</summary>
    private static readonly TimeSpan s_ofFamily = TimeSpan.FromMinutes(30);

    /// <summary>There is a source for a connection to this address, waited for if it must. False: there is none now, and what is left waits.</summary>
    public async Task<bool> HasSourceAsync(DeliveryBatch batch, SourceOutlet outlet, ConnectionTurn turn, IPAddress address)
    {
        if (await outlet.HoldAsync(address.AddressFamily, mayWait: false, CancellationToken.None))
            return true;
        if (outlet.Lack is { Kind: SourceLackKind.Busy })
        {
            try
            {
                if (await turn.WaitAsync(stop => outlet.HoldAsync(address.AddressFamily, mayWait: true, stop).AsTask(), BatchWaitReason.Source))
                    return true;
            }
            catch (OperationCanceledException)
            {
                // The batch's time is over, and what is left is handed back.
                return false;
            }
        }

        turn.End();
        await PutOffAsync(batch, outlet, outlet.Lack!);
        return false;
    }

    /// <summary>
    /// Until tomorrow's plan begins, and such an attempt says so in the timeline, as it does where a pool cannot reach the host. What another process may have an address for, or ours in a moment,
    /// is nobody's attempt: it is due again soon, and then less and less often, so that many that wait for what nobody has cost little.
    /// </summary>
    public async Task PutOffAsync(DeliveryBatch batch, SourceOutlet outlet, SourceLack lack)
    {
        outlet.HasPutOff = true;
        var now = time.GetUtcNow();
        var (outcome, status, text, until) = lack.Kind switch
        {
            SourceLackKind.Plan => (AttemptOutcome.Deferred, "4.4.5", $"{lack.Text}; they go on tomorrow (UTC)", outlet.PlannedAt(random.NextDouble())),
            SourceLackKind.Family => (AttemptOutcome.Deferred, "4.4.1", lack.Text, now + s_ofFamily),
            _ => (AttemptOutcome.NotAttempted, "4.3.5", lack.Text, now + PauseAfter(batch.OldestWait)),
        };
        var recipients = await batch.PutOffRestAsync(outcome, status, text, until);
        if (recipients == 0)
            return;
        telemetry.PutOff(lack.Word, recipients);
        sources.NoteLack(outlet.Pool, lack, recipients, until);
    }

    private TimeSpan PauseAfter(TimeSpan waited)
    {
        var pause = Math.Clamp(waited.TotalSeconds / 4, s_shortest.TotalSeconds, s_longest.TotalSeconds);
        // Those that were put off together need not come again together.
        return TimeSpan.FromSeconds(pause * (1 + (random.NextDouble() / 4)));
    }
}
