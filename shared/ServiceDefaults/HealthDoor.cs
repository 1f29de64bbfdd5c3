using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Answers for a process that is still starting: it is alive and not ready, and says what it waits for. It is open from the first
/// moment until the service's own HTTP listener takes its place, so that no probe finds nobody, however long a silo takes to join.
/// </summary>
internal sealed class HealthDoor : IAsyncDisposable
{
    private readonly CancellationTokenSource _stopping = new();
    private WebApplication? _door;
    private volatile string _says = "Starting\n";

    /// <summary>Cancelled when the process is told to stop while the door is open.</summary>
    public CancellationToken Stopping => _stopping.Token;

    /// <summary>What is answered from now on.</summary>
    public void Say(string text) => _says = text + "\n";

    public async Task OpenAsync(HttpOptions http)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.Configure<KestrelServerOptions>(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Listen(http.EndPoint);
        });
        _door = builder.Build();
        _door.Run(context =>
        {
            var alive = context.Request.Path == "/health/live";
            context.Response.StatusCode = alive ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
            return context.Response.WriteAsync(_says);
        });
        _door.Lifetime.ApplicationStopping.Register(_stopping.Cancel);
        await _door.StartAsync();
    }

    public async Task CloseAsync()
    {
        if (Interlocked.Exchange(ref _door, null) is not { } door)
            return;
        await using (door)
            await door.StopAsync(CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync();
        _stopping.Dispose();
    }

    /// <summary>
    /// Registered as the last of the hosted services, it is started when all others have been and directly before the HTTP listener,
    /// which then finds the port free.
    /// </summary>
    public sealed class HandOver(HealthDoor door) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => door.CloseAsync();

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
