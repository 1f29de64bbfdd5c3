using MailPipeline.Mail;

namespace MailPipeline.Administration;

/// <summary>Who is told what becomes of mail, and what waits for him.</summary>
public sealed class EventOverview(EventStore events)
{
    /// <param name="most">So many events of each are counted.</param>
    public async Task<EventReceiversFound> ListAsync(long most, CancellationToken cancellation)
    {
        var found = new List<EventReceiverFound>();
        foreach (var receiver in await events.ListReceiversAsync(cancellation))
            found.Add(new EventReceiverFound(receiver, await events.MeasureAsync(receiver.Name, most, cancellation)));
        return new EventReceiversFound(found);
    }
}

public sealed record EventReceiversFound(IReadOnlyList<EventReceiverFound> Receivers);

public sealed record EventReceiverFound(EventReceiver Receiver, EventBacklog Backlog);
