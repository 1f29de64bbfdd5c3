using System.Net;
using MailPipeline.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

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

    private static Task<(WebApplication App, HttpClient Client)> StartAsync(
        PostgresServer postgres, Func<WebApplicationBuilder, WebApplicationBuilder> configure)
    {
        var builder = DefaultsHost.CreateBuilder(
            // Npgsql itself waits as long as it takes.
            ("ConnectionStrings:maildb", postgres.ConnectionString() + ";Command Timeout=0"));
        return DefaultsHost.StartAsync(configure(builder.AddMailDatabase()));
    }

    private static async Task<(HttpStatusCode Status, string Body)> ReadyAsync(HttpClient client)
    {
        var response = await client.GetAsync(new Uri("/health/ready", UriKind.Relative), Cancellation);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(Cancellation));
    }
}
