using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Connections;

/// <summary>Separate connections for domains that can be reached and for failing ones, so that dead hosts hold up nobody.</summary>
internal sealed class ConnectionPools : IAsyncDisposable
{
    private const int RememberedDestinations = 20_000;

    /// <summary>Who has answered since is worth a reserved slot.</summary>
    private static readonly TimeSpan s_lately = TimeSpan.FromHours(1);

    public ConnectionPools(IOptions<DeliveryOptions> options, DeliveryTelemetry telemetry, TimeProvider time)
    {
        var answered = new RecentEvents(RememberedDestinations, s_lately, time);
        Healthy = Make(options.Value.Connections);
        Retry = Make(options.Value.RetryConnections);
        telemetry.Watch(() =>
        [
            ("healthy", "active", Healthy.Taken), ("healthy", "stalled", Healthy.Stalled),
            ("retry", "active", Retry.Taken), ("retry", "stalled", Retry.Stalled),
        ]);

        ConnectionSlots Make(int connections) => new(
            new SlotLimits(connections, connections * options.Value.StalledPerConnection, options.Value.ReservedShare, options.Value.Probation),
            options.Value.IdleTime, answered, time);
    }

    public ConnectionSlots Healthy { get; }

    public ConnectionSlots Retry { get; }

    public async ValueTask DisposeAsync()
    {
        await Healthy.DisposeAsync();
        await Retry.DisposeAsync();
    }
}
