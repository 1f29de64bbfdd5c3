using System.Text;
using System.Text.Json;
using MailPipeline.Contracts;
using MailPipeline.Mail;
using MailPipeline.Testing;
using MassTransit.Serialization;
using RabbitMQ.Client.Exceptions;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// What no service of ours ever sent: it is dropped, or ends beside the queue, once, if a service vouched for it. None of it stops a
/// process or the rest of the mail, or sends mail elsewhere.
/// </summary>
[Collection(TracedCluster.Name)]
[Trait("Cluster", "other")]
public sealed class PoisonTests(TracedCluster shared)
{
    private static readonly string[] s_endpoints = ["message-accepted", "deliver", "deliver-retry", "store", "attempts-completed"];

    private static readonly DateTimeOffset s_at = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

    private static CancellationToken Cancellation => ClusterRun.Cancellation;

    [Fact]
    public async Task Nonsense_on_the_bus_ends_beside_its_queue_and_mail_goes_on()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "poison", "ann");
        run.AddSink(SinkScript.AcceptAll, [.. Enumerable.Range(0, 10).Select(i => $"d{i}.example")]);
        var (countedBefore, refusedBefore) = (await SumAsync(run, "mailpipeline_bus_dead_lettered_total"), await SumAsync(run, "mailpipeline_bus_refused_total"));
        await run.SendAsync(Messages(run, "before"));
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        var unreadable = 0;
        var unsealed = 0;
        var key = await BusKeyAsync(run);
        await using (var tap = await BusTap.OpenAsync(run.Cluster.Connections.Rabbit))
        {
            foreach (var endpoint in s_endpoints)
            {
                foreach (var (body, contentType) in Unreadable())
                {
                    await tap.PublishSealedAsync(endpoint, body, key, contentType);
                    await tap.PublishAsync(endpoint, body, contentType);
                    unreadable++;
                    unsealed++;
                }
                // The right form with content that makes no sense, some of which is thrown at every time.
                foreach (var message in Senseless(run))
                {
                    await tap.PublishSealedAsync(endpoint, Envelope(message), key);
                    await tap.PublishAsync(endpoint, Envelope(message));
                    unsealed++;
                }
            }
        }
        await run.SendAsync(Messages(run, "after"));
        await Eventually.TrueAsync(
            async () => (await QueuesAsync(run)).Where(queue => s_endpoints.Contains(queue.Name)).All(queue => queue.Ready + queue.Unacknowledged == 0),
            TimeSpan.FromSeconds(60), () => run.Cluster.Describe(), Cancellation);
        await Eventually.TrueAsync(
            async () => (await run.Cluster.RemainingAsync(Cancellation)).All(left => left.Count == 0), TimeSpan.FromSeconds(60), () => run.Cluster.Describe(), Cancellation);
        await run.ReadMaildropsAsync(["ann"]);

        // The broker's counts of a queue are some seconds old. What lies there is what an operator is told of.
        var least = unreadable / s_endpoints.Length;
        var parked = new Dictionary<string, long>();
        var counted = 0.0;
        await Eventually.TrueAsync(
            async () =>
            {
                parked = (await QueuesAsync(run)).Where(queue => !s_endpoints.Contains(queue.Name) && queue.Ready > 0).ToDictionary(queue => queue.Name, queue => (long)queue.Ready);
                counted = await SumAsync(run, "mailpipeline_bus_dead_lettered_total") - countedBefore;
                return s_endpoints.All(endpoint => Kept(endpoint) >= least) && parked.Values.Sum() == (long)counted;
            },
            TimeSpan.FromSeconds(60), () => $"{string.Join(", ", parked)}; {counted} were counted", Cancellation);
        Assert.Equal(unsealed, await SumAsync(run, "mailpipeline_bus_refused_total") - refusedBefore);
        Figures.Write($"{unreadable} unreadable and {s_endpoints.Length * Senseless(run).Count()} senseless messages; parked: {string.Join(", ", parked)}");
        foreach (var endpoint in s_endpoints)
        {
            // Each once; a worker may report on nonsense as well.
            Assert.InRange(Kept(endpoint), least, least + (2 * Senseless(run).Count()));
        }
        Assert.All(run.Cluster.Services, service => Assert.True(service.IsRunning, $"{service.Name} ended\n{service.Output}"));
        // The queues of what went wrong are the point here; anything else must be empty.
        await using (var tap = await BusTap.OpenAsync(run.Cluster.Connections.Rabbit))
        {
            foreach (var queue in parked.Keys)
            {
                Assert.True(queue.EndsWith("_error", StringComparison.Ordinal) || queue.EndsWith("_skipped", StringComparison.Ordinal), queue);
                await tap.PurgeAsync(queue);
            }
        }
        await run.AssertCleanAsync(await run.EvidenceAsync());

        long Kept(string endpoint) => parked.GetValueOrDefault($"{endpoint}_error") + parked.GetValueOrDefault($"{endpoint}_skipped");
    }

    /// <summary>Whoever has the broker, and not the store, can send mail nowhere and end none.</summary>
    [Fact]
    public async Task What_is_forged_on_the_bus_moves_no_mail()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "forged");
        run.AddSink(SinkScript.AcceptAll, "d0.example", "d1.example");
        var thief = run.AddSink(SinkScript.AcceptAll, "thief.example");
        var stolen = run.Domain("thief.example");
        // Nobody routes what no hint names.
        Assert.True(await run.Cluster.RemoveAsync(run.Cluster.Of(ServiceKind.Queue)[0]));
        var silo = run.Cluster.Add(ServiceKind.Queue, "--Queue:UnroutedGrace=00:10:00");
        await silo.WaitUntilHealthyAsync(TimeSpan.FromSeconds(60), Cancellation);
        await run.SendAsync([.. Enumerable.Range(0, 10).Select(i => LedgerMessage.Create($"before{i}", "", i, 1000, new ExpectedRecipient($"before{i}@{run.Domain("d0.example")}")))]);
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        // Accepted, with its hint still to come, and one that waits for its next attempt.
        const long accepted = 1L << 40, waiting = 1L << 41;
        await ExecuteAsync(run, $"""
            INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
                VALUES ({accepted}, 0, '', '', 1, 0, '', 1), ({waiting}, 0, '', '', 1, 0, '', 1);
            INSERT INTO unrouted VALUES ({accepted}, 'right@quiet.example');
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
                VALUES ({RecipientIds.Of(waiting, 0)}, 'right@quiet.example', '', 'quiet.example', 0, '', 0, 0, {long.MaxValue / 2}, 77, 0);
            INSERT INTO claims (id, domain, lease_until, recipients) VALUES (77, 'quiet.example', {long.MaxValue / 2}, '{RecipientIds.Of(waiting, 0)}');
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
                VALUES ({RecipientIds.Of(waiting, 1)}, 'right@quiet.example', '', 'quiet.example', 0, '', 0, 0, {long.MaxValue / 2}, 0, 0)
            """);
        var hint = new MessageAccepted([accepted]);
        var recipient = new QueuedRecipient(
            RecipientIds.Of(waiting, 1), $"stolen@{stolen}", "", 1, 0, 0, s_at, s_at, 0, "", "", "");
        await using (var tap = await BusTap.OpenAsync(run.Cluster.Connections.Rabbit))
        {
            await tap.PublishAsync("message-accepted", Envelope(hint));
            await tap.PublishAsync("deliver", Envelope(new DeliverMessages(stolen, 78, [recipient])));
            await tap.PublishAsync("store", Envelope(new StoreMessages(stolen, 79, [recipient])));
            await tap.PublishAsync("attempts-completed", Envelope(new AttemptsCompleted(
                "quiet.example", 77, [new(RecipientIds.Of(waiting, 0), (int)AttemptOutcome.Failed, "5.1.1", "550 no", "", s_at, s_at)], Unreachable: true)));
            // Under a seal of another store, or of another endpoint.
            var (key, other) = (await BusKeyAsync(run), new byte[32]);
            foreach (var (endpoint, message) in new (string, object)[]
            {
                ("message-accepted", hint), ("deliver", new DeliverMessages(stolen, 81, [recipient])),
                ("store", new StoreMessages(stolen, 82, [recipient])),
                ("attempts-completed", new AttemptsCompleted(
                    "quiet.example", 77, [new(RecipientIds.Of(waiting, 0), (int)AttemptOutcome.Failed, "5.1.1", "550 no", "", s_at, s_at)], Unreachable: true)),
            })
            {
                await tap.PublishSealedAsync(endpoint, Envelope(message), other);
                var body = Envelope(message);
                await tap.PublishAsync(endpoint, body, BusTap.Seal("elsewhere", body, key), "application/vnd.masstransit+json");
            }
            // As services say it, and of another claim than the one that holds the recipient.
            var held = recipient with { RecipientId = RecipientIds.Of(waiting, 0), Address = "right@quiet.example" };
            await tap.PublishSealedAsync("deliver", Envelope(new DeliverMessages("quiet.example", 83, [held])), key);
            await tap.PublishSealedAsync("attempts-completed", Envelope(new AttemptsCompleted(
                "quiet.example", 83, [new(held.RecipientId, (int)AttemptOutcome.Failed, "5.1.1", "550 no", "", s_at, s_at)], Unreachable: true)), key);
            // Even who has a service's key cannot say where a message goes: that is read from storage.
            await tap.PublishSealedAsync("message-accepted", Envelope(hint), key);
        }
        // What one service is to the broker may not do what another does.
        await using (var ingress = await BusTap.OpenAsync(run.Servers.Rabbit.ConnectionStringOf("ingress", run.Cluster.Connections.VirtualHost)))
        {
            var refused = await Assert.ThrowsAnyAsync<OperationInterruptedException>(
                async () => await ingress.PublishAsync("deliver", Envelope(new DeliverMessages(stolen, 80, [recipient]))));
            Assert.Contains("ACCESS_REFUSED", refused.Message, StringComparison.Ordinal);
        }
        await Eventually.TrueAsync(
            async () => await CountAsync(run, $"SELECT COUNT(*) FROM unrouted WHERE message_id = {accepted}") == 0, TimeSpan.FromSeconds(30), () => run.Cluster.Describe(), Cancellation);
        await Eventually.TrueAsync(
            async () => (await QueuesAsync(run)).All(queue => queue.Ready + queue.Unacknowledged == 0), TimeSpan.FromSeconds(30), () => run.Cluster.Describe(), Cancellation);

        Assert.Equal(1, await CountAsync(run, $"SELECT COUNT(*) FROM recipients WHERE id = {RecipientIds.Of(accepted, 0)} AND address = 'right@quiet.example'"));
        Assert.Equal(2, await CountAsync(run, $"SELECT COUNT(*) FROM recipients WHERE id >> 16 = {waiting} AND state = 0 AND attempts = 0"));
        Assert.Equal(1, await CountAsync(run, "SELECT COUNT(*) FROM claims WHERE id = 77"));
        Assert.Equal(0, await CountAsync(run, $"SELECT COUNT(*) FROM domain_queues WHERE domain = '{stolen}' OR failures > 0 AND domain LIKE '%{run.Local[run.Local.IndexOf('.', StringComparison.Ordinal)..]}'"));
        Assert.Equal(0, thief.Connections);

        // What was put into storage here nobody will end.
        Assert.True(await run.Cluster.RemoveAsync(silo));
        await ExecuteAsync(run, $"""
            DELETE FROM recipients WHERE id >> 16 IN ({accepted}, {waiting});
            DELETE FROM messages WHERE id IN ({accepted}, {waiting});
            DELETE FROM claims WHERE domain = 'quiet.example';
            DELETE FROM domain_queues WHERE domain = 'quiet.example'
            """);
        run.Cluster.Add(ServiceKind.Queue);
        await run.WaitUntilReadyAsync();
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }

    private static async Task<double> SumAsync(ClusterRun run, string metric)
    {
        var sum = 0.0;
        foreach (var kind in Enum.GetValues<ServiceKind>())
            sum += await run.Cluster.SumMetricAsync(kind, metric, Cancellation);
        return sum;
    }

    private static Task<IReadOnlyList<BrokerQueue>> QueuesAsync(ClusterRun run) =>
        run.Servers.Rabbit.ListQueuesAsync(run.Cluster.Connections.VirtualHost, Cancellation);

    private static async Task<byte[]> BusKeyAsync(ClusterRun run) =>
        Convert.FromBase64String((await ExecuteAsync(run, "SELECT value FROM secrets WHERE name = 'bus'")).Trim());

    private static Task<string> ExecuteAsync(ClusterRun run, string sql) =>
        run.Servers.Postgres.QueryAsync(sql, run.Cluster.Connections.Database.Split("Database=")[1], Cancellation);

    private static async Task<long> CountAsync(ClusterRun run, string sql) => (await run.Cluster.CountAsync(sql, Cancellation))[0];

    private static byte[] Envelope(object message) => Envelope(
        message.GetType().Name, JsonSerializer.SerializeToElement(message, message.GetType(), SystemTextJsonMessageSerializer.Options));

    private static List<LedgerMessage> Messages(ClusterRun run, string token) => [.. Enumerable.Range(0, 100).Select(i => LedgerMessage.Create(
        $"{token}{i}", "", i, 1000, new($"{token}{i}@{run.Domain($"d{i % 10}.example")}"), new($"ann@{run.Local}")))];

    /// <summary>No message of ours can be made of these; two of them are messages of somebody else.</summary>
    private static IEnumerable<(byte[] Body, string ContentType)> Unreadable()
    {
        const string envelope = "application/vnd.masstransit+json";
        var garbage = new byte[5000];
        new Random(1).NextBytes(garbage);
        yield return ([], envelope);
        yield return (garbage, envelope);
        yield return (garbage, "application/octet-stream");
        yield return ("{"u8.ToArray(), envelope);
        yield return ("{}"u8.ToArray(), envelope);
        yield return ("[1,2,3]"u8.ToArray(), envelope);
        yield return (Encoding.UTF8.GetBytes(new string('[', 100_000)), envelope);
        yield return (Envelope("OrderPlaced", JsonSerializer.SerializeToElement(new { orderId = 1 })), envelope);
        yield return (Envelope("OrderPlaced", JsonSerializer.SerializeToElement("text")), envelope);
    }

    private static IEnumerable<object> Senseless(ClusterRun run)
    {
        var alive = run.Domain("d0.example");
        const long nobody = 1L << 40;
        var recipient = new QueuedRecipient(
            RecipientIds.Of(nobody, 1), $"nobody@{alive}", "", 1000, 0, 0, s_at, s_at, 0, "", "", "");
        yield return new MessageAccepted(null!);
        yield return new MessageAccepted([]);
        yield return new MessageAccepted([nobody, -1, long.MaxValue]);
        foreach (var domain in new[] { alive, "", null! })
        {
            foreach (var recipients in new QueuedRecipient[][] { null!, [], [null!], [recipient], [recipient, recipient], [recipient with { RecipientId = -1, Address = null!, Attempts = -1 }] })
            {
                yield return new DeliverMessages(domain, -7, recipients);
                yield return new StoreMessages(domain, long.MaxValue, recipients);
            }
            yield return new AttemptsCompleted(domain, 7, null!, Unreachable: true);
            yield return new AttemptsCompleted(domain, 7, [null!], Unreachable: false);
            yield return new AttemptsCompleted(domain, 7, [new(recipient.RecipientId, 99, null!, null!, null!, default, default)], Unreachable: false);
            yield return new AttemptsCompleted(domain, 7, [new(recipient.RecipientId, (int)AttemptOutcome.Failed, "5.1.1", "550 no", "", s_at, s_at)], Unreachable: false);
        }
    }

    private static byte[] Envelope(string type, JsonElement message) => JsonSerializer.SerializeToUtf8Bytes(new
    {
        messageId = Guid.NewGuid(),
        messageType = new[] { $"urn:message:MailPipeline.Contracts:{type}" },
        message,
    });
}
