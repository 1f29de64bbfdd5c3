using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>Storage that is full or fails: never a 250 that is not true, and mail flows again when the fault ends.</summary>
public sealed class StorageFaultTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_full_disk_is_452_and_mail_flows_again_when_there_is_room()
    {
        using var disk = await SmallDisk.MountAsync(megabytes: 64, Cancellation);
        await using var pipeline = new Pipeline("full");
        var sink = pipeline.AddSink("good.example");
        await pipeline.StartAsync(
            ["ann"], [.. Pipeline.Impatient, "--Storage:ReservedFreeBytes=4000000"], Cancellation, Path.Combine(disk.FullPath, "data"));
        await pipeline.SendAsync(Messages("before", 20, 2000), Cancellation);

        // Somebody else fills the disk.
        disk.Fill();
        await pipeline.SendAsync(Messages("during", 40, 100_000), Cancellation, o => o with { Connections = 4, RetryRefused = false });
        var during = (await pipeline.Sent.ReadAsync(Cancellation)).OfType<Answer>().Where(a => a.Token.StartsWith("during", StringComparison.Ordinal)).ToList();
        Assert.Contains(during, a => a.Reply == 452);
        Assert.All(during, a => Assert.True(a.Reply is 250 or 452 or 451, $"{a.Token}: {a.Reply} {a.Text}"));
        Assert.Contains(during, a => a.Text.Contains("4.3.1", StringComparison.Ordinal)); // RFC 3463 §3.4: mail system full

        disk.Empty();
        await pipeline.SendAsync(Messages("after", 20, 100_000), Cancellation, o => o with { Connections = 4 });
        await pipeline.DrainAsync(TimeSpan.FromSeconds(60), Cancellation);
        Figures.Write($"{during.Count(a => a.Reply == 452)} of {during.Count} refused while full; {sink.Kept} delivered in all");
        await pipeline.AssertCleanAsync(new() { Records = await pipeline.RecordsAsync(Cancellation), Remaining = pipeline.Remaining() });
    }

    [Fact]
    public async Task A_disk_that_is_full_to_the_last_byte_loses_nothing()
    {
        using var disk = await SmallDisk.MountAsync(megabytes: 48, Cancellation);
        await using var pipeline = new Pipeline("full");
        pipeline.AddSink("good.example");
        await pipeline.StartAsync(
            ["ann"], [.. Pipeline.Impatient, "--Storage:ReservedFreeBytes=0"], Cancellation, Path.Combine(disk.FullPath, "data"));
        disk.Fill();
        await pipeline.SendAsync(Messages("during", 60, 30_000), Cancellation, o => o with { Connections = 8, RetryRefused = false, MaxAttempts = 3 });
        disk.Empty();

        // Whatever had no answer is asked again, now that there is room.
        var records = await pipeline.Sent.ReadAsync(Cancellation);
        var answered = records.OfType<Answer>().GroupBy(a => a.Token).Where(g => g.Last().Reply != 0).Select(g => g.Key).ToHashSet();
        var open = Messages("during", 60, 30_000).Where(m => !answered.Contains(m.Token)).ToList();
        Figures.Write($"{records.OfType<Answer>().Count(a => a.Reply is 451 or 452)} refused, {records.OfType<Answer>().Count(a => a.Reply == 250)} accepted, {open.Count} without an answer");
        Assert.Contains(records.OfType<Answer>(), a => a.Reply is 451 or 452);
        await pipeline.SendAsync(Messages("after", 20, 30_000), Cancellation, o => o with { Connections = 4 });
        await pipeline.DrainAsync(TimeSpan.FromSeconds(60), Cancellation);
        Assert.Empty(open);
        await pipeline.AssertCleanAsync(new() { Records = await pipeline.RecordsAsync(Cancellation), Remaining = pipeline.Remaining() });
    }

    [Fact]
    public async Task A_failing_fsync_is_never_a_250_and_mail_flows_again_after_it()
    {
        await using var pipeline = new Pipeline("fsync");
        pipeline.AddSink("good.example");
        await pipeline.StartAsync(["ann"], Pipeline.Impatient, Cancellation);
        await pipeline.SendAsync(Messages("before", 20, 2000), Cancellation);
        await pipeline.DrainAsync(TimeSpan.FromSeconds(30), Cancellation);

        // Whether the process lives on or ends itself after a failed sync is its own decision; a supervisor starts it again.
        await using (var fault = await FailingSync.AttachAsync(pipeline.Server.Process.Id, Cancellation))
        {
            await pipeline.SendAsync(
                Messages("during", 10, 2000), Cancellation,
                o => o with { Connections = 2, RetryRefused = false, MaxAttempts = 1, ReplyTimeout = TimeSpan.FromSeconds(10) });
            var during = (await pipeline.Sent.ReadAsync(Cancellation)).OfType<Answer>().Where(a => a.Token.StartsWith("during", StringComparison.Ordinal)).ToList();
            Figures.Write($"answers while syncs fail: {string.Join(", ", during.GroupBy(a => a.Reply).Select(g => $"{g.Count()} x {g.Key}"))}; {fault.Injected} syncs failed");
            Assert.True(fault.Injected > 0, "no sync was made to fail");
            Assert.DoesNotContain(during, a => a.Reply is >= 200 and < 300);
            Assert.All(during, a => Assert.True(a.Reply is 0 or 451 or 452 or 421, $"{a.Token}: {a.Reply} {a.Text}"));
        }
        if (pipeline.Server.Process.HasExited)
            await pipeline.Server.StartAsync(Cancellation);
        var open = (await pipeline.Sent.ReadAsync(Cancellation)).OfType<Answer>().Where(a => a is { Reply: 0, DotSent: true }).Select(a => a.Token).ToHashSet();
        await pipeline.SendAsync(Messages("after", 20, 2000), Cancellation);
        await pipeline.DrainAsync(TimeSpan.FromSeconds(60), Cancellation);
        var found = LedgerChecker.Check(new() { Records = await pipeline.RecordsAsync(Cancellation), Remaining = pipeline.Remaining() });
        // Those that never got an answer are not sent again here: anything but damage is allowed for them.
        Assert.DoesNotContain(found, v => v.Kind != ViolationKind.Unresolved || !open.Contains(v.Token));
    }

    [Fact]
    public async Task What_is_told_while_syncs_fail_still_holds_after_a_kill()
    {
        await using var pipeline = new Pipeline("fsync");
        pipeline.AddSink("good.example");
        await pipeline.StartAsync(["ann"], Pipeline.Impatient, Cancellation);
        await pipeline.SendAsync(Messages("before", 5, 2000), Cancellation);
        await pipeline.DrainAsync(TimeSpan.FromSeconds(30), Cancellation);

        // Killed while syncs fail: what the commits that failed have left in the write-ahead log is read again at the start.
        await using (var fault = await FailingSync.AttachAsync(pipeline.Server.Process.Id, Cancellation))
        {
            await pipeline.SendAsync(
                Messages("killed", 4, 2000), Cancellation,
                o => o with { Connections = 1, RetryRefused = false, MaxAttempts = 1, ReplyTimeout = TimeSpan.FromSeconds(2) });
            Assert.True(fault.Injected > 0, "no sync was made to fail");
            await pipeline.Server.Process.KillAsync();
        }
        await pipeline.Server.StartAsync(Cancellation);

        // Killed when syncs have begun to succeed again, and those who waited have heard.
        var told = Task.CompletedTask;
        await using (var fault = await FailingSync.AttachAsync(pipeline.Server.Process.Id, Cancellation))
        {
            told = pipeline.SendAsync(
                Messages("told", 4, 2000), Cancellation, o => o with { Connections = 4, RetryRefused = false, MaxAttempts = 1 });
            await Eventually.TrueAsync(() => Task.FromResult(fault.Injected > 0), TimeSpan.FromSeconds(20), cancellation: Cancellation);
        }
        await told;
        await pipeline.Server.Process.KillAsync();
        await pipeline.Server.StartAsync(Cancellation);
        await pipeline.SendAsync(Messages("after", 5, 2000), Cancellation);
        await pipeline.DrainAsync(TimeSpan.FromSeconds(60), Cancellation);

        var answers = (await pipeline.Sent.ReadAsync(Cancellation)).OfType<Answer>().ToList();
        var arrived = (await pipeline.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Select(a => a.Token).ToHashSet();
        Figures.Write(string.Join(", ", answers.GroupBy(a => (a.Token.TrimEnd("0123456789".ToCharArray()), a.Reply)).Select(g => $"{g.Key.Item1} {g.Key.Reply}: {g.Count()}, {g.Count(a => arrived.Contains(a.Token))} arrived")));
        Assert.All(answers.Where(a => a.Reply >= 400), a => Assert.DoesNotContain(a.Token, arrived));
        Assert.All(answers.Where(a => a.Reply == 250), a => Assert.Contains(a.Token, arrived));
        Assert.Contains(answers, a => a.Token.StartsWith("told", StringComparison.Ordinal) && a.Reply == 451);
    }

    private static LedgerMessage[] Messages(string name, int count, int size) =>
        [.. Enumerable.Range(0, count).Select(i => LedgerMessage.Create(
            $"{name}{i}", $"ann@{Pipeline.LocalDomain}", i, size, new ExpectedRecipient($"{name}{i}@good.example")))];
}
