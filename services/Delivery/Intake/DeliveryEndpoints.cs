using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MassTransit;

namespace MailPipeline.Delivery.Intake;

/// <summary>
/// Stops its endpoints as soon as the process is asked to stop: what would be taken meanwhile could only be given
/// back, perhaps to ourselves. The bus as a whole stops when the batches under way have ended, the detached ones too. It
/// would not wait for an endpoint that somebody else has stopped, and be gone when the last reports are sent.
/// </summary>
internal sealed class DeliveryEndpoints : IReceiveEndpointObserver, IBusObserver, IHostedLifecycleService
{
    private static readonly string[] s_names = [BusEndpoints.Deliver, BusEndpoints.DeliverRetry, BusEndpoints.VerifyRecipient];

    private readonly Lock _lock = new();
    private readonly HashSet<IReceiveEndpoint> _endpoints = [];
    private readonly List<Task> _stops = [];
    private readonly DetachedBatches _detached;
    private readonly IHostApplicationLifetime _lifetime;
    private readonly ILogger<DeliveryEndpoints> _log;

    /// <summary>Ends when the process may take no more time to stop.</summary>
    private CancellationToken _grace = CancellationToken.None;

    public DeliveryEndpoints(DetachedBatches detached, IHostApplicationLifetime lifetime, ILogger<DeliveryEndpoints> log)
    {
        _detached = detached;
        _lifetime = lifetime;
        _log = log;
        lifetime.ApplicationStopping.Register(StopEndpoints);
    }

    /// <summary>Comes at the start and after each loss of the broker.</summary>
    public Task Ready(ReceiveEndpointReady ready)
    {
        if (!s_names.Contains(ready.InputAddress.AbsolutePath.Split('/')[^1], StringComparer.Ordinal))
            return Task.CompletedTask;
        lock (_lock)
            _endpoints.Add(ready.ReceiveEndpoint);
        if (_lifetime.ApplicationStopping.IsCancellationRequested)
            StopEndpoints();
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
            stops = [.. _stops, _detached.EndAsync()];
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

    private void StopEndpoints()
    {
        lock (_lock)
        {
            _stops.AddRange(_endpoints.Select(StopAsync));
            _endpoints.Clear();
        }
    }

    /// <summary>No more is taken from now on; ends when all that was taken has ended.</summary>
    private async Task StopAsync(IReceiveEndpoint endpoint)
    {
        try
        {
            await endpoint.Stop(CancellationToken.None);
        }
#pragma warning disable CA1031 // The bus stops it once more.
        catch (Exception error)
#pragma warning restore CA1031
        {
            _log.EndpointNotStopped(error, endpoint.InputAddress);
        }
    }
}
