using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Domains;

/// <summary>
/// Puts a batch on the bus. Domains that could not be reached go by an endpoint of their own, so that waiting for them
/// holds up nobody else. The broker drops what nobody takes within the time after which the queue takes it for lost, so that
/// batches do not pile up and none is worked on beside the one that took its place.
/// </summary>
internal sealed partial class BatchSender(
    MailBus bus, EndpointGate gate, IOptions<QueueOptions> options, ILogger<BatchSender> log)
{
    /// <summary>False: the bus did not take it; a worker may see it all the same, and the claim decides.</summary>
    public async Task<bool> TrySendAsync(string domain, Batch batch)
    {
        var command = new BatchCommand(
            batch.Id, domain, batch.Recipients, batch.Site, batch.SiteEpoch, batch.EndsConnection, batch.Sender, batch.SenderEpoch, batch.RedirectTo,
            batch.MayKeep, batch.Kept?.After ?? 0, batch.MessagesPerConnection);
        try
        {
            if (batch.Kept is { } kept)
            {
                await bus.SendToProcessAsync(kept.Worker, command.ToDeliverMessages(), options.Value.BatchTimeout, CancellationToken.None);
                return true;
            }

            if (batch.Route == RecipientRoute.Local)
            {
                await bus.SendAsync(batch.Endpoint, command.ToStoreMessages(), options.Value.BatchTimeout, CancellationToken.None);
            }
            else
            {
                await bus.SendAsync(batch.Endpoint, command.ToDeliverMessages(), options.Value.BatchTimeout, CancellationToken.None);
            }
            return true;
        }
        catch (BusUnavailableException exception)
        {
            // That one worker is gone says nothing of the others.
            if (batch.Kept is null)
                gate.NoteNotTaken(batch.Endpoint);
            LogNotSent(log, domain, batch.Recipients.Length, exception);
            return false;
        }
    }

    [LoggerMessage(2010, LogLevel.Warning, "{Domain}: a batch of {Count} recipients could not be sent; they wait")]
    private static partial void LogNotSent(ILogger log, string domain, int count, Exception exception);
}
