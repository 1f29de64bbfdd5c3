using System.Diagnostics;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>A great many dead domains are an ordinary state: bounded memory, a quick start, no delay for the others.</summary>
[Trait("Measures", "true")]
public sealed class DeadDomainsTests
{
    private const int RecipientsPerDomain = 5;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task Ten_thousand_deferred_recipients_hold_up_nobody() => DeferAsync(domains: 2000);

    [Fact]
    [Trait("Soak", "true")]
    public Task Fifty_thousand_deferred_recipients_hold_up_nobody() => DeferAsync(domains: 10_000);

    private static async Task DeferAsync(int domains)
    {
        await using var silent = new SilentDnsServer();
        await using var pipeline = new Pipeline("dead");
        var healthy = pipeline.AddSink("healthy.example");
        // Every recipient is due again after a few seconds, so that the retries never end.
        await pipeline.StartAsync(
            ["ann"],
            [$"--Dns:Servers:0={silent.EndPoint}", "--Dns:Timeout=00:00:01", "--Queue:RetrySteps:0=00:00:05"],
            Cancellation);

        var started = Stopwatch.GetTimestamp();
        await pipeline.SendAsync(DeadMail(domains), Cancellation, o => o with { Connections = 20 });
        var accepted = Figures.Since(started);
        await Eventually.TrueAsync(
            () => pipeline.Count("SELECT COUNT(*) FROM unrouted") == 0, TimeSpan.FromMinutes(2), () => pipeline.Server.Process.Output, Cancellation);
        Assert.Equal(domains * RecipientsPerDomain, pipeline.Count("SELECT COUNT(*) FROM recipients WHERE state = 0"));
        var untried = await SendHealthyAsync(pipeline, healthy, "untried");
        var deferred = await Eventually.TrueAsync(
            () => pipeline.Count("SELECT COUNT(*) FROM recipients WHERE state = 0 AND attempts = 0") == 0,
            TimeSpan.FromMinutes(4), () => pipeline.Server.Process.Output, Cancellation);
        var first = await SendHealthyAsync(pipeline, healthy, "first");

        await pipeline.Server.StopAsync(TimeSpan.FromMinutes(1));
        started = Stopwatch.GetTimestamp();
        await pipeline.Server.StartAsync(Cancellation);
        var startUp = Figures.Since(started);
        var second = await SendHealthyAsync(pipeline, healthy, "second");
        // Everything is due at once after a restart: the queue is to be in the middle of it.
        var asked = silent.Questions;
        await Eventually.TrueAsync(
            () => silent.Questions > asked + (domains / 5), TimeSpan.FromMinutes(1), () => pipeline.Server.Process.Output, Cancellation);
        var third = await SendHealthyAsync(pipeline, healthy, "third");
        var peak = pipeline.Server.Process.ReadMemoryKilobytes("VmHWM") / 1024;
        var now = pipeline.Server.Process.ReadMemoryKilobytes("VmRSS") / 1024;
        Figures.Write(
            $"{domains * RecipientsPerDomain} recipients of {domains} dead domains accepted in {accepted.TotalSeconds:F1} s, all deferred {deferred.TotalSeconds:F0} s later, " +
            $"start-up {startUp.TotalSeconds:F1} s; healthy mail out after {untried.TotalSeconds:F2} s amid the first attempts, then {first.TotalSeconds:F2}, " +
            $"{second.TotalSeconds:F2} and {third.TotalSeconds:F2} s; resident {now} MB, peak {peak} MB; {silent.Questions} questions without an answer");

        // The healthy ones are recorded as delivered just after they have arrived; the dead ones are all still there.
        await Eventually.TrueAsync(
            () => pipeline.Count("SELECT COUNT(*) FROM recipients WHERE state = 0") == domains * RecipientsPerDomain,
            TimeSpan.FromSeconds(30), () => pipeline.Server.Process.Output, Cancellation);
        Assert.InRange(startUp.TotalSeconds, 0, 10);
        // Two seconds are promised, and taken is less than one; a machine that others use as well may stand still in between.
        Assert.All([untried, first, second, third], took => Assert.InRange(took.TotalSeconds, 0, 5));
        Assert.InRange(peak, 0, 400);
    }

    private static LedgerMessage[] DeadMail(int domains)
    {
        // Fifty recipients a message, each message for ten domains.
        var body = LedgerBody.Generate(seed: 1, sizeBytes: 500);
        return [.. Enumerable.Range(0, domains / 10).Select(i => new LedgerMessage(
            $"dead{i}", $"ann@{Pipeline.LocalDomain}",
            [.. Enumerable.Range(0, 10 * RecipientsPerDomain).Select(n => new ExpectedRecipient($"r{n}@d{(i * 10) + (n % 10)}.example"))], body))];
    }

    /// <summary>From the 250 here to the arrival there.</summary>
    private static async Task<TimeSpan> SendHealthyAsync(Pipeline pipeline, SinkServer healthy, string token)
    {
        var before = healthy.Kept;
        await pipeline.SendAsync([LedgerMessage.Create(token, "you@example.net", 1, 2000, new ExpectedRecipient("user@healthy.example"))], Cancellation);
        return await Eventually.TrueAsync(() => healthy.Kept > before, TimeSpan.FromMinutes(2), () => pipeline.Server.Process.Output, Cancellation);
    }
}
