using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// A far end that bears little, as the policy of all silos says, with a queue of one sender's bulk before it, and single messages of another. Whatever
/// fails: it never sees more than it bears, and the single ones do not wait for the bulk.
/// </summary>
internal sealed class LimitedFarEnd(ClusterRun run)
{
    /// <summary>What it bears at once, and in a second.</summary>
    public const int Connections = 4, PerSecond = 20;

    /// <summary>Of the bulk, so many more wait there than a single one may have before it.</summary>
    private const int Backlog = 400;

    /// <summary>A batch for each connection, a second until somebody looks for senders that have come, and the turns of both.</summary>
    private const int MostBefore = 150;

    private const string Bulk = "bulk", Single = "single", Domain = "limited.example";

    private static readonly TimeSpan s_second = TimeSpan.FromSeconds(1);

    private readonly SinkServer _sink = run.AddLimitedSink(SinkScript.AcceptAll, Domain);

    /// <summary>Keeps it behind with its mail as long as things fail, or until so much has been sent.</summary>
    public async Task SendAsync(Task faults, int mostBulk)
    {
        var singles = SendSinglesAsync(faults);
        for (var sent = 0; sent < mostBulk && !faults.IsCompleted; sent += Backlog)
        {
            await run.SendAsync(Messages(Bulk, sent, Backlog), options => options with { Connections = 8 });
            await Eventually.TrueAsync(
                s_second, () => Task.FromResult(_sink.Kept >= sent || faults.IsCompleted), TimeSpan.FromMinutes(10), () => $"{_sink.Kept} of {sent} have arrived\n{run.Cluster.Describe()}",
                ClusterRun.Cancellation);
        }
        await singles;
    }

    /// <summary>Says what it saw, and fails where that was too much.</summary>
    /// <param name="stoodStill">Deliveries stood still, and their connections stayed open when others had taken over.</param>
    public void Check(IReadOnlyList<LedgerRecord> records, bool stoodStill)
    {
        var arrivals = records.OfType<Arrival>().Where(arrival => arrival.Sink == Domain).OrderBy(arrival => arrival.At).ToList();
        var mostInSecond = Enumerable.Range(0, arrivals.Count).Max(first => arrivals.Skip(first).TakeWhile(arrival => arrival.At < arrivals[first].At + s_second).Count());
        var before = BulkBeforeSingles(records, arrivals).Order().ToList();
        Assert.True(before.Count >= 10, $"only {before.Count} single messages came while the bulk of another waited");
        var most = before[before.Count * 9 / 10];
        Figures.Write(
            $"a far end that bears {Connections} connections and {PerSecond}/s saw at most {_sink.PeakConnections} and {mostInSecond} in one second, {arrivals.Count} messages in all; " +
            $"of {before.Count} single messages beside the bulk of another nine in ten had at most {most} of it before them, the median {before[before.Count / 2]}");
        Assert.InRange(_sink.PeakConnections, 1, stoodStill ? 2 * Connections : Connections);
        Assert.InRange(mostInSecond, 1, PerSecond * 11 / 10);
        Assert.True(most <= MostBefore, $"{most} of the bulk before a single one");
    }

    /// <summary>For each single message that came while much of the bulk waited, how much of that went before it.</summary>
    private static IEnumerable<int> BulkBeforeSingles(IReadOnlyList<LedgerRecord> records, List<Arrival> arrivals)
    {
        var answers = records.OfType<Answer>().Where(answer => answer.Reply == 250).ToLookup(answer => answer.Token, answer => answer.At);
        var bulk = arrivals.Where(arrival => arrival.Token.StartsWith(Bulk, StringComparison.Ordinal)).Select(arrival => arrival.At).ToList();
        var accepted = answers.Where(answer => answer.Key.StartsWith(Bulk, StringComparison.Ordinal)).Select(answer => answer.First()).ToList();
        foreach (var single in arrivals.Where(arrival => arrival.Token.StartsWith(Single, StringComparison.Ordinal)).DistinctBy(arrival => arrival.Token))
        {
            var from = answers[single.Token].First();
            if (accepted.Count(at => at < from) - bulk.Count(at => at < from) >= 2 * MostBefore)
                yield return bulk.Count(at => at > from && at < single.At);
        }
    }

    private async Task SendSinglesAsync(Task faults)
    {
        const int round = 10;
        for (var sent = 0; !faults.IsCompleted; sent += round)
            await run.SendAsync(Messages(Single, sent, round), options => options with { Connections = 2, Pace = s_second });
    }

    private List<LedgerMessage> Messages(string sender, int first, int count) => [.. Enumerable.Range(first, count).Select(i =>
        LedgerMessage.Create($"{sender}{i}", $"{sender}@{sender}.example", i, 500, new ExpectedRecipient($"{sender}{i}@{run.Domain(Domain)}")))];
}
