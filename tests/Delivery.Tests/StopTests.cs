using System.Collections.Concurrent;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MassTransit;

namespace MailPipeline.Delivery.Tests;

/// <summary>The whole service from the moment it is asked to stop.</summary>
public sealed class StopTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Nothing_is_taken_any_more_while_the_last_reply_is_awaited()
    {
        var answer = new TaskCompletionSource();
        await using var server = ScriptedServer.SlowToAnswer("a@example.net", answer.Task);
        await using var host = await DeliveryHost.StartAsync(new()
        {
            ["Delivery:Routes"] = $"*=127.0.0.1:{server.Port}", ["Delivery:IdleTime"] = "00:00:00", ["Delivery:Timeouts:FinalDot"] = "00:00:20",
        });
        var taken = new TakenBatches();
        host.Get<IBusControl>().ConnectReceiveObserver(taken);
        var first = await host.QueueAsync("one\r\n"u8.ToArray(), "a@example.net");
        await host.SendAsync(first);
        await server.Signal.Task;
        host.AskToStop();

        var later = await host.QueueAsync("two\r\n"u8.ToArray(), "b@example.net");
        await host.SendAsync(later);
        await host.SendAsync(await host.QueueAsync("three\r\n"u8.ToArray(), "c@example.net"), BusEndpoints.DeliverRetry);
        answer.SetResult();

        var report = await host.NextReportAsync();
        Assert.Equal((first[0].RecipientId, AttemptOutcome.Delivered), (report.Results[0].RecipientId, report.Results[0].Outcome));
        await host.StopAsync();
        Assert.Equal([BusEndpoints.Deliver], taken.Endpoints);
    }

    /// <summary>Sees what the bus gives to the endpoints of batches.</summary>
    private sealed class TakenBatches : IReceiveObserver
    {
        private readonly ConcurrentQueue<string> _endpoints = [];

        public IEnumerable<string> Endpoints => _endpoints;

        public Task PreReceive(ReceiveContext context)
        {
            if (context.InputAddress.Segments[^1] is BusEndpoints.Deliver or BusEndpoints.DeliverRetry)
                _endpoints.Enqueue(context.InputAddress.Segments[^1]);
            return Task.CompletedTask;
        }

        public Task PostReceive(ReceiveContext context) => Task.CompletedTask;

        public Task PostConsume<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType)
            where T : class => Task.CompletedTask;

        public Task ConsumeFault<T>(ConsumeContext<T> context, TimeSpan duration, string consumerType, Exception exception)
            where T : class => Task.CompletedTask;

        public Task ReceiveFault(ReceiveContext context, Exception exception) => Task.CompletedTask;
    }
}
