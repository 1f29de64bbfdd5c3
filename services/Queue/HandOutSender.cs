using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue;

/// <summary>
/// Puts a hand-out on the bus. Domains that could not be reached go by an endpoint of their own, so that waiting for them
/// holds up nobody else. The broker drops what nobody takes within the time after which the queue takes it for lost, so that
/// hand-outs do not pile up and none is worked on beside the one that took its place.
/// </summary>
internal sealed partial class HandOutSender(
    MailBus bus, HandOutGate gate, IOptions<QueueOptions> options, ILogger<HandOutSender> log)
{
    /// <summary>False: the bus did not take it; a worker may see it all the same, and the claim decides.</summary>
    public async Task<bool> TrySendAsync(string domain, HandOut handOut)
    {
        var claim = new Claim(handOut.ClaimId, domain, handOut.Recipients);
        try
        {
            if (handOut.Route == RecipientRoute.Local)
            {
                await bus.SendAsync(
                    handOut.Endpoint, claim.ToStoreMessages(),
                    options.Value.HandOutTimeout, CancellationToken.None);
            }
            else
            {
                await bus.SendAsync(
                    handOut.Endpoint, claim.ToDeliverMessages(), options.Value.HandOutTimeout,
                    CancellationToken.None);
            }
            return true;
        }
        catch (BusUnavailableException exception)
        {
            gate.NoteNotTaken(handOut.Endpoint);
            LogNotSent(log, domain, handOut.Recipients.Length, exception);
            return false;
        }
    }

    [LoggerMessage(2010, LogLevel.Warning, "{Domain}: a hand-out of {Count} recipients could not be sent; they wait")]
    private static partial void LogNotSent(ILogger log, string domain, int count, Exception exception);
}
