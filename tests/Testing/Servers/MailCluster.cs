using System.Globalization;
using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// The product as a cluster: several processes of each service over RabbitMQ, PostgreSQL and Redis. Processes can be
/// killed, stopped, frozen, started again and added while it runs.
/// </summary>
public sealed class MailCluster : IAsyncDisposable
{
    public const string BytesWithoutOwner = "bytes without an owner";

    private readonly List<ServiceProcess> _services = [];
    private readonly string[] _settings;
    private readonly IReadOnlyDictionary<string, string?> _environment;
    private readonly string _folder;
    private readonly int[] _added = new int[Enum.GetValues<ServiceKind>().Length];
    private bool _hasAccounts;

    /// <param name="folder">For the processes' working directories.</param>
    /// <param name="settings">As on the command line, of all services: each gets the sections that concern it.</param>
    public MailCluster(
        ClusterServers servers, ClusterConnections connections, string folder, IEnumerable<string> settings,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        Servers = servers;
        Connections = connections;
        _folder = folder;
        _settings = [.. settings];
        _environment = new Dictionary<string, string?>(environment ?? new Dictionary<string, string?>())
        {
            ["ConnectionStrings__maildb"] = connections.Database,
            ["ConnectionStrings__rabbitmq"] = connections.Rabbit,
            ["ConnectionStrings__redis"] = connections.Redis,
            // Processes that live for a minute gain nothing by measuring what they compile.
            ["DOTNET_TieredPGO"] = "0",
        };
    }

    public ClusterServers Servers { get; }

    public ClusterConnections Connections { get; }

    public IReadOnlyList<ServiceProcess> Services => _services;

    public IReadOnlyList<ServiceProcess> Of(ServiceKind kind) => [.. _services.Where(service => service.Kind == kind)];

    /// <summary>The MX listeners of all Ingress processes.</summary>
    public IReadOnlyList<IPEndPoint> Smtp => [.. Of(ServiceKind.Ingress).Select(service => service.Smtp)];

    /// <summary>The POP3 listeners of all Mailbox processes.</summary>
    public IReadOnlyList<IPEndPoint> Pop3 => [.. Of(ServiceKind.Mailbox).Select(service => service.Pop3)];

    /// <summary>Adds a process and launches it; see <see cref="WaitUntilReadyAsync"/>.</summary>
    public ServiceProcess Add(ServiceKind kind, params string[] settings) => Add(kind, settings, EnvironmentOf(kind), null);

    /// <summary>Adds a process in a network of its own, with its servers at this process's end of the link.</summary>
    /// <param name="address">Its address for other processes of its kind.</param>
    public ServiceProcess AddIn(NetworkNamespace network, ServiceKind kind, IPAddress address)
    {
        var own = EnvironmentOf(kind);
        var environment = new Dictionary<string, string?>(own) { ["POD_IP"] = $"{address}" };
        foreach (var (name, value) in own.Where(variable => variable.Key.StartsWith("ConnectionStrings__", StringComparison.Ordinal)))
            environment[name] = value!.Replace($"{IPAddress.Loopback}", $"{network.Outside}", StringComparison.Ordinal);
        return Add(kind, [], environment, network);
    }

    /// <summary>Each service is a user of its own to the broker, with no more rights than it needs.</summary>
    private Dictionary<string, string?> EnvironmentOf(ServiceKind kind)
    {
        var environment = new Dictionary<string, string?>(_environment);
        // A test may have put something between the services and the broker; then it is as it says.
        if (environment["ConnectionStrings__rabbitmq"] is { } broker)
            environment["ConnectionStrings__rabbitmq"] = broker.Replace("guest:guest@", $"{kind}".ToLowerInvariant() + $":{RabbitMqServer.UserPassword}@", StringComparison.Ordinal);
        return environment;
    }

    /// <summary>Launches so many of each service.</summary>
    public void AddEach(int processes)
    {
        foreach (var kind in Enum.GetValues<ServiceKind>())
        {
            for (var i = 0; i < processes; i++)
                Add(kind);
        }
    }

    /// <summary>Ends a process in order, and the cluster knows it no more.</summary>
    public async Task<bool> RemoveAsync(ServiceProcess service)
    {
        _services.Remove(service);
        var isInOrder = await service.StopAsync();
        await service.DisposeAsync();
        return isInOrder;
    }

    /// <summary>Starts again what has ended, as Kubernetes does.</summary>
    public void LaunchEnded()
    {
        foreach (var service in _services.Where(service => !service.IsRunning))
            service.Launch();
    }

    /// <summary>Waits for all that run.</summary>
    public async Task WaitUntilReadyAsync(TimeSpan limit, CancellationToken cancellation = default)
    {
        foreach (var service in _services.Where(service => service.IsRunning))
            await service.WaitUntilReadyAsync(limit, cancellation);
    }

    /// <summary>Waits for the bus of all that run too.</summary>
    public async Task WaitUntilHealthyAsync(TimeSpan limit, CancellationToken cancellation = default)
    {
        foreach (var service in _services.Where(service => service.IsRunning))
            await service.WaitUntilHealthyAsync(limit, cancellation);
    }

    /// <summary>Adds a domain and accounts in it: the cluster's first with the operator's program, all others beside it.</summary>
    /// <param name="password">The same for all accounts of the cluster.</param>
    public async Task AddAccountsAsync(string domain, string password, IEnumerable<string> accounts, CancellationToken cancellation = default)
    {
        var addresses = accounts.Select(account => $"{account}@{domain}").ToList();
        if (!_hasAccounts)
        {
            await AdministerAsync(["domain", "add", domain], null, cancellation);
            foreach (var first in addresses.Take(1))
                await AdministerAsync(["account", "add", first], password + "\n", cancellation);
            _hasAccounts = addresses.Count > 0;
        }
        // A program and a stretched password for each would take a second each.
        var names = string.Join(", ", addresses.Select(address => $"'{address}'"));
        await Servers.Postgres.QueryAsync(
            $"""
            INSERT INTO domains SELECT '{domain}', MAX(created_at) FROM domains ON CONFLICT DO NOTHING;
            WITH added AS (SELECT address, row_number() OVER () - 1 AS number FROM unnest(ARRAY[{names}]::text[]) AS address),
                ids AS (UPDATE id_blocks SET next = next + {addresses.Count} WHERE name = 'account' RETURNING next - {addresses.Count} - 1 AS first)
            INSERT INTO accounts (id, address, password_hash, created_at)
                SELECT first + number, added.address, a.password_hash, a.created_at
                FROM added, ids, (SELECT password_hash, created_at FROM accounts ORDER BY id LIMIT 1) a ON CONFLICT DO NOTHING
            """,
            Connections.Database.Split("Database=")[1], cancellation);
    }

    /// <summary>Runs a command of the operator's program on the cluster's database.</summary>
    public Task<string> AdministerAsync(string[] command, string? input = null, CancellationToken cancellation = default) => ServerProcess.RunAsync(
        BuiltProgram.DotNet,
        [BuiltProgram.Mail, .. command],
        _folder,
        new Dictionary<string, string?> { ["ConnectionStrings__maildb"] = Connections.Database },
        input: input,
        cancellation: cancellation);

    /// <summary>Numbers out of the database, in the order of the columns.</summary>
    public async Task<long[]> CountAsync(string sql, CancellationToken cancellation = default)
    {
        var database = Connections.Database.Split("Database=")[1];
        var text = await Servers.Postgres.QueryAsync(sql, database, cancellation);
        return [.. text.Trim().Split('|').Select(cell => long.Parse(cell, CultureInfo.InvariantCulture))];
    }

    /// <summary>
    /// What is under way by storage: nothing of it is left when everything has its outcome. Empty while the store is away.
    /// </summary>
    public async Task<IReadOnlyList<Remainder>> RemainingAsync(CancellationToken cancellation = default)
    {
        var counts = await CountAsync(
            """
            SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn) + (SELECT COUNT(*) FROM unrouted_timed), (SELECT COUNT(*) FROM recipients WHERE state = 0), (SELECT COUNT(*) FROM claims),
                (SELECT COUNT(*) FROM recipients WHERE state = 5),
                (SELECT COUNT(*) FROM unreported) + (SELECT COUNT(*) FROM recipients WHERE (notify & 16) <> 0 AND state <> 0 AND state <> 5),
                (SELECT COUNT(*) FROM chunks c WHERE NOT EXISTS (SELECT 1 FROM messages m WHERE m.id = (c.id >> 16) AND m.content_refs > 0))
            """,
            cancellation);
        return
        [
            new("unrouted messages", counts[0]), new("queued recipients", counts[1]), new("claims", counts[2]),
            new("held recipients", counts[3]), new("reports owed", counts[4]), new(BytesWithoutOwner, counts[5]),
        ];
    }

    /// <summary>Lets go what is held because workers died over it, as an operator does. Returns how many messages that were.</summary>
    public async Task<int> ReleaseHeldAsync(CancellationToken cancellation = default)
    {
        var released = 0;
        while ((await CountAsync("SELECT COALESCE(MIN(id >> 16), 0) FROM recipients WHERE state = 5", cancellation))[0] is > 0 and var held)
        {
            await AdministerAsync(["message", "release", held.ToString("X", CultureInfo.InvariantCulture)], cancellation: cancellation);
            released++;
        }
        return released;
    }

    /// <summary>What lies in the broker; error queues are among it.</summary>
    public async Task<IReadOnlyList<Remainder>> RemainingInBrokerAsync(CancellationToken cancellation = default) =>
    [
        .. (await Servers.Rabbit.ListQueuesAsync(Connections.VirtualHost, cancellation))
            .Select(queue => new Remainder($"broker queue {queue.Name}", queue.Ready + queue.Unacknowledged)),
    ];

    /// <summary>
    /// Attempts that ended in doubt between final dot and reply, as the history has them: the address of each. Of the recipients in a
    /// domain or below it.
    /// </summary>
    public async Task<IReadOnlyList<string>> ListUncertainAsync(string below, CancellationToken cancellation = default)
    {
        // An attempt without its recipient is in doubt somewhere.
        var text = await Servers.Postgres.QueryAsync(
            $"""
            SELECT COALESCE(r.address, '?') FROM attempts a LEFT JOIN recipients r ON r.id = a.recipient_id
            WHERE a.outcome = 4 AND COALESCE(r.address, '?') ~ '(^\?|[@.]{below.Replace(".", "\\.", StringComparison.Ordinal)})$'
            """,
            Connections.Database.Split("Database=")[1], cancellation);
        return text.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
    }

    /// <summary>What the running processes have used.</summary>
    public TimeSpan ProcessorTime => _services.Where(service => service.IsRunning).Aggregate(TimeSpan.Zero, (sum, service) => sum + service.Process.ProcessorTime);

    /// <summary>A counter summed over the running processes of a service; processes that have died took theirs with them.</summary>
    public async Task<double> SumMetricAsync(ServiceKind kind, string name, CancellationToken cancellation = default)
    {
        var sum = 0.0;
        foreach (var service in Of(kind).Where(service => service.IsRunning))
            sum += await service.Web.ReadMetricAsync(name, cancellation) ?? 0;
        return sum;
    }

    /// <summary>The newest lines of what each process wrote, for judging a failure.</summary>
    public string Describe(int lines = 15) => string.Join('\n', _services.Select(service =>
        $"==== {service.Name} ({(service.IsRunning ? "runs" : "ended")})\n{string.Join('\n', service.Output.Split('\n').TakeLast(lines))}"));

    public async ValueTask DisposeAsync()
    {
        // Together, not one after the other: nobody takes over from anybody now.
        await Task.WhenAll(_services.Select(service => service.DisposeAsync().AsTask()));
    }

    private ServiceProcess Add(ServiceKind kind, string[] settings, IReadOnlyDictionary<string, string?> environment, NetworkNamespace? network)
    {
        var name = $"{kind.ToString().ToLowerInvariant()}-{_added[(int)kind] += 1}";
        var service = new ServiceProcess(kind, name, Path.Combine(_folder, name), [.. _settings, .. settings], environment, network);
        _services.Add(service);
        service.Launch();
        return service;
    }
}
