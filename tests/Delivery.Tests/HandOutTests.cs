using MailPipeline.Contracts;
using MailPipeline.ServiceDefaults;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>A hand-out holds its place in the lane only as long as it is worked on, not while DNS is silent.</summary>
public sealed class HandOutTests : IAsyncDisposable
{
    private readonly Bench _bench = new(time: new FakeTimeProvider());
    private readonly ServiceProvider _services = new ServiceCollection()
        .AddMassTransitTestHarness()
        .AddLogging()
        .BuildServiceProvider();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Silent_DNS_holds_no_place_in_the_lane_and_is_reported_all_the_same()
    {
        var harness = await StartAsync();
        var gate = _bench.Dns.WithFailure(Bench.Domain).Gate = new TaskCompletionSource();
        var aside = _bench.Collect("mailpipeline.delivery.hand_outs.aside");

        var consuming = HandOut().DeliverAsync(Command(), _bench.Slots);
        Assert.False(consuming.IsCompleted);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);

        Assert.Equal(1, Assert.Single(aside.GetMeasurementSnapshot()).Value);
        gate.SetResult();
        var report = await FirstReportAsync(harness);
        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(report));
        Assert.True(report.Unreachable);
    }

    [Fact]
    public async Task An_answer_in_time_is_worked_on_in_the_lane()
    {
        var harness = await StartAsync();
        _bench.Dns.WithFailure(Bench.Domain);

        await HandOut().DeliverAsync(Command(), _bench.Slots);

        Assert.Equal(["Deferred 4.4.3"], Bench.Outcomes(await FirstReportAsync(harness)));
    }

    [Fact]
    public async Task A_stop_waits_for_the_last_reply_and_the_report_of_what_went_aside()
    {
        var answer = new TaskCompletionSource();
        await using var server = ScriptedServer.SlowToAnswer("user1@example.net", answer.Task);
        var harness = await StartAsync();
        _bench.Options.Port = server.Port;
        _bench.Dns.WithMx(Bench.Domain, (10, "mx.example.net")).WithAddress("mx.example.net", "127.0.0.1");
        var gate = _bench.Dns.Gate = new TaskCompletionSource();
        var consuming = HandOut().DeliverAsync(Command(), _bench.Slots);
        _bench.Clock.Advance(TimeSpan.FromSeconds(1));
        await consuming.WaitAsync(TimeSpan.FromSeconds(30), TimeProvider.System, Cancellation);
        gate.SetResult();
        await server.Signal.Task;

        var stopping = _bench.Aside.EndAsync();
        Assert.False(stopping.IsCompleted);
        Assert.False(_bench.Aside.TryAdd());
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

    private static async Task<AttemptsCompleted> FirstReportAsync(ITestHarness harness)
    {
        await foreach (var sent in harness.Sent.SelectAsync<AttemptsCompleted>(Cancellation))
            return sent.Context.Message;
        throw new InvalidOperationException("Nothing was reported.");
    }

    private HandOut HandOut() => new(
        _bench.Delivery, _bench.Aside, _bench.Resolver, new MailBus(_services.GetRequiredService<IBus>(), TimeProvider.System), _bench.Telemetry, _bench.Time,
        new FakeLogger<HandOut>());

    private DeliverMessages Command() => new(Bench.Domain, 77, _bench.Message("one\r\n"));
}
