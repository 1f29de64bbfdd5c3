using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace MailPipeline.Testing;

/// <summary>
/// A RabbitMQ broker from Debian's programs: an Erlang node with a home, cookie, port mapper and data of its own in a
/// temporary folder, on loopback only. As root it runs as the user <c>rabbitmq</c>.
/// </summary>
public sealed class RabbitMqServer : IAsyncDisposable
{
    public const string UserPassword = "correct-horse";

    private const string Programs = "/usr/lib/rabbitmq/bin";

    // Each instance has a port mapper of its own, so that all nodes may have the same name.
    private const string NodeName = "mailpipeline@localhost";

    // Erlang loads all of its code at every start; a busy machine takes long over it.
    private static readonly TimeSpan s_startLimit = TimeSpan.FromMinutes(5);

    private readonly TempFolder _folder;
    private readonly string _cookie;
    private readonly Dictionary<string, string?> _environment;
    private readonly ServerProcess _portMapper;
    private ServerProcess _process;

    private RabbitMqServer(TempFolder folder, string cookie, int port, int mapperPort)
    {
        _folder = folder;
        _cookie = cookie;
        Port = port;
        _environment = new()
        {
            ["HOME"] = folder["home"],
            ["RABBITMQ_NODENAME"] = NodeName,
            ["RABBITMQ_MNESIA_BASE"] = folder["data"],
            ["RABBITMQ_LOG_BASE"] = folder["log"],
            ["RABBITMQ_CONFIG_FILE"] = folder["rabbitmq.conf"],
            ["RABBITMQ_CONF_ENV_FILE"] = folder["none"],
            ["RABBITMQ_ENABLED_PLUGINS_FILE"] = folder["enabled_plugins"],
            ["RABBITMQ_LOGS"] = "-",
            ["RABBITMQ_DIST_PORT"] = $"{FreePorts.Next()}",
            ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1}",
            ["ERL_EPMD_PORT"] = $"{mapperPort}",
            ["ERL_EPMD_ADDRESS"] = "127.0.0.1",
            // The script then becomes the broker, so that the process id is the broker's.
            ["RUNNING_UNDER_SYSTEMD"] = "true",
        };
        _portMapper = Launch(DebianProgram.Find("epmd", "erlang-base"), ["-port", $"{mapperPort}", "-address", "127.0.0.1"]);
        _process = LaunchBroker();
    }

    public int Port { get; }

    /// <summary>Id of the broker's process.</summary>
    public int ProcessId => _process.Id;

    public string Output => _process.Output;

    public string ConnectionString => $"amqp://guest:guest@127.0.0.1:{Port}/";

    public static async Task<RabbitMqServer> StartAsync(CancellationToken cancellation = default)
    {
        if (!File.Exists(Path.Combine(Programs, "rabbitmq-server")))
            _ = DebianProgram.Find("rabbitmq-server", "rabbitmq-server");
        var folder = new TempFolder("rabbitmq");
        RabbitMqServer? server = null;
        try
        {
            var port = FreePorts.Next();
            folder.CreateFolder("data");
            folder.CreateFolder("log");
            folder.CreateFolder("home");
            var cookie = Guid.NewGuid().ToString("N");
            folder.WriteSecret("home/.erlang.cookie", cookie);
            folder.Write("enabled_plugins", "[].\n");
            folder.Write("rabbitmq.conf", $"""
                listeners.tcp.1 = 127.0.0.1:{port}
                log.console = true
                log.console.level = warning
                disk_free_limit.absolute = 50MB

                """);
            if (Environment.IsPrivilegedProcess)
                await ServerProcess.RunAsync(DebianProgram.Find("chown", "coreutils"), ["-R", "rabbitmq", folder.FullPath], cancellation: cancellation);
            server = new RabbitMqServer(folder, cookie, port, FreePorts.Next());
            await server.WaitAsync(cancellation);
            return server;
        }
        catch
        {
            if (server is not null)
                await server.DisposeAsync();
            folder.Dispose();
            throw;
        }
    }

    /// <summary>SIGKILL: nothing is flushed.</summary>
    public Task KillAsync() => _process.KillAsync();

    /// <summary>Orderly, as for an upgrade.</summary>
    public Task StopAsync() => _process.StopAsync(TimeSpan.FromSeconds(60));

    /// <summary>Starts it again on the same port and data after a stop or a kill.</summary>
    public async Task RestartAsync(CancellationToken cancellation = default)
    {
        await _process.DisposeAsync();
        _process = LaunchBroker();
        await WaitAsync(cancellation);
    }

    /// <summary>
    /// Makes a virtual host, e.g. one per test, and returns its connection string. The users get the rights given here and the
    /// password <see cref="UserPassword"/>; nobody else but guest has any.
    /// </summary>
    public async Task<string> CreateVirtualHostAsync(string name, IEnumerable<BrokerRights>? users = null, CancellationToken cancellation = default)
    {
        BrokerRights[] rights = [.. users ?? []];
        var definitions = new
        {
            vhosts = new[] { new { name } },
            users = rights.Select(user => new { name = user.User, password = UserPassword, tags = Array.Empty<string>() }),
            permissions = rights.Append(new BrokerRights("guest", ".*", ".*", ".*"))
                .Select(user => new { user = user.User, vhost = name, configure = user.Configure, write = user.Write, read = user.Read }),
        };
        _folder.Write("definitions.json", JsonSerializer.Serialize(definitions));
        await EvaluateAsync($$"""{ok, D} = file:read_file("{{_folder["definitions.json"]}}"), ok = rabbit_definitions:import_raw(D).""", cancellation);
        return ConnectionString + name;
    }

    /// <summary>The connection string of one of the users of a virtual host.</summary>
    public string ConnectionStringOf(string user, string virtualHost) => $"amqp://{user}:{UserPassword}@127.0.0.1:{Port}/{virtualHost}";

    /// <summary>Runs rabbitmqctl and returns its output.</summary>
    public async Task<string> ControlAsync(IEnumerable<string> arguments, CancellationToken cancellation = default)
    {
        var (program, all) = AsBroker(Path.Combine(Programs, "rabbitmqctl"), ["--quiet", .. arguments]);
        return await ServerProcess.RunAsync(program, all, _folder.FullPath, _environment, cancellation: cancellation);
    }

    /// <summary>Has the broker itself evaluate Erlang, and returns what that wrote: rabbitmqctl takes seconds, most of them to start.</summary>
    private async Task<string> EvaluateAsync(string erlang, CancellationToken cancellation)
    {
        var (program, all) = AsBroker(
            DebianProgram.Find("erl_call", "erlang-base"), ["-address", $"127.0.0.1:{_environment["RABBITMQ_DIST_PORT"]}", "-c", _cookie, "-timeout", "60", "-fetch_stdout", "-e"]);
        var output = await ServerProcess.RunAsync(program, all, _folder.FullPath, _environment, erlang.ReplaceLineEndings(" ") + "\n", cancellation);
        // It ends with 0 also when the evaluation failed.
        return output.EndsWith("{ok, ok}", StringComparison.Ordinal) ? output[..^8] : throw new InvalidOperationException($"The broker said {output} to {erlang}");
    }

    /// <summary>All queues of a virtual host with what lies in them.</summary>
    public async Task<IReadOnlyList<BrokerQueue>> ListQueuesAsync(string virtualHost = "/", CancellationToken cancellation = default)
    {
        var text = await EvaluateAsync(
            $$"""
            lists:foreach(fun(Q) ->
                {resource, _, _, N} = proplists:get_value(name, Q),
                io:format("~s\t~p\t~p\t~p~n", [N | [proplists:get_value(I, Q) || I <- [messages_ready, messages_unacknowledged, type]]]) end,
                rabbit_amqqueue:info_all(<<"{{virtualHost}}">>, [name, messages_ready, messages_unacknowledged, type])).
            """,
            cancellation);
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => line.Split('\t'))
            .Where(cells => cells.Length == 4)
            .Select(cells => new BrokerQueue(cells[0], Number(cells[1]), Number(cells[2]), cells[3]))];
    }

    /// <summary>With an alarm, publishers are blocked without an error.</summary>
    public Task SetMemoryAlarmAsync(bool on, CancellationToken cancellation = default) =>
        ControlAsync(["set_vm_memory_high_watermark", on ? "0.000001" : "0.4"], cancellation);

    /// <summary>Ends all connections of clients; what they had not acknowledged is delivered again.</summary>
    public Task CloseConnectionsAsync(CancellationToken cancellation = default) =>
        ControlAsync(["close_all_connections", "by the test"], cancellation);

    public async ValueTask DisposeAsync()
    {
        await _process.DisposeAsync();
        await _portMapper.DisposeAsync();
        _folder.Dispose();
    }

    private static long Number(string cell) => long.TryParse(cell, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0;

    private Task WaitAsync(CancellationToken cancellation) => _process.WaitUntilAsync(
        ct => FreePorts.AcceptsAsync(new IPEndPoint(IPAddress.Loopback, Port), ct), s_startLimit, "rabbitmq-server", cancellation);

    private ServerProcess LaunchBroker() => Launch(Path.Combine(Programs, "rabbitmq-server"), []);

    private ServerProcess Launch(string path, IEnumerable<string> arguments)
    {
        var (program, all) = AsBroker(path, arguments);
        return ServerProcess.Start(program, all, _folder.FullPath, _environment);
    }

    // setpriv replaces itself by the program, so that the process id is the program's.
    private static (string Program, IEnumerable<string> Arguments) AsBroker(string path, IEnumerable<string> arguments) =>
        Environment.IsPrivilegedProcess
            ? (DebianProgram.Find("setpriv", "util-linux"), ["--reuid", "rabbitmq", "--regid", "rabbitmq", "--clear-groups", path, .. arguments])
            : (path, arguments);
}

/// <summary>A queue of the broker.</summary>
/// <param name="Ready">Messages that wait for a consumer.</param>
/// <param name="Unacknowledged">Messages that consumers are working on.</param>
/// <param name="Type"><c>quorum</c> or <c>classic</c>.</param>
public sealed record BrokerQueue(string Name, long Ready, long Unacknowledged, string Type);

/// <summary>What a user may do, as regular expressions over the names of queues and exchanges.</summary>
public sealed record BrokerRights(string User, string Configure, string Write, string Read)
{
    /// <summary>The users of the services, from the table of the operations guide.</summary>
    public static IReadOnlyList<BrokerRights> OfServices { get; } = Parse(BuiltProgram.FindInRepository("docs/operations.md"));

    // | `ingress` | `configure` | `write` | `read` |; a bar within an expression is written \|.
    private static List<BrokerRights> Parse(string file)
    {
        var rows = File.ReadLines(file).SkipWhile(line => !line.StartsWith("| user | configure |", StringComparison.Ordinal)).Skip(2)
            .TakeWhile(line => line.StartsWith('|'));
        return [.. rows.Select(row => Regex.Split(row, @"(?<!\\)\|").Select(cell => cell.Replace("\\|", "|", StringComparison.Ordinal).Trim().Trim('`')).ToArray())
            .Select(cells => new BrokerRights(cells[1], cells[2], cells[3], cells[4]))];
    }
}
