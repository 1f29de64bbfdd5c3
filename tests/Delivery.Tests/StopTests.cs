using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

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
        var first = await host.QueueAsync("one\r\n"u8.ToArray(), "a@example.net");
        await host.SendAsync(first);
        await server.Signal.Task;
        host.AskToStop();

        var later = await host.QueueAsync("two\r\n"u8.ToArray(), "b@example.net");
        await host.SendAsync(later);
        await host.SendAsync(await host.QueueAsync("three\r\n"u8.ToArray(), "c@example.net"), BusEndpoints.DeliverRetry);
        // Long enough for a consumer to say that it won nothing.
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, Cancellation);
        Assert.False(host.HasReported);
        answer.SetResult();

        var report = await host.NextReportAsync();
        Assert.Equal((first[0].RecipientId, AttemptOutcome.Delivered), (report.Results[0].RecipientId, report.Results[0].Outcome));
    }
}
