using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery;

/// <summary>
/// Stops the endpoints of the two lanes as soon as the process is asked to stop: what would be taken meanwhile could only be given
/// back, perhaps to ourselves. The bus as a whole stops when the hand-outs under way have ended, those outside their lane too. It
/// would not wait for an endpoint that somebody else has stopped, and be gone when the last reports are sent.
/// </summary>
internal sealed class LaneEndpoints : IReceiveEndpointObserver, IBusObserver, IHostedLifecycleService
{
    private static readonly string[] s_lanes = [BusEndpoints.Deliver, BusEndpoints.DeliverRetry];

    private readonly Lock _lock = new();
    private readonly HashSet<IReceiveEndpoint> _lanes = [];
    private readonly List<Task> _stops = [];
    private readonly HandOutsAside _aside;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger<LaneEndpoints> _log;

    /// <summary>Ends when the process may take no more time to stop.</summary>
    private CancellationToken _grace = CancellationToken.None;

    public LaneEndpoints(HandOutsAside aside, IHostApplicationLifetime lifetime, ILogger<LaneEndpoints> log)
    {
        _aside = aside;
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

    /// <summary>Comes before any service is stopped. Not every stop begins with a signal.</summary>
    public Task StoppingAsync(CancellationToken cancellationToken)
    {
        _grace = cancellationToken;
        _lifetime.StopApplication();
        return Task.CompletedTask;
    }

    /// <summary>Here, and not earlier, so that listeners of this process close meanwhile.</summary>
    public async Task PreStop(IBus bus)
    {
        Task[] stops;
        lock (_lock)
            stops = [.. _stops, _aside.EndAsync()];
        await Task.WhenAll(stops).WaitAsync(_grace).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    public Task Stopping(ReceiveEndpointStopping stopping) => Task.CompletedTask;

    public Task Completed(ReceiveEndpointCompleted completed) => Task.CompletedTask;

    public Task Faulted(ReceiveEndpointFaulted faulted) => Task.CompletedTask;

    public void PostCreate(IBus bus)
    {
    }

    public void CreateFaulted(Exception exception)
    {
    }

    public Task PreStart(IBus bus) => Task.CompletedTask;

    public Task PostStart(IBus bus, Task<BusReady> busReady) => Task.CompletedTask;

    public Task StartFaulted(IBus bus, Exception exception) => Task.CompletedTask;

    public Task PostStop(IBus bus) => Task.CompletedTask;

    public Task StopFaulted(IBus bus, Exception exception) => Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

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
