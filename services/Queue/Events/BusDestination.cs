using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Events;

/// <summary>
/// Puts events on the bus, one message for each, in an exchange that others bind their queues to. Those of one message follow each other; the broker has
/// confirmed each, and that some queue has it, before the next.
/// </summary>
internal sealed class BusDestination(MailBus bus) : IEventDestination
{
    public async Task<EventsSent> SendAsync(IReadOnlyList<WaitingEvent> events, CancellationToken cancellationToken)
    {
        var sent = await Task.WhenAll(events.GroupBy(one => RecipientIds.MessageId(one.RecipientId)).Select(ofMessage => SendAllAsync(ofMessage, cancellationToken)));
        return new([.. sent.SelectMany(one => one.Taken)], sent.FirstOrDefault(one => one.Fault.Length > 0).Fault ?? "");
    }

    private async Task<(List<WaitingEvent> Taken, string Fault)> SendAllAsync(IEnumerable<WaitingEvent> ofMessage, CancellationToken cancellationToken)
    {
        var taken = new List<WaitingEvent>();
        foreach (var one in ofMessage)
        {
            try
            {
                await bus.SendAsync(BusEndpoints.MailEvents, one.ToContract(), cancellationToken);
            }
            catch (BusUnavailableException refused)
            {
                return (taken, PlainText.Line((refused.InnerException ?? refused).Message, 200));
            }

            taken.Add(one);
        }

        return (taken, "");
    }
}
