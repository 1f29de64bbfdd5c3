using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>The command without a name: the server, until it is told to stop.</summary>
internal static class Server
{
    private static readonly TimeSpan s_stopAfterFailure = TimeSpan.FromSeconds(5);

    public static async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        using var hangup = Hangup.Hold();
        using var folder = DataFolder.Lock(call.Arguments.DataFolder);
        var builder = StandaloneHost.CreateBuilder(call.Arguments, folder.FullPath);
        WebApplication app;
        try
        {
            app = await StartAsync(builder, hangup, cancellation);
        }
        catch (OperationCanceledException)
        {
            // SIGTERM while starting is an order like any other.
            return ExitCodes.Done;
        }
        await using (app)
        {
            Greeting.Write(call.Output, builder, folder.FullPath);
            await app.WaitForShutdownAsync(cancellation);
        }
        return ExitCodes.Done;
    }

    /// <summary>Builds and starts; every failure the operator can put right comes out as <see cref="StartupException"/>.</summary>
    public static async Task<WebApplication> StartAsync(WebApplicationBuilder builder, Hangup? hangup, CancellationToken cancellation)
    {
        WebApplication? app = null;
        try
        {
            StandaloneHost.CheckSettings(builder.Configuration);
            StandaloneHost.CheckPorts(builder.Configuration);
            app = StandaloneHost.Build(builder);
            hangup?.ListenFor(app.Services, StandaloneHost.CheckForNextStart);
            await app.StartAsync(cancellation);
            return app;
        }
        catch (Exception failure)
        {
            var explained = failure is OperationCanceledException ? null : StartupFailure.Explain(failure, builder.Configuration);
            if (app is not null)
                await EndAsync(app);
            if (explained is null)
                throw;
            throw new StartupException(explained, failure);
        }
    }

    /// <summary>What has started is stopped; what goes wrong on the way says nothing new.</summary>
    private static async Task EndAsync(WebApplication app)
    {
        try
        {
            using var patience = new CancellationTokenSource(s_stopAfterFailure, TimeProvider.System);
            await app.StopAsync(patience.Token);
        }
        // The host answers ArgumentNullException where its services could not even be made: then there is none to stop.
        catch (Exception failure) when (failure is OperationCanceledException or AggregateException or InvalidOperationException or ArgumentNullException)
        {
        }
        await app.DisposeAsync();
    }
}
