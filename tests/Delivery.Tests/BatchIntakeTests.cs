using System.Net;
using MailPipeline.Contracts;
using MailPipeline.Delivery.Connections;
using MailPipeline.Delivery.Intake;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>A batch holds its place among the consumers only as long as it is worked on, not while DNS is silent.</summary>
public sealed class BatchIntakeTests : IAsyncDisposable
{
    private readonly Bench _bench = new(time: new FakeTimeProvider());
    private readonly ServiceProvider _services = new ServiceCollection()
        .AddMassTransitTestHarness()
        .AddLogging()
        .BuildServiceProvider();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silent_DNS_holds_no_place_among_the_consumers_and_is_reported_all_the_same()
    {
        var harness = await StartAsync();
        var gate = _bench.Dns.WithFailure(Bench.Domain).Gate = new TaskCompletionSource();
        var detached = _bench.Collect("mailpipeline.delivery.batches.detached");

        var consuming = Intake().DeliverAsync(Command(), _bench.Slots);
        Assert.False(consuming.IsCompleted);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        Assert.Equal(1, Assert.Single(detached.GetMeasurementSnapshot()).Value);
        gate.SetResult();
        var report = await FirstReportAsync(harness);
        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
    }

    [Fact]
    public async Task An_answer_in_time_is_worked_on_among_the_consumers()
    {
        var harness = await StartAsync();
        _bench.Dns.WithFailure(Bench.Domain);

        await Intake().DeliverAsync(Command(), _bench.Slots);

        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(await FirstReportAsync(harness)));
    }

    [Fact]
    public async Task A_thousand_hosts_that_DNS_says_nothing_about_hold_no_connection_and_end_soon()
    {
        var harness = await StartAsync();
        _bench.Dns.WithMx(Bench.Domain, [.. Enumerable.Range(0, 1000).Select(i => (i, $"mx{i}.example.net"))]);
        await _bench.Resolver.ResolveAsync(Bench.Domain);
        var gate = _bench.Dns.Gate = new TaskCompletionSource();
        var waiting = _bench.Collect("mailpipeline.delivery.waiting");

        var consuming = Intake().DeliverAsync(Command(), _bench.Slots);
        Assert.False(consuming.IsCompleted);
        Assert.Equal(0, _bench.Slots.Taken);
        Assert.Equal("dns", Assert.Single(waiting.GetMeasurementSnapshot()).Tags["reason"]);
        _bench.Clock.Advance(_bench.Options.DnsBatchTime);

        var report = await FirstReportAsync(harness);
        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
        Assert.InRange(_bench.Dns.Questions.Count, 2, 1 + (2 * _bench.Options.MaxHosts));
        gate.SetResult();
    }

    [Fact]
    public async Task A_batch_that_waits_for_a_connection_leaves_its_place_among_the_consumers_and_has_not_begun()
    {
        await StartAsync();
        _bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "192.0.2.1");
        var held = Enumerable.Range(0, _bench.Options.Connections).Select(i => _bench.Slots.TryTake($"d{i}.example", IPAddress.Loopback)).OfType<ConnectionSlot>().ToList();
        Assert.Equal(_bench.Options.Connections * 3 / 4, held.Count);

        var consuming = Intake().DeliverAsync(Command(), _bench.Slots);
        Assert.False(consuming.IsCompleted);
        Assert.Equal([false], _bench.Claims.Begun);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        // Before it dials, storage is told.
        _bench.Claims.LostClaims.Add(FakeClaims.IdFor(77));
        held[0].Release();
        await _bench.Detached.EndAsync().WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);
        Assert.Equal(held.Count - 1, _bench.Slots.Taken);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_batch_that_is_spoken_about_for_long_leaves_its_place_among_the_consumers(bool manyAreDetached)
    {
        var answer = new TaskCompletionSource();
        await using var server = ScriptedServer.SlowToAnswer("user1@example.net", answer.Task);
        var harness = await StartAsync();
        _bench.RouteTo(server);
        // The dot is there before its sender knows that it was taken: the time for a piece of content may still run.
        _bench.Options.Timeouts.Block = _bench.Options.Timeouts.FinalDot = TimeSpan.FromMinutes(30);
        while (manyAreDetached && _bench.Detached.TryAdd())
        {
        }

        var consuming = Intake().DeliverAsync(Command(), _bench.Slots);
        await server.Signal.Task;
        _bench.Clock.Advance(BatchIntake.LongestUnacknowledged - TimeSpan.FromSeconds(1));
        Assert.False(consuming.IsCompleted);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        answer.SetResult();
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await FirstReportAsync(harness)));
    }

    [Fact]
    public async Task A_stop_waits_for_the_last_reply_and_the_report_of_what_was_detached()
    {
        var answer = new TaskCompletionSource();
        await using var server = ScriptedServer.SlowToAnswer("user1@example.net", answer.Task);
        var harness = await StartAsync();
        _bench.Options.Port = server.Port;
        _bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        var gate = _bench.Dns.Gate = new TaskCompletionSource();
        var consuming = Intake().DeliverAsync(Command(), _bench.Slots);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);
        gate.SetResult();
        await server.Signal.Task;

        var stopping = _bench.Detached.EndAsync();
        Assert.False(stopping.IsCompleted);
        Assert.False(_bench.Detached.TryAdd());
        answer.SetResult();
        await stopping;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await FirstReportAsync(harness)));
    }

    public async ValueTask DisposeAsync()
    {
        await _services.DisposeAsync();
        await _bench.DisposeAsync();
    }

    private async Task<ITestHarness> StartAsync()
    {
        var harness = _services.GetTestHarness();
        harness.TestInactivityTimeout = TimeSpan.FromSeconds(30);
        await harness.Start();
        return harness;
    }

    private static async Task<AttemptReport> FirstReportAsync(ITestHarness harness)
    {
        await foreach (var sent in harness.Sent.SelectAsync<AttemptsCompleted>(Cancellation))
            return sent.Context.Message.ToReport();
        throw new InvalidOperationException("Nothing was reported.");
    }

    private BatchIntake Intake() => new(
        _bench.Delivery, _bench.Detached, _bench.Resolver, new MailBus(_services.GetRequiredService<IBus>(), TimeProvider.System), _bench.Telemetry, _bench.Time,
        new FakeLogger<BatchIntake>());

    private BatchCommand Command() => new(77, Bench.Domain, _bench.Message("one\r\n"));
}
