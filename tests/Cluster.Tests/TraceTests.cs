using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>Where a message was and how long: one trace over all services.</summary>
[Trait("Cluster", "own")]
public sealed class TraceTests(SharedServers servers)
{
    [Fact]
    public async Task The_trace_of_one_message_leads_through_all_services()
    {
        await using var collector = new OtlpReceiver();
        await using var run = new ClusterRun(servers, "trace");
        run.AddSink(SinkScript.AcceptAll, "far.example");
        await run.StartAsync(["ann"], ClusterRun.Impatient, processes: 1, collector.Environment);
        await run.SendAsync([LedgerMessage.Create("t1", "", 1, 500, new("r@far.example"), new($"ann@{ClusterRun.LocalDomain}"))]);
        await run.DrainAsync(TimeSpan.FromSeconds(30));

        ReceivedSpan[] Named(string name) => [.. collector.Spans.Where(span => span.Name == name)];
        await Eventually.TrueAsync(
            () => new[] { "smtp receive", "route", "deliver", "store" }.All(name => Named(name).Length > 0),
            TimeSpan.FromSeconds(20), () => string.Join('\n', collector.Spans), ClusterRun.Cancellation);
        var receive = Assert.Single(Named("smtp receive"));
        Assert.Equal("", receive.ParentId);
        // The router that looks for messages whose hint is late may come to it beside the hint; one of them finds nothing to do.
        Assert.All(Named("route"), route => Assert.Equal((receive.TraceId, receive.SpanId), (route.TraceId, route.ParentId)));
        Assert.Equal((receive.TraceId, receive.SpanId), Assert.Single(Named("deliver")) is var deliver ? (deliver.TraceId, deliver.ParentId) : default);
        Assert.Equal((receive.TraceId, receive.SpanId), Assert.Single(Named("store")) is var store ? (store.TraceId, store.ParentId) : default);
        Assert.Equal(["delivery", "ingress", "mailbox", "queue"], collector.Spans.Where(span => span.TraceId == receive.TraceId).Select(span => span.Service).Distinct().Order());
    }
}
