using System.Diagnostics.Metrics;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>While few places are left at a listener, nobody holds one of them by trickling, and nobody who sends mail loses his.</summary>
public sealed class CrowdedTests
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [Fact]
    public async Task Commands_one_after_the_other_hold_no_place_for_ever()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"));
        var broken = host.Metric<long>("mailpipeline.ingress.sessions_broken");
        await using var client = await Client.GreetedAsync(host.Mx);
        var rounds = 0;
        do
        {
            rounds++;
            host.FakeTime!.Advance(TimeSpan.FromSeconds(20));
        }
        while (await SayAsync(client, "NOOP") is { } reply && reply.StartsWith("250", StringComparison.Ordinal));

        await host.NoSessionsAsync();
        // A hundred of them in all would be "refused".
        Assert.Equal("timed_out", Assert.Single(broken.GetMeasurementSnapshot()).Tags["reason"]);
        Assert.InRange(rounds, 15, 99);
    }

    [Fact]
    public async Task Content_that_trickles_in_holds_no_place_and_is_not_accepted()
    {
        // Only the time of the session as a whole can end it: each octet comes in time.
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"), ("Ingress:CrowdedCommandTimeout", "1h"), ("Ingress:ContentTimeout", "1h"));
        var accepted = host.Metric<long>("mailpipeline.ingress.accepted");
        var broken = host.Metric<long>("mailpipeline.ingress.sessions_broken");
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.BeginAsync();
        var octets = 0;
        await Eventually.TrueAsync(
            async () =>
            {
                octets++;
                host.FakeTime!.Advance(TimeSpan.FromSeconds(3));
                return !await TrySendAsync(client, "x") || host.Sessions == 0;
            },
            s_patience);
        await host.NoSessionsAsync();
        Assert.Equal("timed_out", Assert.Single(broken.GetMeasurementSnapshot()).Tags["reason"]);
        // An hour would be the rule for content.
        Assert.InRange(octets, 100, 1199);
        Assert.Empty(accepted.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task A_silent_stranger_is_waited_for_less_long()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"));
        await using var client = await Client.GreetedAsync(host.Mx);
        Assert.InRange(await SecondsUntilLeftAsync(host, client), 30, 299);
    }

    [Fact]
    public async Task Content_that_has_stopped_is_waited_for_less_long()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"));
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.BeginAsync();
        await client.SendAsync("x: y\r\n\r\nhalf of");
        Assert.InRange(await SecondsUntilLeftAsync(host, client), 30, 299);
    }

    [Fact]
    public async Task Who_was_idle_before_it_became_full_is_waited_for_less_long_too()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "2"));
        await using var idle = await Client.GreetedAsync(host.Mx);
        host.FakeTime!.Advance(TimeSpan.FromSeconds(40));
        await idle.SayAsync("NOOP", "250");
        host.FakeTime!.Advance(TimeSpan.FromSeconds(20));
        await using var last = await Client.ConnectAsync(host.Mx);
        Assert.InRange(await SecondsUntilLeftAsync(host, idle), 10, 279);
    }

    [Fact]
    public void Content_at_a_decent_rate_adds_the_time_it_takes_and_what_comes_fast_pays_for_nothing_to_come()
    {
        var time = new FakeTimeProvider();
        var options = new IngressOptions { CrowdedCommandTimeout = TimeSpan.FromHours(1) };
        var patience = new SessionPatience(options, time);
        for (var tenSeconds = 0; tenSeconds < 360; tenSeconds++)
        {
            time.Advance(TimeSpan.FromSeconds(10));
            // In bursts: nothing in the first ten seconds, then all that is due.
            if (tenSeconds % 2 == 1)
                patience.Received(20 * options.CrowdedRateBytes);
        }
        Assert.Equal(TimeSpan.FromMinutes(5), Left());

        patience.Received(options.MaxMessageBytes);
        Assert.Equal(TimeSpan.FromMinutes(5), Left());

        time.Advance(TimeSpan.FromMinutes(4));
        Assert.Equal(TimeSpan.FromMinutes(1), Left());
        patience.Received(60 * options.CrowdedRateBytes);
        Assert.Equal(TimeSpan.FromMinutes(2), Left());
        patience.Accepted();
        Assert.Equal(TimeSpan.FromMinutes(5), Left());

        TimeSpan Left() => time.GetElapsedTime(time.GetTimestamp(), patience.ForContent(patience.ContentEnd()).Crowded);
    }

    [Fact]
    public void What_our_own_storage_takes_is_none_of_the_client_s_time()
    {
        var time = new FakeTimeProvider();
        var options = new IngressOptions { CrowdedCommandTimeout = TimeSpan.FromHours(1) };
        var patience = new SessionPatience(options, time);
        time.Advance(TimeSpan.FromMinutes(1));
        using (patience.BeginStorageWait())
            time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal(TimeSpan.FromMinutes(4), Left());

        // What came meanwhile pays for what came slowly before, and for nothing that is to come.
        patience.Received(options.MaxMessageBytes);
        Assert.Equal(TimeSpan.FromMinutes(5), Left());

        TimeSpan Left() => time.GetElapsedTime(time.GetTimestamp(), patience.ForCommand().Crowded);
    }

    [Fact]
    public void What_DNS_takes_about_the_client_is_the_client_s_time()
    {
        var time = new FakeTimeProvider();
        var patience = new SessionPatience(new IngressOptions { CrowdedCommandTimeout = TimeSpan.FromHours(1) }, time);
        using (patience.BeginStorageWait())
        {
            time.Advance(TimeSpan.FromMinutes(20));
            using (patience.BeginElsewhereWait())
                time.Advance(TimeSpan.FromMinutes(3));
        }

        Assert.Equal(TimeSpan.FromMinutes(2), time.GetElapsedTime(time.GetTimestamp(), patience.ForCommand().Crowded));
        using (patience.BeginStorageWait())
            time.Advance(TimeSpan.FromMinutes(20));
        Assert.Equal(TimeSpan.FromMinutes(2), time.GetElapsedTime(time.GetTimestamp(), patience.ForCommand().Crowded));
    }

    /// <summary>The first message of a process takes an id, which is a commit.</summary>
    [Fact]
    public async Task Who_waited_for_our_own_storage_keeps_his_place()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"));
        await using var client = await Client.GreetedAsync(host.Mx);
        using (var commits = new MeterListener())
        {
            commits.InstrumentPublished = (instrument, listening) =>
            {
                if (instrument.Meter.Scope == host.Services.GetRequiredService<IMeterFactory>() && instrument.Name == "mailpipeline.storage.commit.duration")
                    listening.EnableMeasurementEvents(instrument);
            };
            var took = TimeSpan.FromMinutes(6);
            commits.SetMeasurementEventCallback<double>((_, _, _, _) =>
            {
                host.FakeTime!.Advance(took);
                took = TimeSpan.Zero;
            });
            commits.Start();
            await client.BeginAsync();
            Assert.Equal(TimeSpan.Zero, took);
        }

        // One second less than a wait may last, should the server come to read only behind the last line.
        for (var line = 0; line < 29; line++)
        {
            host.FakeTime!.Advance(TimeSpan.FromSeconds(1));
            await client.SendAsync("x: y\r\n");
        }
        await client.SayAsync(".", "250 2.0.0 Ok: queued as ");
    }

    [Fact]
    public async Task Who_goes_on_sending_mail_goes_on()
    {
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"), ("Ingress:CrowdedCommandTimeout", "5m"));
        await using var client = await Client.GreetedAsync(host.Mx);
        for (var message = 0; message < 5; message++)
        {
            host.FakeTime!.Advance(TimeSpan.FromSeconds(100));
            await client.MessageAsync("x: y\r\n");
        }
    }

    [Fact]
    public async Task Who_has_logged_in_has_all_his_time()
    {
        // The second user who logs in keeps the only place of strangers: it is crowded by himself.
        await using var host = await StartAsync(("Ingress:MaxSessions", "1"), ("Ingress:MaxSessionsLoggedIn", "1"));
        await using var first = await Client.AuthenticatedAsync(host.Submission);
        await using var second = await Client.AuthenticatedAsync(host.Submission);
        await using (var turnedAway = await Client.ConnectAsync(host.Submission, "421 4.7.0 Too many connections"))
            await turnedAway.ExpectEndAsync();
        for (var minute = 0; minute < 12; minute++)
        {
            host.FakeTime!.Advance(TimeSpan.FromMinutes(1));
            await second.SayAsync("NOOP", "250");
        }
    }

    private static Task<IngressHost> StartAsync(params (string Key, string Value)[] settings) =>
        IngressHost.StartAsync(settings.ToDictionary(setting => setting.Key, setting => setting.Value), new FakeTimeProvider(TimeProvider.System.GetUtcNow()));

    /// <summary>Null also where the connection was closed while the command was under way.</summary>
    private static async Task<string?> SayAsync(Client client, string command) =>
        await TrySendAsync(client, command + "\r\n") ? await client.ReplyAsync() : null;

    private static async Task<bool> TrySendAsync(Client client, string text)
    {
        try
        {
            await client.SendAsync(text);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>How many seconds a silent client is waited for.</summary>
    private static async Task<int> SecondsUntilLeftAsync(IngressHost host, Client client)
    {
        var ended = client.ExpectAsync("421 4.4.2");
        var seconds = 0;
        await Eventually.EndsAsync(
            ended,
            () =>
            {
                seconds++;
                host.FakeTime!.Advance(TimeSpan.FromSeconds(1));
            },
            TestContext.Current.CancellationToken);
        return seconds;
    }
}
