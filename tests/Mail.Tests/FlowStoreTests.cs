namespace MailPipeline.Mail.Tests;

/// <summary>Reading a few recipients of each sender, however many another has before them.</summary>
public abstract partial class StoreTests
{
    [Fact]
    public async Task Of_each_flow_some_are_read_however_many_of_another_are_due_before()
    {
        var now = Store.Time.GetUtcNow();
        var bulk = await InsertFlowsAsync(("bulk", 5000));
        var others = await InsertFlowsAsync(("", 2), ("ann", 40), ("zoe", 1));
        // What does not wait for anybody, or not yet.
        await Store.RunAsync($"UPDATE recipients SET claim = 7 WHERE id = {bulk[1000]}");
        await Store.RunAsync($"UPDATE recipients SET next_attempt_at = {now.AddHours(1).ToUnixTimeMilliseconds()} WHERE id = {others[^2]}");

        var place = new DuePlace(DateTimeOffset.FromUnixTimeMilliseconds(1), bulk[999]);
        var (read, next, ofEach) = await Store.Flows.ListDueAsync("example.net", now, place, "", 40, "bulk", default);
        Assert.Equal(("", 10), (next, ofEach));
        Assert.Equal([.. bulk[1001..1011], .. others[..12], others[^1]], read.Select(recipient => recipient.RecipientId));
        Assert.Equal(["bulk", "", "ann", "zoe"], read.Select(recipient => recipient.Flow).Distinct());

        // Of one that is alone, and has its turn anyhow, nothing is read.
        Assert.Empty((await Store.Flows.ListDueAsync("example.net", now, new DuePlace(now, 0), "", 40, "bulk", default)).Recipients);
        Assert.Empty((await Store.Flows.ListDueAsync("example.com", now, default, "", 40, null, default)).Recipients);
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(70)]
    public async Task More_flows_than_are_read_at_once_have_their_turn_at_the_next_reading(int room)
    {
        const int Flows = FlowStore.MostFlows + 100;
        await InsertFlowsAsync([.. Enumerable.Range(0, Flows).Select(i => ($"f{i:D4}", 2))]);
        var now = Store.Time.GetUtcNow();
        var seen = new HashSet<string>();
        var from = "";
        do
        {
            (var read, from, _) = await Store.Flows.ListDueAsync("example.net", now, default, from, room, null, default);
            Assert.InRange(read.Count, 1, room);
            seen.UnionWith(read.Select(recipient => recipient.Flow));
        }
        while (from.Length > 0);
        Assert.Equal(Flows, seen.Count);
    }

    /// <summary>Due since long ago, each flow's after those of the flows before. Returns the ids.</summary>
    private async Task<List<long>> InsertFlowsAsync(params (string Flow, int Count)[] flows)
    {
        var ids = new List<long>();
        foreach (var (flow, count) in flows)
        {
            var message = await Store.AcceptAsync("x"u8.ToArray(), "a@example.net");
            ids.AddRange(Enumerable.Range(0, count).Select(i => RecipientIds.Of(message.MessageId, i)));
            var numbers = Store.Database.SingleProcess
                ? $"(WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) SELECT i FROM n) AS n" : $"generate_series(0, {count - 1}) AS n(i)";
            await Store.RunAsync(
                $"""
                INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
                SELECT {RecipientIds.Of(message.MessageId, 0)} + i, 'a@example.net', '', 'example.net', 0, '{flow}', 0, 0, 1, 0, 0 FROM {numbers}
                """);
        }
        return ids;
    }
}
