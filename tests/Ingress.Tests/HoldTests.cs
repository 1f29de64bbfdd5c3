using System.Text;
using MailPipeline.Mail;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>Messages that their senders want to leave later (RFC 4865).</summary>
public sealed class HoldTests
{
    [Theory]
    [InlineData("HOLDFOR=3600")]
    [InlineData("HOLDUNTIL=2030-01-02T14:00:00+01:00")]
    public async Task It_is_kept_with_its_time_and_the_queue_is_told_of_it_when_that_has_come(string parameter)
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2030, 1, 2, 12, 0, 0, TimeSpan.Zero));
        await using var host = await IngressHost.StartAsync(time: time);
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync($"MAIL FROM:<ann@example.com> {parameter} RET=HDRS", "250 2.1.0");
        await client.SayAsync("RCPT TO:<you@example.net> NOTIFY=DELAY", "250 2.1.5");
        await client.SayAsync("DATA", "354");
        var reply = await client.SayAsync("Subject: later\r\n\r\n.", "250 2.0.0 Ok: queued as ");
        // A hint of the next message comes alone: of the one that is held there was none.
        await client.BeginAsync("ann@example.com", "carol@example.net");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        Assert.Equal("carol@example.net", Assert.Single((await host.NextHintAsync()).Recipients));

        Assert.True(MessageIds.TryParse(reply.TrimEnd()[(reply.TrimEnd().LastIndexOf(' ') + 1)..], out var id));
        var queue = host.Services.GetRequiredService<QueueStore>();
        Assert.Empty(await queue.FindUnroutedAsync([id], Deadline.Token));
        var at = time.GetUtcNow().AddHours(1);
        Assert.Equal(at, (await host.Services.GetRequiredService<MessageHistory>().FindAsync(id, Deadline.Token))!.ReleaseAt);
        time.Advance(TimeSpan.FromHours(1));
        var message = Assert.Single(await queue.FindUnroutedAsync([id], Deadline.Token));
        Assert.Equal((at, "RET=HDRS", "NOTIFY=DELAY"), (message.Timing!.Release!.At, message.Dsn!.Mail.ToString(), message.Dsn.Recipients[0].ToString()));
        Assert.Contains("Subject: later", Encoding.ASCII.GetString(await host.ContentAsync(id)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_time_that_has_passed_is_now()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        await client.SayAsync("MAIL FROM:<ann@example.com> HOLDUNTIL=2020-01-02T12:00:00Z", "250 2.1.0");
        await client.SayAsync("RCPT TO:<you@example.net>", "250 2.1.5");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n\r\n.", "250 2.0.0");
        var hint = await host.NextHintAsync();
        Assert.Equal("until;2020-01-02T12:00:00Z", hint.Timing!.Release!.Asked);
        Assert.Single(await host.Services.GetRequiredService<QueueStore>().FindUnroutedAsync([hint.MessageId], Deadline.Token));
    }

    [Fact]
    public async Task Strangers_have_nothing_held()
    {
        await using var host = await IngressHost.StartAsync();
        await using var client = await Client.ConnectAsync(host.Mx);
        Assert.DoesNotContain("FUTURERELEASE", await client.SayAsync("EHLO x", "250"), StringComparison.Ordinal);
        await client.SayAsync("MAIL FROM:<bob@example.net> HOLDFOR=60", "555 5.5.4");
    }

    [Theory]
    [InlineData("2h", "250-FUTURERELEASE 7200 ", "HOLDFOR=7201", "501 5.5.4 A message is held for 7200 seconds at most")]
    [InlineData("0", null, "HOLDFOR=60", "555 5.5.4")]
    public async Task The_bound_is_a_setting(string setting, string? line, string parameter, string reply)
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:MaxHoldTime"] = setting });
        await using var client = await Client.AuthenticatedAsync(host.Submission);
        var ehlo = await client.SayAsync("EHLO x", "250");
        Assert.Equal(line is not null, ehlo.Contains(line ?? "FUTURERELEASE", StringComparison.Ordinal));
        await client.SayAsync($"MAIL FROM:<ann@example.com> {parameter}", reply);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "250 2.1.0");
    }
}
