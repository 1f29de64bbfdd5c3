using System.Net;

namespace MailPipeline.Testing;

/// <summary>The services that run as processes of their own.</summary>
public enum ServiceKind
{
    Ingress,
    Queue,
    Delivery,
    Mailbox,
}

/// <summary>One service in a process of its own, on free loopback ports that it keeps when it is started again.</summary>
public sealed class ServiceProcess : IAsyncDisposable
{
    private readonly string _folder;
    private readonly string[] _settings;
    private readonly IReadOnlyDictionary<string, string?> _environment;
    private readonly int _httpPort = FreePorts.Next();
    private readonly NetworkNamespace? _network;
    private readonly List<ServerProcess> _earlier = [];
    private ServerProcess? _process;
    private bool _wasToEnd;

    /// <param name="name">Its name among the others, e.g. <c>queue-2</c>.</param>
    /// <param name="folder">For its working directory and self-signed certificate; made.</param>
    /// <param name="settings">As on the command line; those of other services' sections are left out.</param>
    /// <param name="network">Where it runs; null: where this process does. Only its HTTP listener can be reached there.</param>
    public ServiceProcess(
        ServiceKind kind, string name, string folder, IEnumerable<string> settings, IReadOnlyDictionary<string, string?>? environment = null,
        NetworkNamespace? network = null)
    {
        Kind = kind;
        _network = network;
        Name = name;
        _folder = Directory.CreateDirectory(folder).FullName;
        _environment = environment ?? new Dictionary<string, string?>();
        _settings = [.. settings.Where(Concerns), .. Own()];
        Web = new WebProbe(new Uri($"http://{HttpAddress}:{_httpPort}/"));
    }

    public ServiceKind Kind { get; }

    public string Name { get; }

    /// <summary>Health and metrics.</summary>
    public WebProbe Web { get; }

    /// <summary>The MX listener of Ingress.</summary>
    public IPEndPoint Smtp { get; } = new(IPAddress.Loopback, FreePorts.Next());

    /// <summary>The POP3 listener of Mailbox.</summary>
    public IPEndPoint Pop3 { get; } = new(IPAddress.Loopback, FreePorts.Next());

    /// <summary>The running (or last) process.</summary>
    public ServerProcess Process => _process ?? throw new InvalidOperationException($"{Name} was not started");

    public bool IsRunning => _process is { HasExited: false };

    /// <summary>It ended, and nobody here had killed it, stopped it or let it stand still.</summary>
    public bool EndedByItself => _process is { HasExited: true } && !_wasToEnd;

    /// <summary>What it wrote, in all of its lives.</summary>
    public string Output => string.Join("\n---- started again\n", _earlier.Append(Process).Select(p => p.Output));

    /// <summary>Starts one with nothing but a bus and a database, neither of which is there, and waits for its end.</summary>
    /// <returns>What it wrote, in lines.</returns>
    public static async Task<(int ExitCode, string[] Output)> EndsAsync(ServiceKind kind, TimeSpan limit, CancellationToken cancellation)
    {
        await using var service = ServerProcess.Start(
            BuiltProgram.DotNet,
            [
                BuiltProgram.Find(kind.ToString()), "--ConnectionStrings:maildb=Host=127.0.0.1;Port=1",
                "--ConnectionStrings:rabbitmq=amqp://guest:guest@127.0.0.1:1/", "--Http:Address=127.0.0.1", "--Http:Port=0",
            ]);
        await service.WaitForExitAsync(cancellation).WaitAsync(limit, cancellation);
        return (service.ExitCode, service.Output.TrimEnd().Split('\n'));
    }

    /// <summary>Starts it and waits for nothing.</summary>
    public void Launch()
    {
        if (_process is not null)
            _earlier.Add(_process);
        _wasToEnd = false;
        string[] arguments = [BuiltProgram.Find(Kind.ToString()), .. _settings];
        _process = _network is { Enter: var enter }
            ? ServerProcess.Start(enter.Program, [.. enter.Arguments, BuiltProgram.DotNet, .. arguments], _folder, _environment)
            : ServerProcess.Start(BuiltProgram.DotNet, arguments, _folder, _environment);
    }

    public Task WaitUntilReadyAsync(TimeSpan limit, CancellationToken cancellation = default) =>
        Process.WaitUntilAsync(Web.IsReadyAsync, limit, Name, cancellation);

    /// <summary>Waits for its bus too, and with it for the endpoints that it declares there.</summary>
    public Task WaitUntilHealthyAsync(TimeSpan limit, CancellationToken cancellation = default) =>
        Process.WaitUntilAsync(Web.IsHealthyAsync, limit, Name, cancellation);

    /// <summary>SIGKILL: nothing is flushed, nobody is told.</summary>
    public Task KillAsync()
    {
        _wasToEnd = true;
        return Process.KillAsync();
    }

    /// <summary>SIGTERM; false when it did not end within the limit and had to be killed.</summary>
    public Task<bool> StopAsync(TimeSpan? limit = null)
    {
        _wasToEnd = true;
        return Process.StopAsync(limit ?? TimeSpan.FromSeconds(45));
    }

    /// <summary>SIGSTOP: it stands still and knows nothing of it. A silo that others declare dead meanwhile ends when it hears of that.</summary>
    public void Freeze()
    {
        _wasToEnd = true;
        Process.Send(Signal.Stop);
    }

    /// <summary>SIGCONT.</summary>
    public void Thaw() => Process.Send(Signal.Continue);

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _earlier)
            await process.DisposeAsync();
        if (_process is not null)
            await _process.DisposeAsync();
    }

    private IPAddress HttpAddress => _network?.Inside ?? IPAddress.Loopback;

    private bool Concerns(string setting) =>
        // Mailbox asks no DNS.
        !(Kind == ServiceKind.Mailbox && setting.StartsWith("--Dns:", StringComparison.Ordinal))
        && Enum.GetNames<ServiceKind>().All(service => service == Kind.ToString() || !setting.StartsWith($"--{service}:", StringComparison.Ordinal));

    private IEnumerable<string> Own()
    {
        yield return $"--Http:Address={HttpAddress}";
        yield return $"--Http:Port={_httpPort}";
        if (Kind == ServiceKind.Queue)
            yield return $"--Queue:SiloPort={FreePorts.Next()}";
        if (Kind is ServiceKind.Ingress or ServiceKind.Mailbox)
        {
            yield return $"--Tls:SelfSignedDirectory={Path.Combine(_folder, "tls")}";
            yield return $"--{Kind}:Listeners:0:Address=127.0.0.1";
            yield return $"--{Kind}:Listeners:0:Port={(Kind == ServiceKind.Ingress ? Smtp : Pop3).Port}";
            yield return $"--{Kind}:Listeners:0:Tls=StartTls";
        }
        if (Kind == ServiceKind.Ingress)
            yield return "--Ingress:Listeners:0:Kind=Mx";
    }
}
