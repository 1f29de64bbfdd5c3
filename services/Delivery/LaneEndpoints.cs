using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery;

/// <summary>
/// Stops the endpoints of the two lanes as soon as the process is asked to stop, and the bus as a whole only when they have ended. What
/// would be taken meanwhile could only be given back, perhaps to ourselves. And the bus does not wait for an endpoint that somebody
/// else stops: it would be gone when the last reports are sent.
/// </summary>
internal sealed class LaneEndpoints : IReceiveEndpointObserver, IHostedLifecycleService
{
    private static readonly string[] s_lanes = [BusEndpoints.Deliver, BusEndpoints.DeliverRetry];

    private readonly Lock _lock = new();
    private readonly HashSet<IReceiveEndpoint> _lanes = [];
    private readonly List<Task> _stops = [];
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger<LaneEndpoints> _log;

    public LaneEndpoints(IHostApplicationLifetime lifetime, ILogger<LaneEndpoints> log)
    {
        _lifetime = lifetime;
        _log = log;
        lifetime.ApplicationStopping.Register(StopLanes);
    }

    /// <summary>Comes at the start and after each loss of the broker.</summary>
    public Task Ready(ReceiveEndpointReady ready)
    {
        if (!s_lanes.Contains(ready.InputAddress.AbsolutePath.Split('/')[^1], StringComparer.Ordinal))
            return Task.CompletedTask;
        lock (_lock)
            _lanes.Add(ready.ReceiveEndpoint);
        if (_lifetime.ApplicationStopping.IsCancellationRequested)
            StopLanes();
        return Task.CompletedTask;
    }

    /// <summary>Comes before any service is stopped, the bus among them.</summary>
    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        // Not every stop begins with a signal.
        _lifetime.StopApplication();
        Task[] stops;
        lock (_lock)
            stops = [.. _stops];
        await Task.WhenAll(stops).WaitAsync(cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;

    public Task Faulted(ReceiveEndpointFaulted faulted) => Task.CompletedTask;

    private void StopLanes()
    {
        lock (_lock)
        {
            _stops.AddRange(_lanes.Select(StopAsync));
            _lanes.Clear();
        }
    }

    /// <summary>No more is taken from now on; ends when all that was taken has ended.</summary>
    private async Task StopAsync(IReceiveEndpoint lane)
    {
        try
        {
            await lane.Stop(CancellationToken.None);
        }
#pragma warning disable CA1031 // The bus stops it once more.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _log.LaneNotStopped(error, lane.InputAddress);
        }
    }
}
