using System.Net;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Mail.Tests;

/// <summary>What a service says of itself when its store goes away after the start.</summary>
public sealed class StoreHealthTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Without_its_store_a_worker_is_not_ready_and_a_door_stays_open()
    {
        await using var postgres = await PostgresServer.StartAsync(cancellation: Cancellation);
        var (worker, workerClient) = await StartAsync(postgres, builder => builder);
        var (door, doorClient) = await StartAsync(postgres, builder => builder.StayReadyWithoutStore());
        await using (worker)
        await using (door)
        using (workerClient)
        using (doorClient)
        {
            Assert.Equal((HttpStatusCode.OK, "Healthy\nstore: Healthy\n"), await ReadyAsync(workerClient));
            Assert.Equal((HttpStatusCode.OK, "Healthy\nstore: Healthy\n"), await ReadyAsync(doorClient));

            await postgres.StopAsync();

            Assert.Equal((HttpStatusCode.ServiceUnavailable, "Unhealthy\nstore: Unhealthy\n"), await ReadyAsync(workerClient));
            Assert.Equal((HttpStatusCode.OK, "Degraded\nstore: Degraded\n"), await ReadyAsync(doorClient));
        }
    }

    [Fact]
    public async Task A_store_that_does_not_answer_keeps_nobody_who_asks_for_health()
    {
        await using var postgres = await PostgresServer.StartAsync(cancellation: Cancellation);
        var (door, client) = await StartAsync(postgres, builder => builder.StayReadyWithoutStore());
        await using (door)
        using (client)
        {
            Assert.Equal(HttpStatusCode.OK, (await ReadyAsync(client)).Status);
            // A lock on the table that the check reads stands for a server that is there and silent; nobody takes it back.
            await using var silence = new Npgsql.NpgsqlConnection(postgres.ConnectionString());
            await silence.OpenAsync(Cancellation);
            await using var transaction = await silence.BeginTransactionAsync(Cancellation);
            await using var locked = new Npgsql.NpgsqlCommand("LOCK TABLE messages IN ACCESS EXCLUSIVE MODE", silence);
            await locked.ExecuteNonQueryAsync(Cancellation);

            Assert.Equal((HttpStatusCode.OK, "Degraded\nstore: Degraded\n"), await ReadyAsync(client));
        }
    }

    [Fact]
    public async Task A_SQLite_file_is_no_store_for_several_processes()
    {
        var folder = Directory.CreateTempSubdirectory("mailpipeline-test-");
        try
        {
            Assert.Equal(2, await ServiceHost.RunAsync(
                "test", [$"--ConnectionStrings:maildb=Data Source={folder.FullName}/mail.db", "--Http:Port=0"], ["maildb"],
                services => services.AddMailDatabaseSettings(), builder => builder.AddSharedMailDatabase()));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public async Task A_store_that_is_away_is_waited_for()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var port = FreePorts.Next();
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        var running = ServiceHost.RunAsync(
            "test", ["--ConnectionStrings:maildb=Host=127.0.0.1;Port=1;Timeout=1", $"--Http:Port={port}"], ["maildb"],
            services => services.AddMailDatabaseSettings(), builder => builder.AddSharedMailDatabase(), cancellation: stop.Token);

        await Eventually.TrueAsync(
            async () => await SaysAsync() == "Waiting for the store (ConnectionStrings:maildb)\n", TimeSpan.FromSeconds(30), () => "", Cancellation);
        await stop.CancelAsync();
        Assert.Equal(0, await running);

        async Task<string> SaysAsync()
        {
            try
            {
                return (await ReadyAsync(client)).Body;
            }
            catch (HttpRequestException)
            {
                return "";
            }
        }
    }

    private static async Task<(WebApplication App, HttpClient Client)> StartAsync(
        PostgresServer postgres, Func<WebApplicationBuilder, WebApplicationBuilder> configure)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Configuration["Http:Port"] = "0";
        builder.Configuration["Logging:LogLevel:Default"] = "None";
        // Npgsql itself waits as long as it takes.
        builder.Configuration["ConnectionStrings:maildb"] = postgres.ConnectionString() + ";Command Timeout=0";
        var app = configure(builder.AddServiceDefaults("test").AddMailDatabase()).Build();
        app.MapServiceDefaults();
        await app.StartAsync(Cancellation);
        var address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return (app, new HttpClient { BaseAddress = new Uri(address) });
    }

    private static async Task<(HttpStatusCode Status, string Body)> ReadyAsync(HttpClient client)
    {
        var response = await client.GetAsync(new Uri("/health/ready", UriKind.Relative), Cancellation);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }
}
