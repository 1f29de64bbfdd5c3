using System.Globalization;
using System.Diagnostics;
using System.Net;
using MailPipeline.Testing;
using Microsoft.Data.Sqlite;
using MimeKit;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>
/// A Standalone process with its ledgers, far ends and maildrops: one local domain, mail.example; every other domain has
/// a sink of its own, reached by a static route, or is found by DNS.
/// </summary>
internal sealed class Pipeline : IAsyncDisposable
{
    public const string LocalDomain = "mail.example";
    public const string Password = "correct horse";

    /// <summary>Settings that make the queue and the SMTP client impatient.</summary>
    public static readonly string[] Impatient =
    [
        "--Queue:RetrySteps:0=00:00:01",
        "--Queue:RetrySteps:1=00:00:02",
        "--Queue:Uncertain:Steps:0=00:00:01",
        "--Queue:BatchTimeout=00:00:05",
        "--Queue:UnroutedGrace=00:00:01",
        "--Queue:ReportDelay=00:00:01",
        "--MailStore:ClaimLease=00:00:05",
        "--Delivery:Timeouts:Connect=00:00:05",
        "--Delivery:Timeouts:Greeting=00:00:03",
        "--Delivery:Timeouts:Mail=00:00:03",
        "--Delivery:Timeouts:Rcpt=00:00:03",
        "--Delivery:Timeouts:Data=00:00:03",
        "--Delivery:Timeouts:FinalDot=00:00:03",
    ];

    private readonly List<SinkServer> _sinks = [];
    private readonly Lazy<int> _submissions = new(FreePorts.Next);

    public Pipeline(string name = "pipeline")
    {
        Folder = new TempFolder(name);
        Sent = new LedgerFile(Folder["sent"]);
        Arrived = new LedgerFile(Folder["arrived"]);
        Read = new LedgerFile(Folder["read"]);
    }

    public TempFolder Folder { get; }

    /// <summary>Ledger of the load client.</summary>
    public LedgerFile Sent { get; }

    /// <summary>Ledger of all sinks.</summary>
    public LedgerFile Arrived { get; }

    /// <summary>Ledger of the POP3 readers.</summary>
    public LedgerFile Read { get; }

    public StandaloneProcess Server { get; private set; } = null!;

    public IReadOnlyList<SinkServer> Sinks => _sinks;

    /// <summary>Of submission where TLS comes first, which there is by <see cref="WithSubmissions"/>.</summary>
    public int SubmissionsPort => _submissions.Value;

    /// <summary>Settings for a listener of submissions besides.</summary>
    public string[] WithSubmissions =>
    [
        "--Ingress:Listeners:2:Kind=Submission", "--Ingress:Listeners:2:Address=127.0.0.1", $"--Ingress:Listeners:2:Port={SubmissionsPort}",
        "--Ingress:Listeners:2:Tls=Implicit",
    ];

    /// <summary>Adds a far end for a domain; before <see cref="StartAsync"/>.</summary>
    public SinkServer AddSink(string domain, SinkScript? script = null)
    {
        var sink = new SinkServer(domain, script ?? SinkScript.AcceptAll, Arrived);
        _sinks.Add(sink);
        return sink;
    }

    /// <summary>Makes the local domain and these accounts in it, and starts the server.</summary>
    /// <param name="dataFolder">Null: one inside the test's folder.</param>
    public async Task StartAsync(IEnumerable<string> accounts, IEnumerable<string> settings, CancellationToken cancellation, string? dataFolder = null)
    {
        Server = new StandaloneProcess(
            dataFolder ?? Folder.CreateFolder("data"),
            [
                .. _sinks.Select(sink => $"--Delivery:Routes:{sink.Name}=127.0.0.1:{sink.EndPoint.Port}"),
                "--Mailbox:AllowCleartextLogin=Loopback",
                "--Ingress:RelayClients:0=127.0.0.0/8",
                "--Logging:LogLevel:MailPipeline=Warning",
                .. settings,
            ]);
        await Server.RunAsync(["domain", "add", LocalDomain], cancellation: cancellation);
        foreach (var account in accounts)
            await Server.AddAccountAsync($"{account}@{LocalDomain}", Password, cancellation);
        await Server.StartAsync(cancellation);
    }

    public ServerLogin MxLogin => new(Server.Smtp);

    public ServerLogin SubmissionLogin(string account) =>
        new(Server.Submission, StartTls: true, new NetworkCredential($"{account}@{LocalDomain}", Password));

    /// <summary>The messages in a maildrop, as they are now.</summary>
    public async Task<IReadOnlyList<byte[]>> ReadMaildropAsync(string account, CancellationToken cancellation)
    {
        var messages = new List<byte[]>();
        await using var client = await Pop3Client.OpenAsync(Maildrop(account).Login with { Credential = null }, cancellation);
        // RFC 6856 §2.1: what has a header in UTF-8 is read by who has said so before he logs in.
        await client.CommandAsync("UTF8", cancellation);
        await client.CommandAsync($"USER {account}@{LocalDomain}", cancellation);
        await client.CommandAsync($"PASS {Password}", cancellation);
        foreach (var (number, _) in await client.ListAsync(cancellation))
        {
            await client.CommandAsync($"RETR {number}", cancellation);
            var message = new MemoryStream();
            await foreach (var line in client.ReadLinesAsync(cancellation))
            {
                message.Write(line.Span);
                message.Write("\r\n"u8);
            }

            messages.Add(message.ToArray());
        }

        await client.CommandAsync("QUIT", cancellation);
        return messages;
    }

    public Maildrop Maildrop(string account) => new($"{account}@{LocalDomain}", Password, Server.Pop3);

    /// <summary>The reports in an account's maildrop about the message that has this envelope id (RFC 3461 §4.4).</summary>
    public async Task<List<MultipartReport>> ReadReportsAsync(string account, string envelopeId, CancellationToken cancellation) =>
        ReportsAbout(await ReadMaildropAsync(account, cancellation), envelopeId);

    public static List<MultipartReport> ReportsAbout(IEnumerable<byte[]> messages, string envelopeId) =>
        [.. messages.Select(bytes => MimeMessage.Load(new MemoryStream(bytes)).Body).OfType<MultipartReport>()
            .Where(report => report.OfType<MessageDeliveryStatus>().Single().StatusGroups[0]["Original-Envelope-Id"]?.Trim() == envelopeId)];

    /// <summary>Hands in messages at the MX listener, each until it has its final answer.</summary>
    public Task SendAsync(IReadOnlyCollection<LedgerMessage> messages, CancellationToken cancellation, Func<LoadOptions, LoadOptions>? change = null)
    {
        var options = new LoadOptions { Login = MxLogin };
        return new LoadClient(change?.Invoke(options) ?? options, Sent).SendAsync(messages, cancellation);
    }

    /// <summary>Waits until nothing is under way; returns how long it took.</summary>
    /// <param name="killed">The server was, often enough for recipients to be held: those are released, as an operator does.</param>
    public Task<TimeSpan> DrainAsync(TimeSpan limit, CancellationToken cancellation, bool killed = false) => Eventually.TrueAsync(
        TimeSpan.FromMilliseconds(200),
        async () =>
        {
            if (Remaining().All(r => r.Count == 0))
                return true;
            while (killed && Count("SELECT COALESCE(MIN(id >> 16), 0) FROM recipients WHERE state = 5") is > 0 and var held)
                await Server.RunAsync(["message", "release", held.ToString("X", CultureInfo.InvariantCulture)], cancellation: cancellation);
            return false;
        },
        limit,
        () => $"Left: {string.Join(", ", Remaining().Select(r => $"{r.What} {r.Count}"))}\n{DescribeQueue()}\n{Server.Process.Output}",
        cancellation);

    /// <summary>What is under way, read from the database beside the running server.</summary>
    public IReadOnlyList<Remainder> Remaining() =>
    [
        new("unrouted messages", Count("SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed)")),
        new("queued recipients", Count("SELECT COUNT(*) FROM recipients WHERE state = 0")),
        new("held recipients", Count("SELECT COUNT(*) FROM recipients WHERE state = 5")),
        new("claims", Count("SELECT COUNT(*) FROM claims")),
        new("reports owed", Count(
            "SELECT (SELECT COUNT(*) FROM unreported) + (SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5)")),
        new("bytes without an owner", Count(
            "SELECT COUNT(*) FROM chunks c WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = (c.id >> 16) AND m.content_refs > 0)")),
    ];

    /// <summary>The recipients of attempts that ended in doubt, one for each.</summary>
    public IReadOnlyList<string> ListUncertain() => Query(
        "SELECT r.address FROM attempts a JOIN recipients r ON r.id = a.recipient_id WHERE a.outcome = 4", row => row.GetString(0));

    /// <summary>A number out of the database.</summary>
    public long Count(string sql) => Query(sql, row => row.GetInt64(0))[0];

    private List<T> Query<T>(string sql, Func<SqliteDataReader, T> read)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(Server.DataFolder, "mail.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        using var rows = command.ExecuteReader();
        var found = new List<T>();
        while (rows.Read())
            found.Add(read(rows));
        return found;
    }

    public async Task<IReadOnlyList<LedgerRecord>> RecordsAsync(CancellationToken cancellation) =>
        [.. await Sent.ReadAsync(cancellation), .. await Arrived.ReadAsync(cancellation), .. await Read.ReadAsync(cancellation)];

    /// <summary>Reads the maildrops to their end once.</summary>
    public async Task ReadMaildropsAsync(IEnumerable<string> accounts, CancellationToken cancellation)
    {
        foreach (var account in accounts)
            await new Pop3Poller(Maildrop(account), Read).PollAsync(cancellation);
    }

    /// <summary>Fails with all findings when there are any.</summary>
    public async Task AssertCleanAsync(LedgerEvidence evidence)
    {
        var found = LedgerChecker.Check(evidence);
        if (found.Count == 0)
            return;
        var kept = Path.Combine(Path.GetTempPath(), $"mailpipeline-failed-{Path.GetFileName(Folder.FullPath)}");
        Directory.CreateDirectory(kept);
        foreach (var file in new[] { Sent.Path, Arrived.Path, Read.Path })
            File.Copy(file, Path.Combine(kept, Path.GetFileName(file)), overwrite: true);
        await File.WriteAllTextAsync(Path.Combine(kept, "output"), Server.Process.Output);
        await ServerProcess.RunAsync("cp", ["-r", Server.DataFolder, Path.Combine(kept, "data")]);
        Assert.Fail($"{found.Count} findings; ledgers and data are kept in {kept}\n{string.Join('\n', found.Take(40))}");
    }

    public async ValueTask DisposeAsync()
    {
        if (Server is not null)
            await Server.DisposeAsync();
        foreach (var sink in _sinks)
            await sink.DisposeAsync();
        await Sent.DisposeAsync();
        await Arrived.DisposeAsync();
        await Read.DisposeAsync();
        Folder.Dispose();
    }

    private string DescribeQueue()
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(Server.DataFolder, "mail.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = """
            SELECT domain || ': ' || COUNT(*) || ' queued, attempts ' || MIN(attempts) || '-' || MAX(attempts) || ', claimed ' || SUM(claim <> 0)
                || ', next in ' || (MIN(next_attempt_at) / 1000 - unixepoch()) || ' s'
            FROM recipients WHERE state = 0 GROUP BY domain LIMIT 20
            """;
        using var rows = command.ExecuteReader();
        var lines = new List<string>();
        while (rows.Read())
            lines.Add(rows.GetValue(0).ToString()!);
        return string.Join('\n', lines);
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

    public static TimeSpan Since(long started) => Stopwatch.GetElapsedTime(started);
}
