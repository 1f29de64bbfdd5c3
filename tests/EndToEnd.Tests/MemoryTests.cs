using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Memory follows the number of sessions, not the size of messages.</summary>
[Trait("Measures", "true")]
public sealed class MemoryTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_hundred_messages_of_6_MB_at_once_stay_under_400_MB() => SendAtOnceAsync(sizeBytes: 6_000_000);

    [Fact]
    [Trait("Soak", "true")]
    public Task A_hundred_messages_of_25_MB_at_once_stay_under_400_MB() => SendAtOnceAsync(sizeBytes: 25_000_000);

    private static async Task SendAtOnceAsync(int sizeBytes)
    {
        await using var pipeline = new Pipeline("memory");
        pipeline.AddSink("good.example");
        await pipeline.StartAsync(["ann"], Pipeline.Impatient, Cancellation);
        // One body for all, so that the test itself stays small; the token makes the difference.
        var body = LedgerBody.Generate(seed: 1, sizeBytes);
        LedgerMessage[] messages = [.. Enumerable.Range(0, 100).Select(i => new LedgerMessage(
            $"t{i}", $"ann@{Pipeline.LocalDomain}", [new ExpectedRecipient(i % 2 == 0 ? $"r{i}@good.example" : $"ann@{Pipeline.LocalDomain}")], body))];

        await pipeline.SendAsync(messages, Cancellation, o => o with { Connections = 100, ReplyTimeout = TimeSpan.FromMinutes(10) });
        await pipeline.DrainAsync(TimeSpan.FromMinutes(5), Cancellation);
        await pipeline.ReadMaildropsAsync(["ann"], Cancellation);

        var peak = pipeline.Server.Process.ReadMemoryKilobytes("VmHWM") / 1024;
        Figures.Write($"peak resident {peak} MB");
        await pipeline.AssertCleanAsync(new() { Records = await pipeline.RecordsAsync(Cancellation), Remaining = pipeline.Remaining() });
        Assert.InRange(peak, 0, 400);
    }

    /// <summary>With the log that it writes by default, and asked for its metrics.</summary>
    [Theory]
    [InlineData("good.example")]
    [InlineData(Pipeline.LocalDomain)]
    public async Task A_hundred_busy_sessions_of_2_KB_stay_under_190_MB(string domain)
    {
        await using var pipeline = new Pipeline("memory");
        pipeline.AddSink("good.example");
        await pipeline.StartAsync(["ann"], [.. Pipeline.Impatient, "--Logging:LogLevel:MailPipeline=Information"], Cancellation);
        LedgerMessage[] messages = [.. Enumerable.Range(0, 10_000).Select(i => LedgerMessage.Create(
            $"t{i}", $"ann@{Pipeline.LocalDomain}", i, 2000,
            new ExpectedRecipient(domain == Pipeline.LocalDomain ? $"ann@{domain}" : $"r{i}@{domain}")))];

        await pipeline.SendAsync(messages, Cancellation, o => o with { Connections = 100 });
        var peak = pipeline.Server.Process.ReadMemoryKilobytes("VmHWM") / 1024;
        await pipeline.DrainAsync(TimeSpan.FromMinutes(2), Cancellation);
        Assert.NotNull(await pipeline.Server.ReadMetricAsync("mailpipeline_ingress_accepted_total", Cancellation));
        var after = pipeline.Server.Process.ReadMemoryKilobytes("VmHWM") / 1024;

        Figures.Write($"to {domain}: peak resident {peak} MB while receiving, {after} MB in all");
        await pipeline.ReadMaildropsAsync(["ann"], Cancellation);
        await pipeline.AssertCleanAsync(new() { Records = await pipeline.RecordsAsync(Cancellation), Remaining = pipeline.Remaining() });
        Assert.InRange(after, 0, 190);
    }
}
