using System.Diagnostics;
using System.Net;
using MailPipeline.Testing;

namespace MailPipeline.Cluster.Tests;

/// <summary>
/// A cluster with its ledgers, far ends and maildrops: one local domain; every other domain has a far end, reached by a static route.
/// The cluster is the run's own, or one that it shares with others; then the local domain, the far ends and their domains are its own.
/// </summary>
internal sealed class ClusterRun : IAsyncDisposable
{
    public const string LocalDomain = "mail.example";
    public const string Password = "correct horse";

    /// <summary>Settings that make the queue and the SMTP client impatient.</summary>
    public static readonly string[] Impatient =
    [
        // A session of a process that was killed holds its maildrop no longer than this.
        "--MailStore:MaildropLease=00:00:06",
        "--Mailbox:LeaseRenewalInterval=00:00:02",
        "--Queue:RetrySteps:0=00:00:01",
        "--Queue:RetrySteps:1=00:00:02",
        "--Queue:Uncertain:Steps:0=00:00:01",
        "--Queue:BatchTimeout=00:00:05",
        "--Queue:UnroutedGrace=00:00:01",
        "--Queue:ReportDelay=00:00:01",
        // One sender has all the failures of a run.
        "--Queue:MaxReportsPerSender=1000000",
        "--MailStore:ClaimLease=00:00:05",
        "--Storage:AbandonedContentAge=00:00:20",
        "--Delivery:Timeouts:Connect=00:00:05",
        "--Delivery:Timeouts:Greeting=00:00:03",
        "--Delivery:Timeouts:Mail=00:00:03",
        "--Delivery:Timeouts:Rcpt=00:00:03",
        "--Delivery:Timeouts:Data=00:00:03",
        "--Delivery:Timeouts:FinalDot=00:00:03",
    ];

    private const int MostLooks = 60;

    // Between two looks into storage and broker, which cost them something.
    private static readonly TimeSpan s_pause = TimeSpan.FromMilliseconds(300);

    private readonly List<SinkServer> _sinks = [];
    private readonly List<string> _routes = [];
    private readonly Dictionary<string, string> _domains = [];
    private readonly SharedServers _servers;
    private SharedCluster? _shared;
    private int _room;

    public ClusterRun(SharedServers servers, string name)
    {
        _servers = servers;
        Folder = new TempFolder(name);
        Sent = new LedgerFile(Folder["sent"]);
        Arrived = new LedgerFile(Folder["arrived"]);
        Read = new LedgerFile(Folder["read"]);
    }

    /// <summary>A run in a room of a shared cluster, with maildrops for these accounts.</summary>
    public static async Task<ClusterRun> EnterAsync(SharedCluster shared, string name, params string[] accounts)
    {
        var (cluster, room) = await shared.EnterAsync();
        var run = new ClusterRun(shared.Servers, name) { _shared = shared, _room = room, Cluster = cluster, Local = $"mail.{SharedCluster.Zone(room)}" };
        await cluster.AddAccountsAsync(run.Local, Password, accounts, Cancellation);
        return run;
    }

    public static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public TempFolder Folder { get; }

    /// <summary>Ledger of the load client.</summary>
    public LedgerFile Sent { get; }

    /// <summary>Ledger of all far ends.</summary>
    public LedgerFile Arrived { get; }

    /// <summary>Ledger of the POP3 readers.</summary>
    public LedgerFile Read { get; }

    public MailCluster Cluster { get; private set; } = null!;

    /// <summary>The local domain.</summary>
    public string Local { get; private init; } = LocalDomain;

    public ClusterServers Servers => _servers.Servers;

    /// <summary>Adds a far end for these domains; before the start of a cluster of its own.</summary>
    public SinkServer AddSink(SinkScript script, params string[] domains) => AddSinkAt(_sinks.Count, script, domains);

    /// <summary>Adds the far end of this run's room that bears little, as the policy of the <see cref="ImpatientCluster"/> says.</summary>
    public SinkServer AddLimitedSink(SinkScript script, params string[] domains) => AddSinkAt(SharedCluster.FarEnds - 1, script, domains);

    private SinkServer AddSinkAt(int farEnd, SinkScript script, string[] domains)
    {
        if (_shared is not null)
            Assert.True(farEnd < SharedCluster.FarEnds, "a room has too few far ends");
        var sink = new SinkServer(domains[0], script, Arrived, port: _shared?.Port(_room, farEnd) ?? 0);
        _sinks.Add(sink);
        foreach (var domain in domains)
            _domains[domain] = _shared is null ? domain : $"{domain.Split('.')[0]}.f{farEnd}.{SharedCluster.Zone(_room)}";
        _routes.AddRange(domains.Select(domain => $"{domain}=127.0.0.1:{sink.EndPoint.Port}"));
        return sink;
    }

    /// <summary>Adds a far end that DNS leads to, at whatever address of this machine; domains below "sites" are its.</summary>
    public SinkServer AddHosts(ScalingCluster shared, SinkScript script)
    {
        var sink = new SinkServer("hosts", script, Arrived, IPAddress.Any, shared.HostPort);
        _sinks.Add(sink);
        return sink;
    }

    /// <summary>A domain whose mail goes to the hosts of this run's room.</summary>
    public string SiteDomain(int number) => $"d{number}.sites.{SharedCluster.Zone(_room)}";

    public string Hosts => ScalingCluster.Hosts(_room);

    /// <summary>What a domain of <see cref="AddSink"/> is called in this run's room.</summary>
    public string Domain(string name) => _domains[name];

    /// <summary>Makes a cluster of its own; no process runs yet.</summary>
    public void Prepare(
        ClusterConnections connections, IEnumerable<string> settings, IReadOnlyDictionary<string, string?>? environment = null) =>
        Cluster = Make(Servers, connections, Folder.FullPath, _routes, settings, environment);

    public static MailCluster Make(
        ClusterServers servers, ClusterConnections connections, string folder, IEnumerable<string> routes, IEnumerable<string> settings,
        IReadOnlyDictionary<string, string?>? environment = null) => new(
        servers, connections, folder,
        [
            $"--Delivery:Routes={string.Join(", ", routes)}",
            "--Mailbox:AllowCleartextLogin=Loopback",
            "--Ingress:RelayClients:0=127.0.0.0/8",
            "--Logging:LogLevel:MailPipeline=Warning",
            .. settings,
        ],
        environment);

    /// <summary>Makes the cluster with its own part of the servers, the local domain and accounts, and starts so many processes of each service.</summary>
    public async Task StartAsync(
        IEnumerable<string> accounts, IEnumerable<string> settings, int processes = 2, IReadOnlyDictionary<string, string?>? environment = null)
    {
        var started = Stopwatch.GetTimestamp();
        Prepare(await Servers.CreateConnectionsAsync(Cancellation), settings, environment);
        await Cluster.AddAccountsAsync(LocalDomain, Password, accounts, Cancellation);
        var prepared = Stopwatch.GetElapsedTime(started);
        Cluster.AddEach(processes);
        // Not only ready: a test that stops a service at once stops one that has declared its endpoints.
        await WaitAsync(Cluster.WaitUntilHealthyAsync);
        Figures.Write(
            $"accounts after {prepared.TotalSeconds:F0} s, {4 * processes} processes ready after {Stopwatch.GetElapsedTime(started).TotalSeconds:F0} s " +
            $"and {Cluster.ProcessorTime.TotalSeconds:F0} s of a processor");
    }

    public Task WaitUntilReadyAsync() => WaitAsync(Cluster.WaitUntilReadyAsync);

    private async Task WaitAsync(Func<TimeSpan, CancellationToken, Task> wait)
    {
        try
        {
            await wait(TimeSpan.FromSeconds(60), Cancellation);
        }
        catch (Exception e) when (e is TimeoutException or InvalidOperationException)
        {
            throw new InvalidOperationException($"{e.Message}\n{Cluster.Describe()}", e);
        }
    }

    /// <summary>A load client over all Ingress processes.</summary>
    public LoadClient Client(Func<LoadOptions, LoadOptions>? change = null)
    {
        var logins = Cluster.Smtp.Select(server => new ServerLogin(server)).ToList();
        var options = new LoadOptions
        {
            Login = logins[0], Others = logins[1..], Connections = 20, MessagesPerConnection = 20, ReplyTimeout = TimeSpan.FromSeconds(20),
        };
        return new LoadClient(change?.Invoke(options) ?? options, Sent);
    }

    /// <summary>Hands in messages, each until it has its final answer.</summary>
    public Task SendAsync(IReadOnlyCollection<LedgerMessage> messages, Func<LoadOptions, LoadOptions>? change = null) =>
        Client(change).SendAsync(messages, Cancellation);

    /// <summary>A reader whose sessions go to each Mailbox process in turn.</summary>
    public Pop3Poller Poller(string account, int seed)
    {
        var random = new Random(seed);
        return new(Maildrop(account), Read)
        {
            Servers = Cluster.Pop3,
            DeleteWhen = _ => random.Next(3) > 0,
            ReadAgainWhen = _ => random.Next(20) == 0,
            SessionTimeout = TimeSpan.FromSeconds(20),
        };
    }

    /// <summary>Reads the maildrops to their end once, at the Mailbox process of this number.</summary>
    public async Task ReadMaildropsAsync(IEnumerable<string> accounts, int mailbox = 0)
    {
        foreach (var account in accounts)
        {
            // A session of a process that was killed holds the maildrop until its lease ends.
            var poller = new Pop3Poller(Maildrop(account), Read) { Servers = [Cluster.Pop3[mailbox]] };
            var refusal = "";
            await Eventually.TrueAsync(
                TimeSpan.FromSeconds(1), async () => (refusal = await RefusalAsync(poller)) is "", TimeSpan.FromSeconds(60), () => $"{account}: {refusal}", Cancellation);
        }
    }

    private static async Task<string> RefusalAsync(Pop3Poller poller)
    {
        try
        {
            await poller.PollAsync(Cancellation);
            return "";
        }
        catch (Pop3RefusedException refused)
        {
            return refused.Message;
        }
    }

    /// <summary>Waits until nothing is under way in storage and broker; returns how long it took.</summary>
    /// <param name="mailOnly">Bytes that a process left behind that died in mid-message are not waited for: they are collected by age.</param>
    public async Task<TimeSpan> DrainAsync(TimeSpan limit, bool mailOnly = false)
    {
        IReadOnlyList<Remainder> left = [];
        return await Eventually.TrueAsync(
            s_pause,
            async () =>
            {
                left = [.. (await Cluster.RemainingAsync(Cancellation)).Where(r => !mailOnly || r.What != MailCluster.BytesWithoutOwner)];
                if (left.All(r => r.Count == 0))
                    left = await Cluster.RemainingInBrokerAsync(Cancellation);
                if (left.All(r => r.Count == 0))
                    return true;
                if (await Cluster.ReleaseHeldAsync(Cancellation) is > 0 and var released)
                    Figures.Write($"{released} messages were held after too many deaths, and released");
                return false;
            },
            limit,
            () => $"Left: {string.Join(", ", left.Where(r => r.Count != 0))}\n{DescribeQueue()}\n{Keep()}\n{Cluster.Describe()}",
            Cancellation);
    }

    /// <summary>Mail flows: waits until so many more have arrived at the far ends, or all of it was sent.</summary>
    public async Task FlowsAsync(int more, Task? sending = null)
    {
        var before = await ArrivedAsync();
        await Eventually.TrueAsync(
            s_pause, async () => sending is { IsCompleted: true } || await ArrivedAsync() >= before + more,
            TimeSpan.FromSeconds(60), () => $"Less than {more} have arrived\n{Cluster.Describe()}", Cancellation);

        async Task<int> ArrivedAsync() => (await Arrived.ReadAsync(Cancellation)).Count;
    }

    public async Task<IReadOnlyList<LedgerRecord>> RecordsAsync() =>
        [.. await Sent.ReadAsync(Cancellation), .. await Arrived.ReadAsync(Cancellation), .. await Read.ReadAsync(Cancellation)];

    /// <summary>The evidence of a run without faults: no budget for duplicates, nothing left.</summary>
    public async Task<LedgerEvidence> EvidenceAsync()
    {
        var uncertain = await ListUncertainAsync();
        return new()
        {
            Records = await RecordsAsync(),
            UncertainCounted = uncertain.Count,
            UncertainRecipients = uncertain,
            Remaining = await LastRemainingAsync(),
        };
    }

    /// <summary>
    /// What stays. A hint that waited for a broker which was away may come when the reconciler has long done what it says, and goes at once.
    /// </summary>
    private async Task<IReadOnlyList<Remainder>> LastRemainingAsync()
    {
        Remainder[] left = [];
        var looks = 0;
        await Eventually.TrueAsync(
            s_pause,
            async () =>
            {
                left = [.. await Cluster.RemainingAsync(Cancellation), .. await Cluster.RemainingInBrokerAsync(Cancellation)];
                return ++looks == MostLooks || left.All(remainder => remainder.Count == 0);
            },
            TimeSpan.FromMinutes(2), cancellation: Cancellation);
        return left;
    }

    /// <summary>The recipients of this run's attempts that ended in doubt.</summary>
    public Task<IReadOnlyList<string>> ListUncertainAsync() =>
        Cluster.ListUncertainAsync(_shared is null ? "example" : SharedCluster.Zone(_room), Cancellation);

    /// <summary>
    /// Fails with all findings when there are any. A shared cluster must be whole again as well, with what the test had ended started again.
    /// </summary>
    public async Task AssertCleanAsync(LedgerEvidence evidence)
    {
        var found = LedgerChecker.Check(evidence);
        if (found.Count > 0)
            Assert.Fail($"{found.Count} findings\n{string.Join('\n', found.Take(40))}\n{Keep()}");
        if (_shared is null)
            return;
        if (Cluster.Services.Where(service => service.EndedByItself).ToList() is { Count: > 0 } ended)
            Assert.Fail($"{string.Join(", ", ended.Select(service => $"{service.Name} ended with {service.Process.ExitCode}"))}\n{Keep()}");
        Cluster.LaunchEnded();
        await WaitAsync(Cluster.WaitUntilHealthyAsync);
        _shared.Leave();
    }

    /// <summary>
    /// Lets time pass that is itself what the test is about: how long a fault lasts, or when it comes. Never to wait for what somebody is about
    /// to do: <see cref="Eventually"/> and <see cref="FlowsAsync"/> do that.
    /// </summary>
    public static Task LetPassAsync(TimeSpan time) => Task.Delay(time, TimeProvider.System, Cancellation);

    public async ValueTask DisposeAsync()
    {
        if (_shared is null && Cluster is not null)
            await Cluster.DisposeAsync();
        foreach (var sink in _sinks)
            await sink.DisposeAsync();
        await Sent.DisposeAsync();
        await Arrived.DisposeAsync();
        await Read.DisposeAsync();
        Folder.Dispose();
    }

    private Maildrop Maildrop(string account) => new($"{account}@{Local}", Password, Cluster.Pop3[0]);

    private string DescribeQueue()
    {
        try
        {
            return Servers.Postgres.QueryAsync(
                """
                SELECT domain || ': ' || COUNT(*) || ' queued, attempts ' || MIN(attempts) || '-' || MAX(attempts) || ', claimed ' || SUM((claim <> 0)::int)
                    || ', next in ' || (MIN(next_attempt_at) / 1000 - extract(epoch from now())::bigint) || ' s'
                FROM recipients WHERE state = 0 GROUP BY domain LIMIT 20
                """,
                Cluster.Connections.Database.Split("Database=")[1]).GetAwaiter().GetResult();
        }
        catch (InvalidOperationException unreadable)
        {
            return unreadable.Message;
        }
    }

    /// <summary>Keeps ledgers and output of a failed run and says where.</summary>
    private string Keep()
    {
        var kept = Path.Combine(Path.GetTempPath(), $"mailpipeline-failed-{Path.GetFileName(Folder.FullPath)}");
        Directory.CreateDirectory(kept);
        foreach (var file in new[] { Sent.Path, Arrived.Path, Read.Path })
            File.Copy(file, Path.Combine(kept, Path.GetFileName(file)), overwrite: true);
        foreach (var service in Cluster.Services)
            File.WriteAllText(Path.Combine(kept, service.Name), service.Output);
        File.WriteAllText(Path.Combine(kept, "broker"), Servers.Rabbit.Output);
        File.WriteAllText(Path.Combine(kept, "postgres"), Servers.Postgres.Output);
        return $"Ledgers and output are kept in {kept}";
    }
}

/// <summary>Figures of a run, for people.</summary>
internal static class Figures
{
    public static void Write(string text)
    {
        TestContext.Current.TestOutputHelper?.WriteLine(text);
        Console.WriteLine($"  {TestContext.Current.TestMethod?.MethodName}: {text}");
    }
}
