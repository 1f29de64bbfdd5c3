using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.ServiceDefaults;
using MassTransit;
using MassTransit.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Tests;

public sealed class BatchSenderTests
{
    private static readonly Recipient s_recipient = new(
        1, "a@example.net", "", 1, BodyType.SevenBit, 0, DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch, RecipientRoute.Remote, "");

    [Theory]
    [InlineData(RecipientRoute.Remote, false, "deliver")]
    [InlineData(RecipientRoute.Remote, true, "deliver-retry")]
    [InlineData(RecipientRoute.Local, false, "store")]
    public async Task A_batch_is_gone_from_the_broker_when_the_queue_takes_it_for_lost(RecipientRoute route, bool probe, string endpoint)
    {
        await using var services = new ServiceCollection().AddLogging().AddMassTransitTestHarness().BuildServiceProvider();
        var harness = services.GetTestHarness();
        await harness.Start();
        var options = new QueueOptions { BatchTimeout = TimeSpan.FromSeconds(7) };
        var sender = new BatchSender(
            new MailBus(services.GetRequiredService<IBus>(), TimeProvider.System), new EndpointGate(), Options.Create(options), NullLogger<BatchSender>.Instance);

        Assert.True(await sender.TrySendAsync("example.net", new Batch(1, route, [s_recipient], probe)));

        var sent = Assert.Single(harness.Sent.Select(_ => true, TestContext.Current.CancellationToken));
        Assert.Equal(options.BatchTimeout, sent.Context.TimeToLive);
        Assert.EndsWith("/" + endpoint, sent.Context.DestinationAddress!.ToString(), StringComparison.Ordinal);
    }
}
