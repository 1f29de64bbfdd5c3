using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Where a message was and how long: one trace over all services.</summary>
[Collection(TracedCluster.Name)]
[Trait("Cluster", "other")]
public sealed class TraceTests(TracedCluster shared)
{
    [Fact]
    public async Task The_trace_of_one_message_leads_through_all_services()
    {
        await using var run = await ClusterRun.EnterAsync(shared, "trace", "ann");
        run.AddSink(SinkScript.AcceptAll, "far.example");
        var earlier = shared.Collector.Spans.Select(span => span.TraceId).ToHashSet();
        await run.SendAsync([LedgerMessage.Create("t1", "", 1, 500, new($"r@{run.Domain("far.example")}"), new($"ann@{run.Local}"))]);
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        ReceivedSpan[] Named(string name) => [.. shared.Collector.Spans.Where(span => span.Name == name && !earlier.Contains(span.TraceId))];
        await Eventually.TrueAsync(
            () => new[] { "smtp receive", "route", "deliver", "store" }.All(name => Named(name).Length > 0),
            TimeSpan.FromSeconds(20), () => string.Join('\n', shared.Collector.Spans), ClusterRun.Cancellation);
        var receive = Assert.Single(Named("smtp receive"));
        Assert.Equal("", receive.ParentId);
        // The router that looks for messages whose hint is late may come to it beside the hint; one of them finds nothing to do.
        Assert.All(Named("route"), route => Assert.Equal((receive.TraceId, receive.SpanId), (route.TraceId, route.ParentId)));
        Assert.Equal((receive.TraceId, receive.SpanId), Assert.Single(Named("deliver")) is var deliver ? (deliver.TraceId, deliver.ParentId) : default);
        Assert.Equal((receive.TraceId, receive.SpanId), Assert.Single(Named("store")) is var store ? (store.TraceId, store.ParentId) : default);
        Assert.Equal(["delivery", "ingress", "mailbox", "queue"], shared.Collector.Spans.Where(span => span.TraceId == receive.TraceId).Select(span => span.Service).Distinct().Order());
        await run.ReadMaildropsAsync(["ann"]);
        await run.AssertCleanAsync(await run.EvidenceAsync());
    }
}
