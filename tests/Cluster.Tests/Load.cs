using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>The load of the fault tests: many domains of every temper, and maildrops of ours.</summary>
internal static class Load
{
    public static readonly string[] Accounts = ["u0", "u1", "sender"];

    private const string Senders = "senders.example";

    /// <summary>Domain n has the temper n modulo their number; the domains of one temper share a far end.</summary>
    public static void AddFarEnds(ClusterRun run, int domains)
    {
        for (var i = 0; i < FarEnd.All.Count; i++)
            run.AddSink(FarEnd.All[i].Script, [.. Enumerable.Range(0, domains).Where(n => n % FarEnd.All.Count == i).Select(Domain)]);
        run.AddSink(SinkScript.AcceptAll, Senders);
    }

    /// <summary>
    /// A quarter of the recipients is ours; one message in ten has three recipients. Of every third the sender says what he wants to be told of
    /// him, and of every third message what of it is to come back.
    /// </summary>
    public static List<LedgerMessage> Compose(ClusterRun run, int seed, int first, int messages, int domains)
    {
        var random = new Random(seed + first);
        return [.. Enumerable.Range(first, messages).Select(i =>
        {
            var recipients = Enumerable.Range(0, random.Next(10) == 0 ? 3 : 1).Select(n => Recipient(i, n)).DistinctBy(r => r.Address).ToArray();
            var sender = random.Next(20) switch
            {
                0 => "",
                < 10 => $"sender@{run.Local}",
                _ => $"s{i}@{run.Domain(Senders)}",
            };
            var size = random.Next(400) == 0 ? 300_000 : random.Next(200, 4000);
            return new LedgerMessage($"t{i}", sender, recipients, LedgerBody.Generate(seed + i, size)) { Return = LedgerMessage.AnyReturn(random) };
        })];

        ExpectedRecipient Recipient(int message, int number)
        {
            if (random.Next(4) == 0)
                return new($"u{random.Next(2)}@{run.Local}", Notify: LedgerMessage.AnyNotify(random));
            var domain = random.Next(domains);
            return FarEnd.All[domain % FarEnd.All.Count].Expect($"r{message}.{number}@{run.Domain(Domain(domain))}") with { Notify = LedgerMessage.AnyNotify(random) };
        }
    }

    /// <summary>From the environment to repeat a run as far as timing allows, else a new one.</summary>
    public static int Seed() =>
        int.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_TEST_SEED"), out var given) ? given : Random.Shared.Next();

    /// <summary>
    /// Copies that far ends had just taken when something failed: between their 250 and its record lies one commit, for
    /// which a second is generous on a busy machine. While the store is away nothing can be recorded at all.
    /// </summary>
    public static int InDoubt(IReadOnlyList<LedgerRecord> records, Fault fault) => records
        .OfType<Arrival>()
        .Where(a => a.Answered && a.At > fault.From - TimeSpan.FromSeconds(1) && a.At <= fault.To)
        .Sum(a => a.Recipients.Length);

    private static string Domain(int number) => $"d{number}.example";
}
