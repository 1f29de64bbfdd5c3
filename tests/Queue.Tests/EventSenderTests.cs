using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using MailPipeline.Mail;
using MailPipeline.Queue.Events;
using MailPipeline.Storage;
using MailPipeline.Testing;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.Metrics.Testing;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Events on their way to a page: nothing lost, in order, signed, and once more where somebody dies.</summary>
public sealed class EventSenderTests : IAsyncDisposable
{
    private const string Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    private static readonly EventKind[] s_all = Enum.GetValues<EventKind>();

    private readonly TempFolder _folder = new("events", inMemory: true);
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));
    private readonly FakeLogCollector _log = new();
    private readonly ServiceProvider _services;
    private WebhookReceiver? _page;

    public EventSenderTests() => _services = new ServiceCollection().AddLogging().AddMetrics().AddSingleton<TimeProvider>(_time)
        .AddMailStorage(new StorageOptions { ConnectionString = $"Data Source={_folder["mail.db"]}" }).AddSingleton<QueueTelemetry>().BuildServiceProvider();

    public async ValueTask DisposeAsync()
    {
        if (_page is not null)
            await _page.DisposeAsync();
        await _services.DisposeAsync();
        _folder.Dispose();
    }

    private EventStore Events => _services.GetRequiredService<EventStore>();

    private WebhookReceiver Page => _page!;

    [Fact]
    public async Task A_page_that_is_away_for_an_hour_gets_all_in_order_when_it_is_back_and_is_not_hammered_meanwhile()
    {
        var sender = await StartAsync();
        Page.Answer = WebhookReceiver.With(503);
        var messages = new List<long>();
        for (var minute = 0; minute < 60; minute++)
        {
            messages.Add((await DeliverAsync(deferredBefore: 2, "a@example.net")).MessageId);
            for (var second = 0; second < 60; second++, _time.Advance(TimeSpan.FromSeconds(1)))
                await sender.SendAsync(default);
        }

        // 1, 2, 4 ... 256, and then every 300 s.
        Assert.Equal(20, Page.Posts.Count);
        Assert.Empty(Page.Taken);
        Assert.Equal($"Events for hook are not taken, and wait: 127.0.0.1 answered 503", Assert.Single(Lines(2180)));
        Assert.NotNull(Assert.Single(await Events.ListReceiversAsync(default)).AwaySince);

        Page.Answer = WebhookReceiver.With(204);
        _time.Advance(TimeSpan.FromMinutes(5));
        Assert.True(await sender.SendAsync(default));
        Assert.False(await sender.SendAsync(default));
        Assert.Equal(
            messages.SelectMany(id => (string[])[$"{id:X}-0-1 deferred", $"{id:X}-0-2 deferred", $"{id:X}-0-3 delivered"]),
            Page.Taken.Select(one => $"{one.GetProperty("id").GetString()} {one.GetProperty("kind").GetString()}"));
        Assert.Contains("taken again, after 01:0", Assert.Single(Lines(2181)), StringComparison.Ordinal);
        Assert.Equal((null, 0L), (Assert.Single(await Events.ListReceiversAsync(default)).AwaySince, (await Events.MeasureAsync("hook", 10, default)).Waiting));
    }

    [Fact]
    public async Task The_body_says_what_became_of_the_message_field_by_field()
    {
        var sender = await StartAsync();
        var sent = await DeliverAsync(deferredBefore: 1, "a@example.net", "ann@example.org");
        await sender.SendAsync(default);
        var post = Assert.Single(Page.Posts);
        Assert.Equal(("application/json", "/events"), (post.ContentType, post.Path));
        var id = $"{sent.MessageId:X}";
        Assert.Equal(
            $$$"""
            {"type":"mail.events","timestamp":"2026-01-01T12:00:00+00:00","data":{"events":[
            {"id":"{{{id}}}-0-1","kind":"deferred","at":"2026-01-01T12:00:00+00:00","messageId":"{{{id}}}","headerId":"news.1@example.org","sender":"sender@example.org",
            "account":"ann@example.org","recipient":"a@example.net","original":"","domain":"example.net","host":"mx.example.net[192.0.2.1]:25","status":"4.2.2","reply":"452 full",
            "replyClass":"quota","attempt":1,"nextAttemptAt":"2026-01-01T12:00:00+00:00","isHeld":false,"isExpired":false,"isUncertain":false,"envelopeId":"","feedback":null},
            {"id":"{{{id}}}-0-2","kind":"delivered","at":"2026-01-01T12:00:00+00:00","messageId":"{{{id}}}","headerId":"news.1@example.org","sender":"sender@example.org",
            "account":"ann@example.org","recipient":"a@example.net","original":"","domain":"example.net","host":"mx.example.net[192.0.2.1]:25","status":"2.0.0","reply":"250 ok",
            "replyClass":"","attempt":2,"nextAttemptAt":null,"isHeld":false,"isExpired":false,"isUncertain":false,"envelopeId":"","feedback":null}]}}
            """.ReplaceLineEndings(""),
            Encoding.UTF8.GetString(post.Body));
    }

    /// <summary>The example of the convention itself.</summary>
    [Fact]
    public void A_signature_is_that_of_Standard_Webhooks() => Assert.Equal(
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
        WebhookSignature.Of(
            "msg_p5jXN8AQM9LWM0D4loKWxJek", DateTimeOffset.FromUnixTimeSeconds(1614265330), """{"test": 2432232314}"""u8,
            WebhookSecret.Read(new WebhookOptions { Secret = Secret })));

    [Fact]
    public async Task Each_post_is_signed_by_each_secret_of_the_file_of_the_moment()
    {
        var file = _folder["secret"];
        var other = Convert.ToBase64String(RandomNumberGenerator.GetBytes(32));
        await File.WriteAllTextAsync(file, $"# one\n{Secret}\n");
        var sender = await StartAsync(options =>
        {
            options.Secret = "";
            options.SecretFile = file;
        });
        await DeliverAsync(0, "a@example.net");
        await sender.SendAsync(default);
        await File.WriteAllTextAsync(file, $"{other}\n{Secret}\n");
        await DeliverAsync(0, "a@example.net");
        await sender.SendAsync(default);
        // What cannot be used changes nothing.
        await File.WriteAllTextAsync(file, "short");
        await DeliverAsync(0, "a@example.net");
        await sender.SendAsync(default);

        string[][] secrets = [[Secret[6..]], [other, Secret[6..]], [other, Secret[6..]]];
        Assert.Equal(secrets.Length, Page.Posts.Count);
        foreach (var (post, keys) in Page.Posts.Zip(secrets))
        {
            var signed = Encoding.UTF8.GetBytes($"{post.Id}.{post.Timestamp}.").Concat(post.Body).ToArray();
            Assert.Equal(keys.Select(key => $"v1,{Convert.ToBase64String(new HMACSHA256(Convert.FromBase64String(key)).ComputeHash(signed))}"), post.Signature.Split(' '));
            Assert.Equal($"{_time.GetUtcNow().ToUnixTimeSeconds()}", post.Timestamp);
        }
    }

    [Fact]
    public async Task Who_dies_between_the_post_and_its_record_has_it_sent_again_under_the_same_names()
    {
        await StartAsync();
        await DeliverAsync(1, "a@example.net");
        await DeliverAsync(0, "b@example.net");
        using var page = new WebhookDestination(Options(), _time);
        var dying = Sender(new DyingDestination(page));
        await Assert.ThrowsAsync<UnreachableException>(() => dying.SendAsync(default));
        // Another process goes on.
        await Sender(page).SendAsync(default);
        Assert.Equal(2, Page.Posts.Count);
        Assert.Equal(Page.Posts.First().Id, Page.Posts.Last().Id);
        Assert.Equal(Page.Posts.First().Body, Page.Posts.Last().Body);
        Assert.Equal(3, Page.Posts.Last().EventIds.Distinct().Count());
        Assert.Empty(await Events.ListNextAsync("hook", 10, default));
    }

    [Fact]
    public async Task Events_of_a_recipient_come_in_order_while_others_are_recorded_and_posts_fail()
    {
        var sender = await StartAsync(options => options.BatchEvents = 7);
        var random = new Random(17);
        var sequence = Enumerable.Range(0, 10_000).Select(_ => random.Next(4)).ToArray();
        Page.Answer = (number, _, context) =>
        {
            // A refusal, an answer that is lost, and two that are good.
            if (sequence[number] == 0)
                context.Response.StatusCode = 500;
            else if (sequence[number] == 1)
                context.Abort();
            return Task.CompletedTask;
        };
        var recording = Task.WhenAll(Enumerable.Range(0, 8).Select(async _ =>
        {
            for (var i = 0; i < 10; i++)
                await DeliverAsync(deferredBefore: 4, "a@example.net");
        }));
        while (!recording.IsCompleted || await sender.SendAsync(default) || (await Events.ListNextAsync("hook", 1, default)).Count > 0)
        {
            await sender.SendAsync(default);
            _time.Advance(EventSender.LongestPause);
        }

        await recording;
        // As a receiver sees them who knows what he has by its id.
        var seen = Page.Posts.SelectMany(post => post.EventIds).Distinct().GroupBy(id => id[..id.LastIndexOf('-')], id => id.Split('-')[2]).ToList();
        Assert.Equal(80, seen.Count);
        Assert.All(seen, ofRecipient => Assert.Equal(["1", "2", "3", "4", "5"], ofRecipient));
        // And none was sent before an earlier one of it was taken.
        foreach (var ofRecipient in Page.Taken.Select(one => one.GetProperty("id").GetString()!).Distinct().GroupBy(id => id[..id.LastIndexOf('-')], id => id.Split('-')[2]))
            Assert.Equal(["1", "2", "3", "4", "5"], ofRecipient);
    }

    [Theory]
    [InlineData("", "", "ann@example.org/sender@example.org bob@example.org/sender@example.org /other@example.com /")]
    [InlineData("Ann@Example.org", "", "ann@example.org/sender@example.org")]
    [InlineData("", "EXAMPLE.com", "/other@example.com")]
    [InlineData("bob@example.org", "example.com", "bob@example.org/sender@example.org /other@example.com")]
    public async Task A_receiver_is_told_of_those_accounts_and_sender_domains_that_he_asks_about(string account, string domain, string expected)
    {
        var sender = await StartAsync(options =>
        {
            if (account.Length > 0)
                options.Accounts.Add(account);
            if (domain.Length > 0)
                options.SenderDomains.Add(domain);
        });
        await DeliverAsync(0, "a@example.net", "ann@example.org");
        await DeliverAsync(0, "a@example.net", "bob@example.org");
        await DeliverAsync(0, "a@example.net", "example.com", "other@example.com");
        await DeliverAsync(0, "a@example.net", "", "");
        await sender.SendAsync(default);
        Assert.Equal(expected, string.Join(' ', Page.Taken.Select(one => $"{one.GetProperty("account").GetString()}/{one.GetProperty("sender").GetString()}")));
        Assert.Empty(await Events.ListNextAsync("hook", 10, default));
    }

    [Fact]
    public async Task Nobody_is_led_elsewhere_and_what_is_no_success_is_a_failure()
    {
        var sender = await StartAsync();
        await DeliverAsync(0, "a@example.net");
        Page.Answer = (_, _, context) =>
        {
            context.Response.Redirect("/elsewhere");
            return Task.CompletedTask;
        };
        await sender.SendAsync(default);
        Assert.Equal("/events", Assert.Single(Page.Posts).Path);
        Assert.EndsWith("answered 302", Assert.Single(await Events.ListReceiversAsync(default)).Reason, StringComparison.Ordinal);
        Assert.Single(await Events.ListNextAsync("hook", 10, default));
    }

    [Fact]
    public async Task A_certificate_that_nobody_vouches_for_gets_nothing()
    {
        await StartAsync();
        await DeliverAsync(0, "a@example.net");
        await using var sink = await TlsPage.StartAsync();
        using var page = new WebhookDestination(Options(options => (options.Url, options.AllowHttp) = ($"https://localhost:{sink.Port}/events", false)), _time);
        await Sender(page).SendAsync(default);
        Assert.Equal(0, sink.Requests);
        Assert.Contains("certificate", Assert.Single(await Events.ListReceiversAsync(default)).Reason, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_page_to_which_a_post_is_too_long_gets_shorter_ones()
    {
        var sender = await StartAsync();
        for (var i = 0; i < 10; i++)
            await DeliverAsync(0, "a@example.net");
        Page.Answer = (_, post, context) =>
        {
            context.Response.StatusCode = post.EventIds.Count > 3 ? 413 : 200;
            return Task.CompletedTask;
        };
        await sender.SendAsync(default);
        Assert.Equal(10, Page.Taken.Count);
        Assert.Empty(Lines(2180));
        // Of one that is too long by itself nothing can be made less.
        Page.Answer = WebhookReceiver.With(413);
        await DeliverAsync(0, "a@example.net");
        await sender.SendAsync(default);
        Assert.EndsWith("answered 413", Assert.Single(Lines(2180)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(4)]
    [InlineData(9)]
    public async Task An_event_that_a_page_refuses_is_given_up_and_the_others_go_on(int place)
    {
        using var counted = new MetricCollector<long>(_services.GetRequiredService<IMeterFactory>(), QueueTelemetry.MeterName, "mailpipeline.queue.events");
        var sender = await StartAsync();
        var ids = new List<string>();
        for (var i = 0; i < 10; i++, _time.Advance(TimeSpan.FromMilliseconds(1)))
            ids.Add($"{(await DeliverAsync(0, "a@example.net")).MessageId:X}-0-1");
        Page.Answer = (_, post, context) =>
        {
            context.Response.StatusCode = post.EventIds.Contains(ids[place]) ? 422 : 200;
            return Task.CompletedTask;
        };
        for (var i = 0; i < EventSender.MostRefusals; i++, _time.Advance(EventSender.LongestPause))
            await sender.SendAsync(default);
        Assert.Empty(Page.Taken);
        Assert.Equal(EventSender.MostRefusals, Page.Posts.Count);
        await sender.SendAsync(default);
        Assert.Equal(ids.Where((_, i) => i != place), Page.Taken.Select(one => one.GetProperty("id").GetString()));
        Assert.Equal($"Event {ids[place]} is given up, and hook is not told of it: he refuses it alone, and what follows goes on: 127.0.0.1 answered 422", Assert.Single(Lines(2187)));
        Assert.Equal(1, counted.GetMeasurementSnapshot().Where(one => Equals(one.Tags["outcome"], "refused")).Sum(one => one.Value));
        Assert.Empty(await Events.ListNextAsync("hook", 10, default));
    }

    [Theory]
    [InlineData(400, 1)]
    [InlineData(401, 0)]
    [InlineData(404, 0)]
    [InlineData(410, 0)]
    [InlineData(503, 0)]
    public async Task A_page_that_takes_nothing_at_all_costs_few_events_or_none(int status, int most)
    {
        var sender = await StartAsync();
        for (var i = 0; i < 3; i++)
            await DeliverAsync(0, "a@example.net");
        Page.Answer = WebhookReceiver.With(status);
        for (var i = 0; i <= EventSender.MostRefusals; i++, _time.Advance(EventSender.LongestPause))
            await sender.SendAsync(default);
        Assert.Equal(most, Lines(2187).Count());
        Assert.Equal(3 - most, (await Events.ListNextAsync("hook", 10, default)).Count);
    }

    [Fact]
    public async Task A_page_that_wants_to_be_left_alone_is()
    {
        var sender = await StartAsync();
        await DeliverAsync(0, "a@example.net");
        Page.Answer = (_, _, context) =>
        {
            context.Response.StatusCode = 429;
            context.Response.Headers.RetryAfter = "1800";
            return Task.CompletedTask;
        };
        await sender.SendAsync(default);
        _time.Advance(TimeSpan.FromSeconds(1799));
        await sender.SendAsync(default);
        Assert.Single(Page.Posts);
        _time.Advance(TimeSpan.FromSeconds(2));
        await sender.SendAsync(default);
        Assert.Equal(2, Page.Posts.Count);
    }

    [Fact]
    public async Task A_page_that_does_not_answer_is_given_up_in_time()
    {
        var sender = await StartAsync();
        await DeliverAsync(0, "a@example.net");
        var asked = new TaskCompletionSource();
        Page.Answer = async (_, _, context) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted).ContinueWith(_ => { }, TaskScheduler.Default);
        };
        var sending = sender.SendAsync(default);
        await asked.Task;
        _time.Advance(TimeSpan.FromSeconds(11));
        await sending;
        Assert.EndsWith("127.0.0.1 did not answer in time", Assert.Single(Lines(2180)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Name=", "Events:Webhooks:0:Name is ''; it must be")]
    [InlineData("Name=A b", "Events:Webhooks:0:Name is 'A b'; it must be")]
    [InlineData("Name=bus", "Events:Webhooks:0:Name is 'bus', as that of another receiver")]
    [InlineData("Url=http://hooks.example/", "Events:Webhooks:0:Url is 'http://hooks.example/...'; it must be https://HOST/PATH")]
    [InlineData("Url=https://user:pw@hooks.example/", "Events:Webhooks:0:Url is 'https://hooks.example/...'; it must be https://HOST/PATH without a user")]
    // Whoever has the address of such a page may post to it.
    [InlineData("Url=http://hooks.example:8080/T0/pw?key=pw", "Events:Webhooks:0:Url is 'http://hooks.example:8080/...'; it must be https://HOST/PATH")]
    [InlineData("Url=hooks.example/pw", "Events:Webhooks:0:Url is no URL that can be shown (16 characters); it must be")]
    [InlineData("Url=user:pw@hooks.example/", "Events:Webhooks:0:Url is no URL that can be shown (22 characters); it must be")]
    [InlineData("Url=", "Events:Webhooks:0:Url is ''; it must be")]
    [InlineData("Secret=", "Events:Webhooks:0:Secret or Events:Webhooks:0:SecretFile must be set")]
    [InlineData("Secret=c2hvcnQ=", "Events:Webhooks:0:Secret: a secret must be 24 to 64 octets in base64")]
    [InlineData("SenderDomains=a b", "Events:Webhooks:0:SenderDomains:0 is 'a b'; it must be a domain name")]
    [InlineData("Accounts=ann", "Events:Webhooks:0:Accounts:0 is 'ann'; it must be the address of an account")]
    [InlineData("BatchEvents=0", "Events:Webhooks:0:BatchEvents is 0; it must be 1 to 1000")]
    [InlineData("Timeout=2m", "Events:Webhooks:0:Timeout is 00:02:00; it must be 100 ms to 1 min")]
    [InlineData("", "")]
    public void A_setting_that_is_none_is_one_line_that_shows_no_secret(string change, string expected)
    {
        var webhook = new WebhookOptions { Name = "hook", Url = "https://hooks.example/mail", Secret = Secret };
        var (name, value) = change.Split('=', 2) is [var first, var second] ? (first, second) : ("", "");
        switch (name)
        {
            case "Name": webhook.Name = value; break;
            case "Url": webhook.Url = value; break;
            case "Secret": webhook.Secret = value; break;
            case "SenderDomains": webhook.SenderDomains.Add(value); break;
            case "Accounts": webhook.Accounts.Add(value); break;
            case "BatchEvents": webhook.BatchEvents = 0; break;
            case "Timeout": webhook.Timeout = TimeSpan.FromMinutes(2); break;
        }

        var failures = new List<string>();
        new EventOptions { Webhooks = { webhook } }.Validate(failures);
        if (expected.Length == 0)
            Assert.Empty(failures);
        else
            Assert.StartsWith(expected, Assert.Single(failures), StringComparison.Ordinal);
        Assert.DoesNotContain(failures, line => line.Contains("pw", StringComparison.Ordinal) || line.Contains("c2hv", StringComparison.Ordinal));
    }

    private IEnumerable<string> Lines(int id) => _log.GetSnapshot().Where(record => record.Id.Id == id).Select(record => record.Message);

    private WebhookOptions Options(Action<WebhookOptions>? change = null)
    {
        var options = new WebhookOptions { Name = "hook", Url = _page!.Url, AllowHttp = true, Secret = Secret };
        change?.Invoke(options);
        return options;
    }

    private async Task<EventSender> StartAsync(Action<WebhookOptions>? change = null)
    {
        await _services.GetRequiredService<MailDatabase>().OpenAsync(default);
        await Events.RegisterAsync("hook", s_all);
        await _services.GetRequiredService<EventSubscriptions>().ReadAsync(default);
        _page = await WebhookReceiver.StartAsync();
        var options = Options(change);
        return Sender(new WebhookDestination(options, _time), options);
    }

    private EventSender Sender(IEventDestination destination, WebhookOptions? options = null)
    {
        options ??= Options();
        return new EventSender(
            "hook", s_all, new EventFilter(options.Accounts, options.SenderDomains), options.BatchEvents, destination, Events,
            _services.GetRequiredService<QueueTelemetry>(), _time, new FakeLogger<EventReceivers>(_log));
    }

    /// <summary>A message whose recipient was put off so often, and then delivered to.</summary>
    private async Task<Envelope> DeliverAsync(int deferredBefore, string address, string flow = "", string sender = "sender@example.org")
    {
        var messages = _services.GetRequiredService<MessageStore>();
        var id = await messages.NextMessageIdAsync(default);
        var message = new Envelope(id, sender, [address], 1, BodyType.SevenBit, _time.GetUtcNow(), "", flow, HeaderId: "news.1@example.org");
        await using var writer = messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await messages.AcceptAsync(message, writer, default);
        var made = await _services.GetRequiredService<QueueStore>().RouteAsync([new RoutedMessage(message, [new RoutedRecipient(address, "", "example.net", RecipientRoute.Remote)])]);
        var (claims, outcomes, recipient) = (_services.GetRequiredService<ClaimStore>(), _services.GetRequiredService<OutcomeStore>(), made[0].Recipient);
        for (var attempt = 0; attempt <= deferredBefore; attempt++)
        {
            var claim = await claims.TakeAsync(0, "example.net", [recipient with { Attempts = attempt }], begun: true, default);
            var (now, isLast) = (_time.GetUtcNow(), attempt == deferredBefore);
            var result = new AttemptResult(
                recipient.RecipientId, isLast ? AttemptOutcome.Delivered : AttemptOutcome.Deferred, isLast ? "2.0.0" : "4.2.2", isLast ? "250 ok" : "452 full",
                "mx.example.net[192.0.2.1]:25", now, now) { Class = isLast ? ReplyClass.None : ReplyClass.Quota };
            if (isLast)
                await claims.RecordLastDeliveredAsync(claim.Id, [result], [recipient.RecipientId], default);
            else
                await outcomes.RecordAsync(claim.Id, "example.net", [new(result, RecipientState.Queued, now)], TimeSpan.Zero);
        }

        return message;
    }

    /// <summary>The process dies when the page has what it was sent.</summary>
    private sealed class DyingDestination(IEventDestination destination) : IEventDestination
    {
        public async Task<EventsSent> SendAsync(IReadOnlyList<WaitingEvent> events, CancellationToken cancellationToken)
        {
            Assert.Equal(events, (await destination.SendAsync(events, cancellationToken)).Taken);
            throw new UnreachableException("killed");
        }
    }
}
