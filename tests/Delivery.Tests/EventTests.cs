using MailPipeline.Mail;
using MailPipeline.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>What Delivery records is told to whoever storage names, though its settings name nobody.</summary>
public sealed class EventTests
{
    [Fact]
    public async Task Who_is_told_of_deliveries_is_told_of_those_to_other_systems()
    {
        using var folder = new TempFolder("sink");
        await using var ledger = new LedgerFile(folder["ledger"]);
        await using var sink = new SinkServer("sink", SinkScript.AcceptAll, ledger);
        await using var host = await DeliveryHost.StartAsync(new() { ["Delivery:Routes:example.net"] = $"{sink.EndPoint}" });
        var events = host.Get<EventStore>();
        await events.RegisterAsync("hook", [EventKind.Delivered]);
        await Eventually.TrueAsync(
            TimeSpan.FromMilliseconds(500),
            async () =>
            {
                // The service itself looks who is to be told.
                await host.DeliverAsync(await host.QueueAsync("Subject: a\r\n\r\n"u8.ToArray(), "a@example.net"));
                return (await events.ListNextAsync("hook", 1, default)).Count > 0;
            },
            TimeSpan.FromSeconds(30));
        var told = (await events.ListNextAsync("hook", 1, default))[0];
        Assert.Equal(("a@example.net", EventKind.Delivered, "sender@example.com"), (told.Recipient, told.Kind, told.Sender));
    }
}
