using MailPipeline.Ingress.Checks;
using MailPipeline.Smtp;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Ingress.Tests;

/// <summary>The order of the checks, where more than one has something to say.</summary>
public sealed class CheckTableTests
{
    [Fact]
    public async Task Who_is_put_off_anyway_hears_that_first()
    {
        await using var host = await IngressHost.StartAsync(
            new Dictionary<string, string> { ["Ingress:MaxUnrouted"] = "1", ["Ingress:Checks:LocalSender:Policy"] = "Refuse" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "550 5.7.1");
        await client.MessageAsync("one");
        await host.NextHintAsync();
        await host.Services.GetRequiredService<Backpressure>().LookAsync(TestContext.Current.CancellationToken);
        await client.SayAsync("MAIL FROM:<ann@example.com>", "451 4.3.2");
    }

    /// <summary>A recipient that is refused holds up no message, whatever an earlier check said of him.</summary>
    [Theory]
    [InlineData(nameof(CheckStage.Sender))]
    [InlineData(nameof(CheckStage.Recipient))]
    [InlineData(nameof(CheckStage.Content))]
    public async Task What_is_refused_takes_its_notes_along(string name)
    {
        var stage = Enum.Parse<CheckStage>(name);
        await using var host = await IngressHost.StartAsync();
        var isRefused = false;
        var checks = new ListenerChecks(
            [
                Row(() => Verdict.Noting(new() { HoldReason = isRefused ? "of the refused" : "", Tags = [isRefused ? "refused" : "taken"] })),
                Row(() => isRefused ? new(Replies.C550NoSuchUser) : Verdict.GoOn),
            ],
            host.Services.GetRequiredService<IngressTelemetry>());
        var context = new CheckContext(null!, null!, isRelayClient: false);
        await checks.AskAsync(stage, context, TestContext.Current.CancellationToken);
        isRefused = true;
        // MAIL comes where no transaction is, and begins one.
        Assert.NotNull((await checks.AskAsync(stage, context, TestContext.Current.CancellationToken)).Reply);
        Assert.Equal("", context.Note?.HoldReason ?? "");
        Assert.Equal(stage == CheckStage.Sender ? [] : ["taken"], context.Note?.Tags ?? []);

        CheckRow Row(Func<Verdict> says) => new(stage, "test", ListenerKinds.All, new Saying(says));
    }

    private sealed class Saying(Func<Verdict> says) : ICheck
    {
        public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation) => new(says());
    }

    [Fact]
    public async Task The_host_s_postmaster_is_taken_before_anybody_asks_who_may_relay()
    {
        await using var host = await IngressHost.StartAsync(new Dictionary<string, string> { ["Ingress:Postmaster"] = "ann@example.com" });
        await using var client = await Client.GreetedAsync(host.Mx);
        await client.SayAsync("MAIL FROM:<bob@example.net>", "250");
        // mx.example.com is this host's name, and no domain of ours.
        await client.SayAsync("RCPT TO:<ann@mx.example.com>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<nobody@example.com>", "550 5.1.1");
        await client.SayAsync("RCPT TO:<nobody@elsewhere.example>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<ann@[192.0.2.1]>", "550 5.7.1");
        await client.SayAsync("RCPT TO:<postmaster@mx.example.com>", "250");
        await client.SayAsync("RCPT TO:<Postmaster>", "250");
        await client.SayAsync("DATA", "354");
        await client.SayAsync("x: y\r\n.", "250");
        Assert.Equal(["ann@example.com"], (await host.NextHintAsync()).Recipients);
    }
}
