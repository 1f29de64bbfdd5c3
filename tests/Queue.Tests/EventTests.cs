using System.Collections.Concurrent;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Queue.Events;
using MailPipeline.ServiceDefaults;
using MassTransit;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Queue.Tests;

/// <summary>Events of a whole queue: from its settings to the pages and to the bus.</summary>
public sealed class EventTests
{
    private const string Secret = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    [Fact]
    public async Task A_page_that_hangs_keeps_no_other_waiting_and_each_gets_the_kinds_that_it_asks_for()
    {
        await using var hanging = await WebhookReceiver.StartAsync();
        await using var good = await WebhookReceiver.StartAsync();
        hanging.Answer = async (_, _, context) => await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Events:Webhooks:0:Name"] = "hanging",
            ["Events:Webhooks:0:Url"] = hanging.Url,
            ["Events:Webhooks:0:AllowHttp"] = "true",
            ["Events:Webhooks:0:Secret"] = Secret,
            ["Events:Webhooks:0:Timeout"] = "1m",
            ["Events:Webhooks:1:Name"] = "good",
            ["Events:Webhooks:1:Url"] = good.Url,
            ["Events:Webhooks:1:AllowHttp"] = "true",
            ["Events:Webhooks:1:Secret"] = Secret,
            ["Events:Webhooks:1:Kinds:0"] = "Deferred",
            ["Events:Webhooks:1:Kinds:1"] = "Bounced",
        });
        queue.Worker.Answer = recipient => recipient.Attempts == 0 ? (AttemptOutcome.Deferred, "4.2.0", "450 4.2.0 later")
            : recipient.Address.StartsWith('b') ? (AttemptOutcome.Failed, "5.1.1", "550 5.1.1 who?") : (AttemptOutcome.Delivered, "2.0.0", "250 ok");
        var message = await queue.AcceptAsync(hint: true, "", "a@example.net", "b@example.net");
        await queue.OutcomeOfAsync(message);
        await Until.TrueAsync(() => Task.FromResult(good.Taken.Count >= 3), "the other page has its events");
        Assert.Equal(
            [$"{message:X}-0-1 deferred", $"{message:X}-1-1 deferred", $"{message:X}-1-2 bounced"],
            good.Taken.Select(one => $"{one.GetProperty("id").GetString()} {one.GetProperty("kind").GetString()}").Order(StringComparer.Ordinal));
        await Until.TrueAsync(() => Task.FromResult(hanging.Posts.Count == 1), "the one that hangs was asked");
        await Until.TrueAsync(async () =>
        {
            await queue.Duty("keep_events").RoundAsync();
            return queue.Gauge("events_waiting", ("receiver", "good")) == 0;
        }, "what the other has taken is gone");
        Assert.Equal(4, queue.Gauge("events_waiting", ("receiver", "hanging")));
    }

    [Fact]
    public async Task A_silo_of_other_settings_keeps_the_receivers_of_this_one()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: store => store.ExecuteAsync(
            "INSERT INTO event_receivers (name, kinds, since, seen_at) VALUES ('other', 2, 0, CAST(unixepoch('subsec') * 1000 AS INTEGER)), ('gone', 2, 0, 0)"));
        var message = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await queue.OutcomeOfAsync(message);
        await queue.Duty("keep_events").RoundAsync();
        Assert.Equal(1, queue.Gauge("events_waiting", ("receiver", "other")));
        Assert.StartsWith("Receiver gone is named by no settings any more, and is forgotten with ", Assert.Single(queue.Lines(2183)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_bus_gets_each_event_of_a_message_after_the_one_before()
    {
        var heard = new ConcurrentQueue<MailEventRecorded>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton(heard);
        builder.Services.AddSingleton(TimeProvider.System);
        builder.AddMailBus(bus => bus.AddConsumer<EventConsumer>().Endpoint(endpoint => endpoint.Name = BusEndpoints.MailEvents));
        await using var app = builder.Build();
        var control = app.Services.GetRequiredService<IBusControl>();
        await control.StartAsync();
        try
        {
            var now = TimeProvider.System.GetUtcNow();
            WaitingEvent[] events = [.. Enumerable.Range(1, 3).Select(number => new WaitingEvent(
                65536, number, EventKind.Deferred, EventDetails.Uncertain, now, now, null, "4.2.0", "450 later", "mx", ReplyClass.Rate, "s@example.org", "1@example.org", "a@example.net", "",
                "example.net", "s@example.org", "", null))];
            var sent = await new BusDestination(app.Services.GetRequiredService<MailBus>()).SendAsync(events, default);
            Assert.Equal((3, ""), (sent.Taken.Count, sent.Fault));
            await Until.TrueAsync(() => Task.FromResult(heard.Count == 3), "all have come");
            Assert.Equal(["1-0-1 rate", "1-0-2 rate", "1-0-3 rate"], heard.Select(one => $"{one.Id} {one.ReplyClass}").Order(StringComparer.Ordinal));
        }
        finally
        {
            await control.StopAsync();
        }
    }

    private sealed class EventConsumer(ConcurrentQueue<MailEventRecorded> heard) : IConsumer<MailEventRecorded>
    {
        public Task Consume(ConsumeContext<MailEventRecorded> context)
        {
            heard.Enqueue(context.Message);
            return Task.CompletedTask;
        }
    }
}
