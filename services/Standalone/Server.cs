using System.Net;
using System.Net.Sockets;
using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>The command without a name: the server, until it is told to stop.</summary>
internal static class Server
{
    public static async Task<int> RunAsync(Invocation call, CancellationToken cancellation)
    {
        using var folder = DataFolder.Lock(call.Arguments.DataFolder);
        var builder = StandaloneHost.CreateBuilder(call.Arguments, folder.FullPath);
        var app = await StartAsync(builder, cancellation);
        await using (app)
        {
            Greeting.Write(call.Terminal.Out, builder.Configuration, call.Arguments);
            await app.WaitForShutdownAsync(cancellation);
        }
        return CommandTable.Done;
    }

    /// <summary>Builds and starts; every failure the operator can put right comes out as <see cref="StartupException"/>.</summary>
    public static async Task<WebApplication> StartAsync(WebApplicationBuilder builder, CancellationToken cancellation)
    {
        WebApplication? app = null;
        try
        {
            app = StandaloneHost.Build(builder);
            CheckSiloPort(builder.Configuration);
            // Now, not when the first client says STARTTLS.
            _ = app.Services.GetRequiredService<ServerCertificate>().CurrentContext;
            await app.StartAsync(cancellation);
            return app;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            var explained = StartupFailure.Explain(failure, builder.Configuration);
            if (app is not null)
                await app.DisposeAsync();
            if (explained is null)
                throw;
            throw new StartupException(explained, failure);
        }
    }

    /// <summary>Orleans binds its port so that two processes can share it, which would mix up their grains without an error.</summary>
    private static void CheckSiloPort(IConfiguration configuration)
    {
        var port = configuration.ReadSettings<QueueOptions>(QueueOptions.SectionName).SiloPort;
        try
        {
            using var probe = new TcpListener(IPAddress.Loopback, port);
            probe.Start();
        }
        catch (SocketException taken) when (taken.SocketErrorCode == SocketError.AddressAlreadyInUse)
        {
            throw StartupFailure.PortTaken("Queue:SiloPort", port);
        }
    }
}
