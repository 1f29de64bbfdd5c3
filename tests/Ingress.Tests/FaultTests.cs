using System.Diagnostics;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Time, storage and bus going wrong, and the host going away.</summary>
public sealed class FaultTests
{
    private static readonly DateTimeOffset s_start = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_client_that_says_nothing_for_five_minutes_is_told_and_left()
    {
        var time = new FakeTimeProvider(s_start);
        await using var host = await IngressHost.StartAsync(time: time);
        var broken = host.Metric<long>("mailpipeline.ingress.sessions_broken");
        await using var client = await Client.GreetedAsync(host.Mx);
        await AdvanceUntilAsync(time, client.ExpectAsync("421 4.4.2"), TimeSpan.FromMinutes(4), TimeSpan.FromSeconds(30));
        await client.ExpectEndAsync();
        await host.NoSessionsAsync();
        Assert.Equal("timed_out", Assert.Single(broken.GetMeasurementSnapshot()).Tags["reason"]);
    }

    [Fact]
    public async Task A_command_that_trickles_in_has_no_more_time_than_any_other()
    {
        var time = new FakeTimeProvider(s_start);
        await using var host = await IngressHost.StartAsync(time: time);
        await using var client = await Client.GreetedAsync(host.Mx);
        var reply = client.ExpectAsync("421 4.4.2");
        // An octet a minute. A session that began anew with each would never end.
        await Eventually.EndsAsync(
            reply,
            async () =>
            {
                await client.SendAsync("x");
                time.Advance(TimeSpan.FromMinutes(1));
            },
            TestContext.Current.CancellationToken);
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task Stopping_waits_for_nobody_who_is_silent_in_a_TLS_handshake()
    {
        // The clock stands still: the handshake's own time-out never comes.
        await using var host = await IngressHost.StartAsync(time: new FakeTimeProvider(s_start));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("STARTTLS", "220");

        await host.StopAsync().WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        await client.ExpectEndAsync();
    }

    [Fact]
    public async Task A_half_open_client_in_the_middle_of_its_content_is_left_and_nothing_is_kept()
    {
        var time = new FakeTimeProvider(s_start);
        await using var host = await IngressHost.StartAsync(time: time);
        var accepted = host.Metric<long>("mailpipeline.ingress.accepted");
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.BeginAsync("ann@example.com");
        await client.SendAsync("x: y\r\n\r\nhalf of");
        await AdvanceUntilAsync(time, client.ExpectAsync("421 4.4.2"), TimeSpan.FromMinutes(4), TimeSpan.FromSeconds(30));
        await client.ExpectEndAsync();
        await host.NoSessionsAsync();
        Assert.Empty(accepted.GetMeasurementSnapshot());
    }

    /// <summary>Also in the middle of a large message, which is read to its end.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(200_000)]
    public async Task Full_storage_is_452_and_ends_by_itself(int lines)
    {
        // The clock stands still: Backpressure, which looks once a second, would refuse at MAIL.
        await using var host = await IngressHost.StartAsync(time: new FakeTimeProvider(s_start));
        await using var client = await Client.GreetedAsync(host.Mx);
        var content = string.Concat(Enumerable.Repeat("x: 45678\r\n", lines));
        host.Storage.ReservedFreeBytes = long.MaxValue;
        await client.MessageAsync(content, "452 4.3.1");
        host.Storage.ReservedFreeBytes = 0;
        await client.MessageAsync(content);
        Assert.Single((await host.NextHintAsync()).Recipients);
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task A_locked_database_is_451_and_nothing_is_kept()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
        await host.NextHintAsync();
        await using (var locker = new SqliteConnection($"Data Source={host.DatabasePath};Pooling=False"))
        {
            await locker.OpenAsync(TestContext.Current.CancellationToken);
            await using var command = locker.CreateCommand();
            command.CommandText = "BEGIN IMMEDIATE";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
            await client.MessageAsync("x: y\r\n", "451 4.3.0");
        }

        await client.MessageAsync("x: y\r\n");
        await host.NextHintAsync();
        Assert.False(host.HasHint);
    }

    [Fact]
    public async Task A_dead_bus_costs_hints_and_no_mail()
    {
        // Nobody listens on port 1.
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["ConnectionStrings:rabbitmq"] = "amqp://guest:guest@127.0.0.1:1/" });
        var lost = host.Metric<long>("mailpipeline.ingress.hints_lost");
        await using var client = await Client.GreetedAsync(host.Mx);
        var reply = await client.MessageAsync("x: y\r\n");
        Assert.True(MessageIds.TryParse(reply.Split(' ')[^1], out var id));
        Assert.NotEmpty(await host.ReceivedContentAsync(id));
        await lost.WaitForMeasurementsAsync(1, Deadline.Token);
        Assert.Equal(1, lost.LastMeasurement!.Value);
    }

    [Fact]
    public async Task Stopping_lets_a_message_end_and_sends_the_idle_away()
    {
        await using var host = await IngressHost.StartAsync();
        var accepted = host.Metric<long>("mailpipeline.ingress.accepted");
        await using var idle = await Client.GreetedAsync(host.Mx);
        await using var busy = await Client.GreetedAsync(host.Mx);
        await busy.BeginAsync();
        await busy.SendAsync("x: y\r\n\r\nhalf");
        await using var secured = await Client.AuthenticatedAsync(host.Submission);
        await secured.BeginAsync("ann@example.com");
        await secured.SendAsync("x: y\r\n\r\nhalf");
        await using var securedIdle = await Client.AuthenticatedAsync(host.Submission);

        var stopping = host.StopAsync();
        await idle.ExpectAsync("421 4.3.2");
        await idle.ExpectEndAsync();
        await securedIdle.ExpectAsync("421 4.3.2");
        await securedIdle.ExpectEndAsync();
        await busy.SayAsync(" and half\r\n.", "250 2.0.0 Ok: queued as ");
        await busy.ExpectAsync("421 4.3.2");
        await secured.SayAsync(" and half\r\n.", "250 2.0.0 Ok: queued as ");
        await secured.ExpectAsync("421 4.3.2");
        await stopping;
        Assert.Equal(2, accepted.GetMeasurementSnapshot().Sum(measurement => measurement.Value));
    }

    [Fact]
    public async Task A_trace_starts_here_and_rides_in_the_envelope()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == IngressTelemetry.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.MessageAsync("x: y\r\n");
        var trace = (await host.NextHintAsync()).TraceParent;
        Assert.True(ActivityContext.TryParse(trace, null, out _), trace);
        await client.MessageAsync("x: y\r\n");
        Assert.NotEqual(trace[..36], (await host.NextHintAsync()).TraceParent[..36]);
    }

    [Theory]
    [InlineData("Ingress:Listeners:0:Address", "localhost", "Ingress:Listeners:0:Address is 'localhost'; it must be an IP address")]
    [InlineData("Ingress:Listeners:0:Port", "70000", "Ingress:Listeners:0:Port is 70000; it must be 0 to 65535")]
    [InlineData("Ingress:Listeners:1:Tls", "None", "Ingress:Listeners:1:Tls is None")]
    [InlineData("Ingress:ProxyProtocolFrom:0", "10.0.0.0/33", "Ingress:ProxyProtocolFrom:0 is '10.0.0.0/33'; it must be")]
    [InlineData("Ingress:RelayClients:0", "10.0.0.0/33", "Ingress:RelayClients:0 is '10.0.0.0/33'; it must be")]
    [InlineData("Ingress:HostName", "not a name", "Ingress:HostName is 'not a name'; it must be a domain name")]
    [InlineData("Ingress:Postmaster", "x", "Ingress:Postmaster is 'x'; it must be a mail address")]
    [InlineData("Ingress:MaxRecipients", "5", "Ingress:MaxRecipients is '5'")]
    [InlineData("Ingress:MaxMessageBytes", "much", "Ingress:MaxMessageBytes")]
    [InlineData("Ingress:NoSuchThing", "1", "NoSuchThing")]
    public async Task A_bad_setting_stops_the_start_and_is_named(string setting, string value, string explanation)
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => IngressHost.StartAsync(new Dictionary<string, string> { [setting] = value }));
        var configuration = new Microsoft.Extensions.Configuration.ConfigurationManager();
        configuration[setting] = value;
        Assert.Contains(explanation, StartupFailure.Explain(failure, configuration), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_of_its_own_that_would_listen_nowhere_does_not_start()
    {
        var (exitCode, output) = await ServiceProcess.EndsAsync(ServiceKind.Ingress, TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Equal(2, exitCode);
        Assert.StartsWith("Ingress:Listeners has no entry", Assert.Single(output), StringComparison.Ordinal);
    }

    private static async Task AdvanceUntilAsync(FakeTimeProvider time, Task<string> reply, TimeSpan quiet, TimeSpan rest)
    {
        time.Advance(quiet);
        await Task.Yield();
        Assert.False(reply.IsCompleted);
        await Eventually.EndsAsync(reply, () => time.Advance(rest), TestContext.Current.CancellationToken);
    }
}
