using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>What this process goes by, as others have to know it to say why mail waits.</summary>
internal sealed class QueueRules(EndpointGate gate, DeliveryPause pause, IOptions<QueueOptions> options, TimeProvider time)
{
    public bool IsPaused => pause.IsPaused;

    public QueueState State
    {
        get
        {
            var now = time.GetUtcNow();
            return new(
                options.Value.InitialConcurrency, options.Value.WindowRecipients, options.Value.DeliveryPaused ? now : null,
                [.. gate.Closed.Select(closed => new ClosedEndpoint(closed.Endpoint, closed.BusRefuses, now))])
            {
                SearchableSince = options.Value.MessageSearch ? now : null,
            };
        }
    }
}

/// <summary>Keeps in storage what the queue goes by. It is compared at each round, and written where it has changed.</summary>
internal sealed class StateKeeping(QueueStateStore store, QueueRules rules, IOptions<QueueOptions> options) : IDuty
{
    public string Name => "state";

    public DutyPace Pace => new(options.Value.ReconcileInterval);

    public Task<bool> RoundAsync() => store.UpdateAsync(rules.State, CancellationToken.None);
}
