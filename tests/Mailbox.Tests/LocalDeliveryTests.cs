using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using MailKit.Net.Pop3;
using MailKit.Security;
using MailPipeline.Mail;
using MailPipeline.Mailbox.Maildrops;
using MailPipeline.Mailbox.Tests.Kit;
using MailPipeline.ServiceDefaults;
using MailPipeline.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Testing;

namespace MailPipeline.Mailbox.Tests;

/// <summary>From the command on the bus to what a POP3 client reads, on SQLite and Kestrel.</summary>
public sealed class LocalDeliveryTests
{
    private static readonly byte[] Content = Encoding.UTF8.GetBytes("Subject: hello\r\n\r\n.dot\r\nÄpfel\r\n");

    [Fact]
    public async Task Who_is_told_of_deliveries_is_told_of_those_to_maildrops()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var events = host.Get<EventStore>();
        await events.RegisterAsync("hook", [EventKind.Delivered]);
        await MailPipeline.Testing.Eventually.TrueAsync(
            TimeSpan.FromMilliseconds(500),
            async () =>
            {
                // The service itself looks who is to be told.
                await host.StoreAsync(await host.QueueAsync(Content, "bob@example.net", "ann@example.org"));
                return (await events.ListNextAsync("hook", 1, default)).Count > 0;
            },
            TimeSpan.FromSeconds(30));
        var told = (await events.ListNextAsync("hook", 1, default))[0];
        Assert.Equal(("ann@example.org", EventKind.Delivered, "stored in the maildrop"), (told.Recipient, told.Kind, told.Reply));
    }

    [Fact]
    public async Task A_message_is_stored_reported_and_read_with_its_trace_header()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var recipients = await host.QueueAsync(Content, "bob@example.net", "Ann@example.org");

        var report = await host.StoreAsync(recipients);

        var result = Assert.Single(report.Results);
        Assert.Equal((recipients[0].RecipientId, AttemptOutcome.Delivered), (result.RecipientId, result.Outcome));
        var expected = (byte[])[.. "Return-Path: <bob@example.net>\r\nDelivered-To: Ann@example.org\r\n"u8, .. Content];
        using var client = await LogInAsync(host);
        Assert.Equal(expected.Length, await client.GetMessageSizeAsync(0));
        using var stream = await client.GetStreamAsync(0);
        Assert.Equal(expected, ReadAll(stream));
        await client.DeleteMessageAsync(0);
        await client.DisconnectAsync(quit: true);

        using var again = await LogInAsync(host);
        Assert.Equal(0, again.Count);
        await using var store = new SqliteConnection(host.Get<StorageOptions>().ConnectionString);
        Assert.Equal(0, (await Testing.StoreCounts.ReadAsync(store)).ChunksWithoutOwner);
    }

    [Fact]
    public async Task The_log_says_what_the_sender_wrote_where_an_alias_led_on()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var recipients = await host.QueueAsync(Content, "bob@example.net", "ann@example.org");
        await host.StoreAsync([.. recipients.Select(recipient => recipient with { Original = "list@example.org" })]);
        Assert.Single(host.TracedLines, line => line.Contains(" to=<ann@example.org> orig=<list@example.org> relay=maildrop status=delivered ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_null_sender_is_shown_as_an_empty_path()
    {
        await using var host = await MailboxHost.StartAsync();
        var ann = await host.AddAccountAsync("ann@example.org");
        await host.StoreAsync(await host.QueueAsync(Content, "", "ann@example.org"));
        Assert.StartsWith("Return-Path: <>\r\n", (await host.Maildrops.ListAsync(ann.Id, default))[0].Header, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_storage_refuses_of_a_command_is_deferred_under_its_claim_and_the_rest_is_stored()
    {
        await using var host = await MailboxHost.StartAsync();
        var ann = await host.AddAccountAsync("ann@example.org");
        var bob = await host.AddAccountAsync("bob@example.org");
        await using (var connection = new SqliteConnection(host.Get<StorageOptions>().ConnectionString))
        {
            await connection.OpenAsync(TestContext.Current.CancellationToken);
            await using var command = connection.CreateCommand();
            command.CommandText = "CREATE TRIGGER refuse BEFORE INSERT ON maildrop_messages WHEN NEW.header LIKE '%bob%' BEGIN SELECT RAISE(ABORT, 'refused'); END";
            await command.ExecuteNonQueryAsync(TestContext.Current.CancellationToken);
        }
        var recipients = await host.QueueAsync(Content, "s@example.net", "gone@example.org", "ann@example.org", "bob@example.org", "left@example.org");

        var report = await host.StoreAsync(recipients);

        Assert.Equal(
            [(AttemptOutcome.Failed, "5.1.1"), (AttemptOutcome.Delivered, "2.0.0"), (AttemptOutcome.Deferred, "4.3.0"), (AttemptOutcome.Failed, "5.1.1")],
            report.Results.Select(result => (result.Outcome, result.Status)));
        Assert.Single(await host.Maildrops.ListAsync(ann.Id, default));
        Assert.Empty(await host.Maildrops.ListAsync(bob.Id, default));
        // All that the queue has to decide about is held by the one claim, in case the report is lost.
        var taken = await host.Get<TakeBackStore>().TakeBackAsync(
            evenIfLeased: true, left => new(RecipientState.Queued, left.AcceptedAt), TimeSpan.Zero, default);
        Assert.Equal(3, taken.Unbegun);
    }

    [Fact]
    public async Task What_a_commit_in_doubt_has_stored_is_known_as_stored_one_by_one_too()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        await host.AddAccountAsync("bob@example.org");
        var recipients = await host.QueueAsync(Content, "s@example.net", "ann@example.org", "bob@example.org");
        var store = new DoubtfulStore(host.Get<ILocalStore>());
        var delivery = new LocalDelivery(store, TimeProvider.System, new FakeLogger<LocalDelivery>());

        var (_, results) = await delivery.StoreAsync(new BatchCommand(77, "example.org", recipients), DateTimeOffset.UnixEpoch, default);

        Assert.All(results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        Assert.Equal(4, store.Asked);
    }

    /// <summary>Commits the first time and does not say so, refuses the whole the second time, and goes on as storage does.</summary>
    private sealed class DoubtfulStore(ILocalStore store) : ILocalStore
    {
        public int Asked { get; private set; }

        public ValueTask<long> NextClaimIdAsync(CancellationToken cancellation) => store.NextClaimIdAsync(cancellation);

        public async Task<IReadOnlyList<AttemptResult>> StoreAsync(long claimId, BatchCommand command, bool afterDoubt, CancellationToken cancellation)
        {
            if (++Asked == 2)
                throw new StorageUnavailableException(StorageFault.Refused, "planted");
            var results = await store.StoreAsync(claimId, command, afterDoubt, cancellation);
            return Asked == 1 ? throw new StorageUnavailableException(StorageFault.OutcomeUnknown, "planted") : results;
        }

        public Task<ClaimUpdate> ClaimAsync(long claimId, BatchCommand command, Recipient recipient, CancellationToken cancellation) =>
            store.ClaimAsync(claimId, command, recipient, cancellation);
    }

    [Fact]
    public async Task A_repeated_command_changes_nothing()
    {
        await using var host = await MailboxHost.StartAsync();
        var ann = await host.AddAccountAsync("ann@example.org");
        var recipients = await host.QueueAsync(Content, "bob@example.net", "ann@example.org");
        var command = new BatchCommand(77, "example.org", recipients);

        var first = await host.SendAsync(command);
        var second = await host.SendAsync(command);

        Assert.Equal(AttemptOutcome.Delivered, first.Results[0].Outcome);
        Assert.Equal(AttemptOutcome.NotAttempted, second.Results[0].Outcome);
        Assert.Equal((77, 77), (first.BatchId, second.BatchId));
        Assert.Equal(3, new[] { 77, first.ClaimId, second.ClaimId }.Distinct().Count());
        Assert.Single(await host.Maildrops.ListAsync(ann.Id, default));
    }

    [Fact]
    public async Task A_recipient_without_account_fails_and_the_others_are_stored()
    {
        await using var host = await MailboxHost.StartAsync();
        var ann = await host.AddAccountAsync("ann@example.org");

        var report = await host.StoreAsync(await host.QueueAsync(Content, "bob@example.net", "gone@example.org", "ann@example.org"));

        Assert.Equal(
            [(AttemptOutcome.Failed, "5.1.1"), (AttemptOutcome.Delivered, "2.0.0")],
            report.Results.Select(result => (result.Outcome, result.Status)));
        Assert.Single(await host.Maildrops.ListAsync(ann.Id, default));
    }

    [Fact]
    public async Task When_storage_fails_all_are_handed_back_and_reported()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var recipients = await host.QueueAsync(Content, "bob@example.net", "ann@example.org");
        await host.Get<MailDatabase>().DisposeAsync();

        var report = await host.SendAsync(new BatchCommand(77, "example.org", recipients));

        var result = Assert.Single(report.Results);
        Assert.Equal((AttemptOutcome.NotAttempted, "4.3.0"), (result.Outcome, result.Status));
    }

    [Fact]
    public async Task Each_message_stored_is_seen_in_its_own_trace()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        var seen = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name.StartsWith("MailPipeline.", StringComparison.Ordinal),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = seen.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var recipients = await host.QueueAsync(Content, "bob@example.net", "ann@example.org");

        await host.SendAsync(new BatchCommand(77, "example.org", [.. recipients.Select(recipient => recipient with { TraceParent = $"00-{Trace}-b7ad6b7169203331-01" })]));

        var stored = Assert.Single(seen, activity => activity.OperationName == "store" && activity.TraceId.ToString() == Trace);
        Assert.Equal("b7ad6b7169203331", stored.ParentSpanId.ToString());
        Assert.Equal("delivered", stored.GetTagItem("mailpipeline.outcome"));
    }

    [Fact]
    public async Task Each_line_about_a_message_stored_carries_its_trace()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name.StartsWith("MailPipeline.", StringComparison.Ordinal),
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var recipients = new List<Recipient>();
        for (var i = 1; i <= 3; i++)
        {
            var message = await host.QueueAsync(Content, "bob@example.net", "ann@example.org");
            recipients.Add(message[0] with { TraceParent = $"00-{i:x32}-b7ad6b7169203331-01" });
        }

        await host.SendAsync(new BatchCommand(77, "example.org", [.. recipients]));

        Assert.Equal(
            recipients.Select((recipient, i) => $"{i + 1:x32} message={MessageIds.ToText(recipient.MessageId)}").Order(StringComparer.Ordinal),
            host.TracedLines.Where(line => line.Contains(" message=", StringComparison.Ordinal))
                .Select(line => string.Join(' ', line.Split(' ').Take(2))).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(StorageFault.Full, "4.3.1")]
    [InlineData(StorageFault.Unavailable, "4.3.0")]
    [InlineData(StorageFault.OutcomeUnknown, "4.3.0")]
    public void Every_storage_fault_hands_every_recipient_back(StorageFault fault, string status)
    {
        var recipients = Enumerable.Range(1, 3).Select(number => Recipient($"user{number}@example.org", number)).ToArray();
        var results = StoreFailure.HandBack(new BatchCommand(1, "example.org", recipients), fault, default, default);
        Assert.Equal([1, 2, 3], results.Select(result => result.RecipientId));
        Assert.All(results, result => Assert.Equal((AttemptOutcome.NotAttempted, status), (result.Outcome, result.Status)));
    }

    [Fact]
    public void An_address_with_a_line_end_writes_no_header_of_its_own()
    {
        var header = MaildropHeader.For(Recipient("ann@example.org\r\nX-Evil: yes", 1));
        Assert.Equal(2, header.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Length);
    }

    [Fact]
    public async Task A_big_message_comes_back_as_it_was()
    {
        await using var host = await MailboxHost.StartAsync();
        await host.AddAccountAsync("ann@example.org");
        var random = new Random(20260101);
        var content = new StringBuilder("Subject: big\r\n\r\n");
        while (content.Length < 25_000_000)
            content.Append(random.Next(8) == 0 ? "." : "").Append('x', random.Next(200)).Append("\r\n");
        var octets = Encoding.ASCII.GetBytes(content.ToString());
        await host.StoreAsync(await host.QueueAsync(octets, "bob@example.net", "ann@example.org"));

        using var client = await LogInAsync(host);
        using var stream = await client.GetStreamAsync(0);
        var got = ReadAll(stream);
        Assert.Equal(octets.Length + got.AsSpan().IndexOf("Subject:"u8), got.Length);
        Assert.True(got.AsSpan().EndsWith(octets));
    }

    private static async Task<Pop3Client> LogInAsync(MailboxHost host)
    {
        var ours = host.Get<ServerCertificate>().Current.GetCertHashString();
        var client = new Pop3Client { ServerCertificateValidationCallback = (_, shown, _, _) => shown?.GetCertHashString() == ours };
        await client.ConnectAsync("127.0.0.1", host.EndPoints[0].Port, SecureSocketOptions.StartTls);
        await client.AuthenticateAsync("ann@example.org", "secret");
        return client;
    }

    private static byte[] ReadAll(Stream stream)
    {
        var all = new MemoryStream();
        stream.CopyTo(all);
        return all.ToArray();
    }

    private static Recipient Recipient(string address, long id) =>
        new(id, address, "bob@example.net", 1, BodyType.SevenBit, 0, default, default, RecipientRoute.Local, "");
}
