using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Failures until their senders are told of them.</summary>
public abstract partial class StoreTests
{
    private static readonly TimeSpan s_reportDelay = TimeSpan.FromHours(1);

    [Fact]
    public async Task A_failure_keeps_the_bytes_until_it_is_reported_and_is_reported_once()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        var first = await FailAsync(7, recipients[0]);
        Assert.Equal([recipients[0].MessageId], first.Reportable);
        // The decision again changes nothing.
        Assert.Empty((await FailAsync(7, recipients[0])).Reportable);
        Assert.Equal("x"u8.ToArray(), await Store.ReadAsync(recipients[0].MessageId));

        var reports = await ReportAsync(recipients[0].MessageId);
        Assert.Equal(["a@example.net"], Assert.Single(reports).Addresses);
        Assert.Empty(await ReportAsync(recipients[0].MessageId));
        Assert.Equal("dsn"u8.ToArray(), await Store.ReadAsync(reports[0].Message.MessageId));
        Assert.Empty(await Store.ReadAsync(recipients[0].MessageId));
        Assert.Equal(reports[0].Message.MessageId, Assert.Single(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default)).MessageId);
        Assert.Equal(0, (await Store.CountAsync()).ChunksWithoutOwner);
    }

    [Fact]
    public async Task A_report_says_what_was_known_when_it_failed()
    {
        var message = await Store.AcceptAsync("x"u8.ToArray(), "list@example.org");
        var recipient = (await Store.Queue.RouteAsync([new RoutedMessage(message, [new("a@example.net", "list@example.org", "example.net", RecipientRoute.Remote)])]))[0].Recipient;
        await Store.Claims.TakeAsync(7, "example.net", [recipient], begun: true, default);
        var result = Store.Result(recipient, AttemptOutcome.Uncertain, "4.4.2", "lost \U0001F4E7");
        await Store.Outcomes.RecordAsync(7, "example.net", [new(result, RecipientState.Expired, default, WasTried: false)], s_reportDelay);

        UnreportedFailure? failure = null;
        var (report, failures, _) = await Store.Unreported.ReportAsync(
            message.MessageId, 10, taken => Dsn(RecipientIds.MessageId((failure = Assert.Single(taken)).Result.RecipientId) + 1000), default);
        Assert.Equal(new UnreportedFailure("a@example.net", "list@example.org", RecipientState.Expired, WasTried: false, result), failure);
        Assert.Equal(1, failures);
        Assert.NotNull(report);
        Assert.Equal(
            new ReportedMessage(message.MessageId, "sender@example.org", message.AcceptedAt, "", 1, MailDsn.None),
            await Store.Unreported.FindMessageAsync(message.MessageId, default));
    }

    [Fact]
    public async Task Failures_of_one_message_share_a_report_whatever_their_domains_and_claims()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.com", "c@example.net", "d@example.com");
        var other = await Store.QueueAsync("y"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        Assert.Empty((await FailAsync(7, recipients[0])).Reportable);
        Assert.Empty((await FailAsync(8, recipients[1])).Reportable);
        await FailAsync(9, other[0]);
        Assert.Empty(await Store.Unreported.ListDueAsync(DueFailure.Start, 10, default));
        await Store.Claims.TakeAsync(10, "example.net", [recipients[2]], begun: true, default);
        await Store.Claims.RecordDeliveredAsync(10, [Store.Result(recipients[2], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        // The last one ends: there is nothing to wait for.
        Assert.Equal([recipients[0].MessageId], (await FailAsync(11, recipients[3])).Reportable);

        Assert.Equal(["a@example.net", "b@example.com", "d@example.com"], Assert.Single(await ReportAsync(recipients[0].MessageId)).Addresses);
        Assert.Equal(["a@example.net"], Assert.Single(await ReportAsync(other[0].MessageId)).Addresses);
        Assert.Equal(0, (await Store.CountAsync()).Unreported);
    }

    [Fact]
    public async Task What_is_held_may_still_fail_and_is_waited_for()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.RunAsync($"UPDATE recipients SET state = 5 WHERE id = {recipients[1].RecipientId}");
        Assert.Empty((await FailAsync(7, recipients[0])).Reportable);
    }

    [Fact]
    public async Task Failures_are_due_by_the_clock_of_the_store_and_listed_in_pages()
    {
        // The clock of the test's process stands still, elsewhere: what is due does not depend on it.
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net", "d@example.net");
        for (var i = 0; i < 3; i++)
            await FailAsync(7 + i, recipients[i], TimeSpan.Zero);
        await FailAsync(10, recipients[3]);

        var page = await Store.Unreported.ListDueAsync(DueFailure.Start, 2, default);
        var rest = await Store.Unreported.ListDueAsync(page[^1], 2, default);
        Assert.Equal(recipients.Take(3).Select(recipient => recipient.RecipientId), page.Concat(rest).Select(due => due.RecipientId).Order());
        Assert.All(page, due => Assert.Equal(recipients[0].MessageId, due.MessageId));
        // What is not due goes along all the same.
        Assert.Equal(4, Assert.Single(await ReportAsync(recipients[0].MessageId)).Addresses.Count);
    }

    [Fact]
    public async Task Nobody_is_told_of_what_the_null_sender_sent()
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(id, "", ["a@example.net"], 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "");
        await using (var writer = Store.Messages.CreateContent(id))
        {
            await writer.AppendAsync("x"u8.ToArray(), default);
            await Store.Messages.AcceptAsync(message, writer, default);
        }
        var recipient = (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]))[0].Recipient;

        Assert.Empty((await FailAsync(7, recipient)).Reportable);
        Assert.Empty(await ReportAsync(id));
        Assert.Empty(await Store.ReadAsync(id));
    }

    [Fact]
    public async Task Very_many_failures_are_reported_in_parts_and_a_large_report_in_chunks()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, 250).Select(i => $"r{i}@example.net")]);
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: true, default);
        var recorded = await Store.Outcomes.RecordAsync(
            7, "example.net", [.. recipients.Select(r => new RecipientDecision(Store.Result(r, AttemptOutcome.Failed, "5.1.1", "550 no"), RecipientState.Bounced, default))], s_reportDelay);
        // Nobody looks through so many recipients with each failure: the time decides.
        Assert.Empty(recorded.Reportable);

        var large = new byte[Store.Options.ChunkBytes + 1];
        var reports = await ReportAsync(recipients[0].MessageId, large);
        Assert.Equal([100, 100, 50], reports.Select(report => report.Addresses.Count));
        Assert.Equal(recipients.Select(recipient => recipient.Address), reports.SelectMany(report => report.Addresses));
        Assert.Equal(large, await Store.ReadAsync(reports[0].Message.MessageId));
        Assert.Empty(await Store.ReadAsync(recipients[0].MessageId));
    }

    /// <summary>Two reporters, and failures that come while they are at it: each failure is in one report.</summary>
    [Fact]
    public async Task Reporters_that_meet_report_each_failure_once()
    {
        const int Recipients = 60;
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, [.. Enumerable.Range(0, Recipients).Select(i => $"r@d{i}.example")]);
        var message = recipients[0].MessageId;
        await using var other = new MailDatabase(Store.Options, new NoMeters(), Store.Time, Microsoft.Extensions.Logging.Abstractions.NullLogger<MailDatabase>.Instance);
        if (!Store.Database.SingleProcess)
            await other.OpenAsync(default);
        var second = Store.Database.SingleProcess ? Store.Unreported : new UnreportedStore(other);
        var reported = new System.Collections.Concurrent.ConcurrentBag<string>();
        using var done = new CancellationTokenSource();
        async Task ReportAllAsync(UnreportedStore store)
        {
            while (!done.IsCancellationRequested)
                reported.Add(string.Join(' ', (await ReportAsync(message, store: store)).SelectMany(report => report.Addresses)));
        }
        var reporters = Task.WhenAll(Task.Run(() => ReportAllAsync(Store.Unreported)), Task.Run(() => ReportAllAsync(second)));
        // One after the other: each is a prize of its own for the two.
        for (var i = 0; i < Recipients; i++)
            await FailAsync(100 + i, recipients[i]);
        await done.CancelAsync();
        await reporters;
        reported.Add(string.Join(' ', (await ReportAsync(message)).SelectMany(report => report.Addresses)));

        Assert.Equal(
            recipients.Select(recipient => recipient.Address).Order(),
            reported.SelectMany(addresses => addresses.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Order());
        Assert.Empty(await Store.ReadAsync(message));
    }

    /// <summary>A report of a thousand failures takes long to make; all other writes go on.</summary>
    [Fact]
    public async Task While_a_report_is_composed_other_work_is_committed()
    {
        var recipient = (await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net"))[0];
        await FailAsync(7, recipient);
        var id = await Store.Messages.NextMessageIdAsync(default);
        var composing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var goOn = new ManualResetEventSlim();
        var reporting = Store.Unreported.ReportAsync(
            recipient.MessageId, 100,
            _ =>
            {
                composing.SetResult();
                goOn.Wait();
                return Dsn(id);
            },
            default);
        try
        {
            await composing.Task;
            await Store.Queue.CommitNothingAsync(default).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
        finally
        {
            goOn.Set();
        }
        Assert.Equal(1, (await reporting).Recipients);
        Assert.Equal("dsn"u8.ToArray(), await Store.ReadAsync(id));
    }

    /// <summary>What another reporter took while this one composed is not said twice, and the rest is said.</summary>
    [Theory]
    [InlineData(1, "a@example.net b@example.net", "b@example.net")]
    [InlineData(2, "a@example.net b@example.net")]
    public async Task A_report_about_what_is_reported_already_is_composed_anew_or_not_made(int takenMeanwhile, params string[] composed)
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await FailAsync(7, recipients[0]);
        await FailAsync(8, recipients[1]);
        var message = recipients[0].MessageId;
        var (id, other) = (await Store.Messages.NextMessageIdAsync(default), await Store.Messages.NextMessageIdAsync(default));
        var asked = new List<string>();
        var composing = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        using var goOn = new ManualResetEventSlim();
        var reporting = Store.Unreported.ReportAsync(
            message, 100,
            failures =>
            {
                asked.Add(string.Join(' ', failures.Select(failure => failure.Address)));
                composing.TrySetResult();
                goOn.Wait();
                return Dsn(id);
            },
            default);
        try
        {
            await composing.Task;
            var taken = Store.Unreported.ReportAsync(message, takenMeanwhile, _ => Dsn(other), default);
            Assert.Equal(takenMeanwhile, (await taken.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Recipients);
        }
        finally
        {
            goOn.Set();
        }

        Assert.Equal(2 - takenMeanwhile, (await reporting).Recipients);
        Assert.Equal(composed, asked);
        // No report was accepted that names nobody, and the message's bytes are held by nobody.
        Assert.Equal(composed.Length, (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default)).Count);
        Assert.Empty(await Store.ReadAsync(message));
    }

    /// <summary>Two reporters of one process, which both find all failures in the transaction that they share.</summary>
    [Fact]
    public async Task Two_reports_in_one_transaction_take_each_failure_once()
    {
        var isShared = false;
        using var commits = Store.ListenToCommits(callers => isShared |= callers > 1);
        for (var round = 0; round < 20 && !isShared; round++)
        {
            var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
            await FailAsync(100 + (2 * round), recipients[0]);
            await FailAsync(101 + (2 * round), recipients[1]);
            var message = recipients[0].MessageId;
            long[] ids = [await Store.Messages.NextMessageIdAsync(default), await Store.Messages.NextMessageIdAsync(default)];
            var waiting = (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 100, default)).Count;
            var composed = ids.Select(_ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).ToArray();
            Task<ReportEnd>[] reporting;
            using (Store.KeepWriterBusy())
            {
                reporting = [.. ids.Zip(composed, (id, done) => Store.Unreported.ReportAsync(
                    message, 100,
                    _ =>
                    {
                        done.SetResult();
                        return Dsn(id);
                    },
                    default))];
                await Task.WhenAll(composed.Select(done => done.Task));
                // A moment later both are with the writer; where one is not, another round shows it.
                await Store.Unreported.ListDueAsync(DueFailure.Start, 10, default);
            }

            Assert.Equal([0, 2], (await Task.WhenAll(reporting)).Select(report => report.Recipients).Order());
            Assert.Equal(waiting + 1, (await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 100, default)).Count);
            Assert.Empty(await Store.ReadAsync(message));
        }
        Assert.True(isShared, "The reports never shared a transaction.");
    }

    private async Task<RecordedOutcomes> FailAsync(long claimId, Recipient recipient, TimeSpan? delay = null)
    {
        var domain = recipient.Address[(recipient.Address.LastIndexOf('@') + 1)..];
        await Store.Claims.TakeAsync(claimId, domain, [recipient], begun: true, default);
        return await Store.Outcomes.RecordAsync(
            claimId, domain, [new(Store.Result(recipient, AttemptOutcome.Failed, "5.1.1", "550 no such user"), RecipientState.Bounced, default)],
            delay ?? s_reportDelay);
    }

    /// <summary>Reports of up to a hundred failures until there is nothing to report.</summary>
    private async Task<List<(Envelope Message, IReadOnlyList<string> Addresses)>> ReportAsync(
        long messageId, byte[]? content = null, UnreportedStore? store = null)
    {
        var reports = new List<(Envelope, IReadOnlyList<string>)>();
        while (true)
        {
            var id = await Store.Messages.NextMessageIdAsync(default);
            IReadOnlyList<string> addresses = [];
            var (report, failures, _) = await (store ?? Store.Unreported).ReportAsync(
                messageId, 100,
                taken =>
                {
                    addresses = [.. taken.Select(failure => failure.Address)];
                    return Dsn(id, content);
                },
                default);
            if (report is null)
                return reports;
            Assert.Equal(addresses.Count, failures);
            reports.Add((report, addresses));
        }
    }

    private ComposedMessage Dsn(long id, byte[]? content = null) => new(
        new Envelope(id, "", ["sender@example.org"], 3, BodyType.SevenBit, Store.Time.GetUtcNow(), ""), content ?? "dsn"u8.ToArray());
}
