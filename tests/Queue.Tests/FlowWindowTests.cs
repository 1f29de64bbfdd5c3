using MailPipeline.Testing;

namespace MailPipeline.Queue.Tests;

/// <summary>Senders take turns also where one of them has more mail for a domain than is in memory.</summary>
public sealed class FlowWindowTests
{
    private const int Bulk = 50_000;
    private const int Few = 10;

    [Fact]
    public async Task Who_sends_little_is_not_behind_what_another_has_in_storage()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: async queue =>
        {
            await InsertAsync(queue, firstMessage: 1_000_000, Bulk, "bulk@example.org");
            await InsertAsync(queue, firstMessage: 2_000_000, Few, "ann@example.com");
            await queue.ExecuteAsync("INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ('example.net', 1, 0, 0, '')");
        });
        // Nobody is delivered: what has been handed out is all there is to see.
        queue.Worker.Until = _ => queue.Worker.Leaving;

        await Until.TrueAsync(() => Task.FromResult(queue.Worker.AttemptsAt("example.net") >= 200), "the first batches are out");
        queue.Worker.Leave();
        Assert.Equal(Few, queue.Worker.Commands.SelectMany(command => command.Recipients).Take(200).Count(recipient => recipient.Flow == "ann@example.com"));
    }

    /// <summary>Both have more than there is room for, and one all of his before the other.</summary>
    [Fact]
    public async Task Senders_share_by_weight_though_storage_has_all_of_one_before_the_other()
    {
        const int Sent = 1_000;
        using var policy = new TempFolder("policy");
        await using var queue = await QueueUnderTest.StartAsync(
            new()
            {
                ["Queue:PolicyFile"] = policy.Write("policy.json", """{ "Senders": [ { "From": "bob.example.com", "Weight": 3 }, { "From": "*", "Weight": 1 } ] }"""),
                ["Queue:InitialConcurrency"] = "2", ["Queue:DomainConcurrency"] = "2", ["Queue:BatchTimeout"] = "00:00:15",
            },
            before: async queue =>
            {
                await InsertAsync(queue, firstMessage: 1_000_000, 6_000, "ann.example.org");
                await InsertAsync(queue, firstMessage: 2_000_000, 6_000, "bob.example.com");
                await queue.ExecuteAsync("INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) VALUES ('example.net', 1, 0, 0, '')");
            });
        queue.Worker.Until = _ => queue.Worker.AttemptsAt("example.net") >= Sent ? queue.Worker.Leaving : Task.CompletedTask;
        await Until.TrueAsync(() => Task.FromResult(queue.Worker.AttemptsAt("example.net") >= Sent), "ten batches are out");
        queue.Worker.Leave();
        var ofAnn = queue.Worker.Commands.SelectMany(command => command.Recipients).Take(Sent).Count(recipient => recipient.Flow == "ann.example.org");
        Assert.InRange(ofAnn, Sent / 4 * 0.95, Sent / 4 * 1.05);
    }

    private static async Task InsertAsync(QueueUnderTest queue, int firstMessage, int count, string flow)
    {
        var numbers = $"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) SELECT i FROM n)";
        await queue.ExecuteAsync(
            $"""
            INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
            SELECT {firstMessage} + i, CAST(unixepoch('subsec') * 1000 AS INTEGER), '{flow}', '{flow}', 1, 0, '', 1 FROM {numbers};
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
            SELECT ({firstMessage} + i) << 16, 'a@example.net', '', 'example.net', 0, '{flow}', 0, 0, {firstMessage} + i, 0, 0 FROM {numbers}
            """);
    }
}
