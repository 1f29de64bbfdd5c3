using MailPipeline.Contracts;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Tests;

/// <summary>Why mail waits, as the queue itself has it and as everybody is told.</summary>
public sealed class WaitReasonTests
{
    [Fact]
    public async Task What_waits_is_counted_by_what_it_waits_for()
    {
        await using var queue = await QueueUnderTest.StartAsync(new()
        {
            ["Queue:InitialConcurrency"] = "1", ["Queue:DomainConcurrency"] = "1", ["Queue:BatchRecipients"] = "1", ["Queue:WindowRecipients"] = "2", ["Queue:RetrySteps:0"] = "01:00:00",
        });
        var busy = new TaskCompletionSource();
        queue.Worker.Until = command => command.Domain == "busy.example.net" ? busy.Task : Task.CompletedTask;
        queue.Worker.Reachable = domain => domain != "dead.example.net";
        queue.Worker.Answer = r => r.Address == "grey@example.net" ? (AttemptOutcome.Deferred, "4.7.1", "450 4.7.1 greylisted") : (AttemptOutcome.Delivered, "2.0.0", "250 Ok");
        queue.Gate.NoteConsumers(BusEndpoints.Store, 0);
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("ann@example.org", "hash");

        var many = await queue.AcceptAsync(hint: true, "sender@example.org", [.. Enumerable.Range(0, 5).Select(i => $"u{i}@busy.example.net")]);
        await queue.AcceptAsync(hint: true, "sender@example.org", "a@dead.example.net");
        await queue.AcceptAsync(hint: true, "sender@example.org", "grey@example.net");
        await queue.AcceptAsync(hint: true, "sender@example.org", "ann@example.org");
        await Until.TrueAsync(
            async () =>
            {
                await queue.Duty("measure").RoundAsync();
                return Reasons(queue) == "backsOff 1, beingTried 1, domainLimit 2, nextAttempt 1, noWorker 1, senderTurn 2";
            },
            "each waits for what keeps it");

        await queue.Operator.PauseDeliveryAsync(new("ann"));
        await Until.TrueAsync(
            async () =>
            {
                await queue.Duty("measure").RoundAsync();
                return Reasons(queue) == "beingTried 1, paused 7";
            },
            "all wait for the end of the pause");
        await queue.Operator.ResumeDeliveryAsync(new("ann"));
        busy.SetResult();
        await queue.OutcomeOfAsync(many);
    }

    [Fact]
    public async Task Whose_workers_are_away_is_known_in_storage_as_long_as_they_are()
    {
        await using var queue = await QueueUnderTest.StartAsync(new() { ["Queue:InitialConcurrency"] = "3", ["Queue:WindowRecipients"] = "70" });
        await Until.TrueAsync(
            async () => await queue.States.ReadAsync(default) is { InitialConcurrency: 3, WindowRecipients: 70, PausedSince: null, Closed: [] }, "the settings are known");
        queue.Gate.NoteConsumers(BusEndpoints.Deliver, 0);
        queue.Gate.NoteNotTaken(BusEndpoints.Store);
        await Until.TrueAsync(
            async () => (await queue.States.ReadAsync(default)).Closed is
            [
                { Endpoint: BusEndpoints.Deliver, BusRefuses: false }, { Endpoint: BusEndpoints.Store, BusRefuses: true },
            ], "both are known to be closed");
        queue.Gate.NoteConsumers(BusEndpoints.Deliver, 1);
        queue.Gate.NoteTaken();
        await Until.TrueAsync(async () => (await queue.States.ReadAsync(default)).Closed.Count == 0, "both are known to be open");
    }

    [Fact]
    public async Task No_sample_is_kept_of_little_and_one_of_much_goes_when_there_is_little()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Samples.SaveAsync([.. Enum.GetValues<WaitingBy>().Select(by => new WaitingGroups(by, DateTimeOffset.UnixEpoch, 1, 0, 0, []))]);
        await queue.Duty("measure").RoundAsync();
        await queue.Duty("count_senders").RoundAsync();
        foreach (var by in Enum.GetValues<WaitingBy>())
            Assert.Null(await queue.Samples.FindAsync(by, 1, default));
    }

    private static string Reasons(QueueUnderTest queue) => string.Join(
        ", ", WaitWords.All.Order(StringComparer.Ordinal).Select(word => (word, Count: queue.Gauge("waiting", ("reason", word)))).Where(reason => reason.Count > 0)
            .Select(reason => $"{reason.word} {reason.Count}"));
}
