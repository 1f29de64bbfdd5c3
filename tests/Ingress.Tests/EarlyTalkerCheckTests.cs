using System.Text;
using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Who speaks before the greeting.</summary>
public sealed class EarlyTalkerCheckTests
{
    private const string Policy = """{ "EarlyTalkers": { "Wait": "10s" } }""";

    [Fact]
    public async Task Who_speaks_before_the_greeting_is_greeted_with_554()
    {
        using var policy = new WrittenPolicy(Policy);
        await using var host = await policy.StartAsync(time: new FakeTimeProvider(TimeProvider.System.GetUtcNow()));
        await using var client = await WrittenPolicy.OpenAsync(host.Mx, "203.0.113.9", "EHLO client.example.net\r\n");
        await client.ExpectAsync("554 5.5.1 You spoke before the greeting");
        await client.ExpectAsync("503 5.5.1");
        await client.SayAsync("QUIT", "221");
    }

    [Fact]
    public async Task Who_waits_is_greeted_when_the_time_is_over_and_nothing_is_lost()
    {
        using var policy = new WrittenPolicy(Policy);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var host = await policy.StartAsync(time: time);
        var started = time.GetUtcNow();
        await using var client = await WrittenPolicy.OpenAsync(host.Mx, "203.0.113.9");
        await Eventually.EndsAsync(client.ExpectAsync("220"), () => time.Advance(TimeSpan.FromSeconds(1)), TestContext.Current.CancellationToken);
        Assert.InRange(time.GetUtcNow() - started, TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(2));
        await client.SayAsync("EHLO client.example.net", "250");
        await client.MessageAsync("x: y\r\n");
    }

    [Fact]
    public async Task Its_messages_may_have_a_tag_in_the_place_of_a_refusal()
    {
        using var policy = new WrittenPolicy("""{ "EarlyTalkers": { "Wait": "10s", "Verdict": "Tag" } }""");
        await using var host = await policy.StartAsync(time: new FakeTimeProvider(TimeProvider.System.GetUtcNow()));
        await using var client = await WrittenPolicy.OpenAsync(host.Mx, "203.0.113.9", "EHLO client.example.net\r\n");
        await client.ExpectAsync("220");
        await client.ExpectAsync("250");
        await client.MessageAsync("x: y\r\n");
        var id = (await host.NextHintAsync()).MessageId;
        Assert.Equal(["early-talker"], (await host.Services.GetRequiredService<MessageHistory>().FindAsync(id, Deadline.Token))!.Tags);
        Assert.StartsWith("X-MailPipeline-Tag: early-talker\r\n", Encoding.Latin1.GetString(await host.ContentAsync(id)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Listed_and_local_clients_and_users_do_not_wait()
    {
        using var policy = new WrittenPolicy(Policy);
        await using var host = await policy.StartAsync(
            settings: new Dictionary<string, string> { ["Ingress:RelayClients:0"] = "203.0.113.9" }, time: new FakeTimeProvider(TimeProvider.System.GetUtcNow()));
        await using var listed = await WrittenPolicy.GreetedAsync(host.Mx, "203.0.113.9");
        await using var local = await WrittenPolicy.GreetedAsync(host.Mx, "127.0.0.1");
        await using var user = await WrittenPolicy.GreetedAsync(host.Submission, "203.0.113.10");
    }

    [Fact]
    public async Task A_client_that_a_proxy_names_within_the_session_is_not_listened_for()
    {
        using var policy = new WrittenPolicy(Policy);
        await using var host = await policy.StartAsync(
            settings: new Dictionary<string, string> { ["Ingress:XclientFrom:0"] = "127.0.0.1" }, time: new FakeTimeProvider(TimeProvider.System.GetUtcNow()));
        await using var client = await WrittenPolicy.GreetedAsync(host.Mx, "127.0.0.1");
        await client.SendAsync("XCLIENT ADDR=203.0.113.9\r\nEHLO client.example.net\r\n");
        await client.ExpectAsync("220");
        await client.ExpectAsync("250");
    }
}
