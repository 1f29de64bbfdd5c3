using MailPipeline.Queue.Events;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Sends one receiver his events; there is one of each, so that none waits for another.</summary>
internal sealed class EventSending(EventReceivers receivers, int number, IHostApplicationLifetime lifetime) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly EventSender _sender = receivers.Senders[number];

    public string Name => $"send_events.{_sender.Name}";

    public DutyPace Pace => new(s_interval);

    public async Task<bool> RoundAsync()
    {
        try
        {
            return await _sender.SendAsync(lifetime.ApplicationStopping);
        }
        catch (OperationCanceledException) when (lifetime.ApplicationStopping.IsCancellationRequested)
        {
            // Whoever has the duty next sends it again.
            return false;
        }
    }
}

/// <summary>Keeps the list of receivers, and bounds what waits for them.</summary>
internal sealed class EventKeeping(EventReceivers receivers) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    public string Name => "keep_events";

    public DutyPace Pace => new(s_interval, Share: 0.02);

    public async Task<bool> RoundAsync()
    {
        await receivers.KeepAsync(CancellationToken.None);
        return false;
    }
}

/// <summary>Reads what providers say of complaints; there is nothing to read unless addresses for them are named.</summary>
internal sealed class FeedbackReading(FeedbackInbox inbox) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(10);

    public string Name => "read_feedback";

    public DutyPace Pace => new(s_interval);

    public Task<bool> RoundAsync() => inbox.ReadAsync(CancellationToken.None);
}
