using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// The promise: kill -9 at any instant loses nothing, and what is sent twice is bounded and counted. Messages flow in over
/// twenty connections, out to far ends of every temper and into maildrops that are read and emptied meanwhile.
/// </summary>
public sealed class KillTests
{
    private static readonly string[] Accounts = ["u0", "u1", "u2", "u3", "sender"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task Killed_at_random_moments_nothing_is_lost_and_duplicates_stay_in_their_windows() => KillAndCheckAsync(count: 1200, leastKills: 6);

    [Fact]
    [Trait("Soak", "true")]
    public Task Killed_twenty_times_nothing_is_lost_and_duplicates_stay_in_their_windows() => KillAndCheckAsync(count: 5000, leastKills: 20);

    private static async Task KillAndCheckAsync(int count, int leastKills)
    {
        // Set it to repeat a run as far as timing allows.
        var seed = int.TryParse(Environment.GetEnvironmentVariable("MAILPIPELINE_TEST_SEED"), out var given) ? given : Random.Shared.Next();
        TestContext.Current.TestOutputHelper?.WriteLine($"seed {seed}");
        await using var pipeline = new Pipeline($"kill-{seed}");
        AddFarEnds(pipeline);
        // Most deliveries are reported as well.
        await pipeline.StartAsync(Accounts, [.. Pipeline.Impatient, "--Queue:MaxReportsPerSender=1000000"], Cancellation);
        var messages = Compose(count, seed);

        using var reading = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var readers = Accounts.Select((account, i) => Poller(pipeline, account, seed + i).RunAsync(TimeSpan.FromMilliseconds(300), reading.Token)).ToList();
        var started = Stopwatch.GetTimestamp();
        var client = new LoadClient(
            new() { Login = pipeline.MxLogin, Connections = 20, MessagesPerConnection = 50, ReplyTimeout = TimeSpan.FromSeconds(20), Pace = TimeSpan.FromMilliseconds(80) }, pipeline.Sent);
        var sending = client.SendAsync(messages, Cancellation);
        var kills = await KillAsync(pipeline, client, count, leastKills, new Random(seed));
        var flowing = client.Done < messages.Count;
        await sending;
        var sent = Figures.Since(started);
        var drained = await pipeline.DrainAsync(TimeSpan.FromMinutes(3), Cancellation, killed: true);
        await reading.CancelAsync();
        await Task.WhenAll(readers);
        await pipeline.ReadMaildropsAsync(Accounts, Cancellation);

        var records = await pipeline.RecordsAsync(Cancellation);
        var budget = kills.Sum(kill => InDoubt(records, kill));
        var uncertain = pipeline.ListUncertain();
        Figures.Write($"seed {seed}: {count} messages in {sent.TotalSeconds:F0} s with {kills.Count} kills, drained after {drained.TotalSeconds:F1} s more, " +
            $"{LedgerChecker.CountDuplicates(records)} duplicates, at most {budget} in doubt at kills, {uncertain.Count} attempts recorded as uncertain");
        Assert.True(kills.Count >= leastKills && flowing, $"{kills.Count} kills while messages flowed; seed {seed}");
        await pipeline.AssertCleanAsync(new()
        {
            Records = records,
            DuplicateBudget = budget,
            UncertainCounted = uncertain.Count,
            UncertainRecipients = uncertain,
            Remaining = pipeline.Remaining(),
        });
    }

    [Fact]
    public async Task Killed_in_the_middle_of_a_large_content_it_leaves_neither_that_nor_what_waits_behind_it_in_doubt()
    {
        const int SmallMessages = 5;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var pipeline = new Pipeline("kill-content");
        await pipeline.StartAsync(
            [],
            [$"--Delivery:Routes:slow.example={listener.LocalEndpoint}", "--Queue:DomainConcurrency=1", "--Queue:InitialConcurrency=1"],
            Cancellation);
        // All in one batch, the large one first.
        await pipeline.Server.RunAsync(["queue", "pause"], cancellation: Cancellation);
        await pipeline.SendAsync([LedgerMessage.Create("large", "", 1, 5_000_000, new ExpectedRecipient("r0@slow.example"))], Cancellation);
        await pipeline.SendAsync(
            [.. Enumerable.Range(1, SmallMessages).Select(i => LedgerMessage.Create($"small{i}", "", i, 1000, new ExpectedRecipient($"r{i}@slow.example")))],
            Cancellation);
        await Eventually.TrueAsync(
            () => pipeline.Count("SELECT COUNT(*) FROM recipients WHERE state = 0") == 1 + SmallMessages, TimeSpan.FromSeconds(30), cancellation: Cancellation);
        await pipeline.Server.RunAsync(["queue", "resume"], cancellation: Cancellation);

        using var farEnd = await listener.AcceptTcpClientAsync(Cancellation).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Cancellation);
        await TakeSomeContentAsync(farEnd.GetStream());
        listener.Stop();
        await pipeline.Server.Kill9Async();
        await pipeline.Server.LaunchAsync();
        await pipeline.Server.WaitUntilReadyAsync(TimeSpan.FromMinutes(1), Cancellation);

        await Eventually.TrueAsync(
            () => pipeline.Count("SELECT COUNT(*) FROM recipients WHERE attempts > 0") == 1 + SmallMessages, TimeSpan.FromSeconds(30),
            () => pipeline.Server.Process.Output, Cancellation);
        Assert.Equal(0, pipeline.Count("SELECT SUM(uncertain) FROM recipients"));
        Assert.Empty(pipeline.ListUncertain());
    }

    /// <summary>Speaks SMTP up to the first lines of a message, and reads no further.</summary>
    private static async Task TakeSomeContentAsync(NetworkStream stream)
    {
        using var reader = new StreamReader(stream, Encoding.Latin1, leaveOpen: true);
        await stream.WriteAsync("220 slow.example\r\n"u8.ToArray(), Cancellation);
        while (await reader.ReadLineAsync(Cancellation) is { } command)
        {
            if (command == "DATA")
                break;
            await stream.WriteAsync("250 Ok\r\n"u8.ToArray(), Cancellation);
        }

        await stream.WriteAsync("354 Go on\r\n"u8.ToArray(), Cancellation);
        for (var octets = 0; octets < 1_000_000; octets += (await reader.ReadLineAsync(Cancellation))!.Length)
        {
        }
    }

    private static void AddFarEnds(Pipeline pipeline)
    {
        pipeline.AddSink("good.example");
        pipeline.AddSink("slow.example", new() { AtDot = (_, _, _) => SinkStep.SlowAccept(TimeSpan.FromMilliseconds(100)) });
        pipeline.AddSink("greylist.example", new() { AtRecipient = (_, n) => n == 1 ? SinkStep.Defer : SinkStep.Accept });
        pipeline.AddSink("busy.example", new() { AtDot = (_, _, n) => n <= 2 ? SinkStep.Defer : SinkStep.Accept });
        pipeline.AddSink("reject.example", new() { AtRecipient = (_, _) => SinkStep.Reject });
        pipeline.AddSink("rejectdot.example", new() { AtDot = (_, _, _) => new("554 5.7.1 Not here") });
        // Hang and close now and then, so that the rest of the domain's mail moves between.
        pipeline.AddSink("hang.example", new() { AtDot = (_, token, n) => n == 1 && Bucket(token, 10) == 0 ? SinkStep.Hang : SinkStep.Accept });
        pipeline.AddSink("close.example", new() { AtDot = (_, token, n) => n == 1 && Bucket(token, 5) == 0 ? SinkStep.Close : SinkStep.Accept });
        pipeline.AddSink("shutdown.example", new() { AtConnect = n => n % 3 == 0 ? SinkStep.ShutDown : new("220 sink.example") });
        pipeline.AddSink("senders.example");
    }

    private static int Bucket(string token, int buckets) => int.Parse(token[1..], CultureInfo.InvariantCulture) % buckets;

    private static List<LedgerMessage> Compose(int count, int seed)
    {
        var random = new Random(seed);
        string[] domains =
            ["good", "good", "slow", "greylist", "busy", "reject", "rejectdot", "hang", "close", "shutdown", "local", "local", "local"];
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            var recipients = Enumerable.Range(0, random.Next(10) == 0 ? 3 : 1)
                .Select(_ => domains[random.Next(domains.Length)])
                .Distinct()
                .Select((domain, n) => Recipient(domain, i, n, random))
                .ToArray();
            var sender = random.Next(20) switch
            {
                0 => "",
                < 10 => $"sender@{Pipeline.LocalDomain}",
                _ => $"s{i}@senders.example",
            };
            var size = random.Next(200) == 0 ? 300_000 : random.Next(200, 4000);
            return new LedgerMessage($"t{i}", sender, recipients, LedgerBody.Generate(seed + i, size)) { Return = LedgerMessage.AnyReturn(random) };
        })];
    }

    private static ExpectedRecipient Recipient(string domain, int message, int number, Random random) => ExpectedAt(domain, message, number, random) with
    {
        Notify = random.Next(2) == 0 ? "SUCCESS,FAILURE" : LedgerMessage.AnyNotify(random),
    };

    private static ExpectedRecipient ExpectedAt(string domain, int message, int number, Random random) => domain switch
    {
        "local" => new($"u{random.Next(4)}@{Pipeline.LocalDomain}"),
        "reject" => new($"r{message}.{number}@reject.example", ExpectedOutcome.Bounced, "5.1.1"),
        "rejectdot" => new($"r{message}.{number}@rejectdot.example", ExpectedOutcome.Bounced, "5.7.1"),
        _ => new($"r{message}.{number}@{domain}.example"),
    };

    private static Pop3Poller Poller(Pipeline pipeline, string account, int seed)
    {
        var random = new Random(seed);
        return new(pipeline.Maildrop(account), pipeline.Read)
        {
            DeleteWhen = _ => random.Next(3) > 0,
            ReadAgainWhen = _ => random.Next(20) == 0,
            SessionTimeout = TimeSpan.FromSeconds(20),
        };
    }

    /// <summary>Kills after a random number of further messages and a random time; sometimes while it still starts.</summary>
    private static async Task<List<DateTimeOffset>> KillAsync(
        Pipeline pipeline, LoadClient client, int messages, int leastKills, Random random)
    {
        var kills = new List<DateTimeOffset>();
        while (kills.Count < leastKills)
        {
            var until = client.Done + random.Next(10, Math.Max(11, (messages - client.Done) / (leastKills - kills.Count + 2)));
            await Eventually.TrueAsync(
                () => client.Done >= until, TimeSpan.FromMinutes(2), () => $"Only {client.Done} messages are in.\n{pipeline.Server.Process.Output}", Cancellation);
            await Task.Delay(TimeSpan.FromMilliseconds(random.Next(500)), TimeProvider.System, Cancellation);
            await pipeline.Server.Kill9Async();
            kills.Add(TimeProvider.System.GetUtcNow());
            await pipeline.Server.LaunchAsync();
            if (random.Next(5) == 0)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(random.Next(2000)), TimeProvider.System, Cancellation);
                await pipeline.Server.Kill9Async();
                kills.Add(TimeProvider.System.GetUtcNow());
                await pipeline.Server.LaunchAsync();
            }
            await pipeline.Server.WaitUntilReadyAsync(TimeSpan.FromMinutes(1), Cancellation);
        }
        return kills;
    }

    /// <summary>
    /// Copies that far ends had just taken when the process was killed: between their 250 and its record lies one commit,
    /// for which a second is generous on a busy machine.
    /// </summary>
    private static int InDoubt(IReadOnlyList<LedgerRecord> records, DateTimeOffset kill) => records
        .OfType<Arrival>()
        .Where(a => a.Answered && a.At > kill - TimeSpan.FromSeconds(1) && a.At <= kill)
        .Sum(a => a.Recipients.Length);
}
