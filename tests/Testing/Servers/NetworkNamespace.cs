using System.Net;

namespace MailPipeline.Testing;

/// <summary>
/// A network of its own for some processes of a test, with a link to this process and links to other such networks that
/// can be cut in one direction. Its addresses are of the range for tests of networks (RFC 2544, 198.18.0.0/15), reachable
/// from this machine alone. Made with iproute2, as root.
/// </summary>
public sealed class NetworkNamespace : IAsyncDisposable
{
    /// <summary>An Ethernet address that nobody has: what is sent there is lost without an error.</summary>
    private const string Nobody = "02:00:00:00:00:01";

    private static int s_made;

    private readonly Dictionary<NetworkNamespace, (string Device, IPAddress Own)> _links = [];
    private readonly string _outside;

    private NetworkNamespace(int number)
    {
        Name = $"mailpipeline-{Environment.ProcessId}-{number}";
        _outside = $"mp{Environment.ProcessId}n{number}";
        (Outside, Inside) = Pair(number);
    }

    public string Name { get; }

    /// <summary>This process's end of the link.</summary>
    public IPAddress Outside { get; }

    /// <summary>Its own end of that link.</summary>
    public IPAddress Inside { get; }

    /// <summary>A program, and the arguments before those of the program that is to run inside. The process id stays the same.</summary>
    public (string Program, IEnumerable<string> Arguments) Enter => (Ip, ["netns", "exec", Name]);

    private static string Ip => DebianProgram.Find("ip", "iproute2");

    /// <summary>Why no namespace can be made here, for instance because we are not root; null when it can.</summary>
    public static async Task<string?> FindObstacleAsync()
    {
        try
        {
            await using var tried = await CreateAsync();
            return null;
        }
        catch (InvalidOperationException obstacle)
        {
            return $"Network namespaces cannot be made here: {obstacle.Message}";
        }
    }

    public static async Task<NetworkNamespace> CreateAsync()
    {
        var made = new NetworkNamespace(Interlocked.Increment(ref s_made));
        try
        {
            await RunAsync("netns", "add", made.Name);
            await RunAsync("link", "add", made._outside, "type", "veth", "peer", "name", "outside", "netns", made.Name);
            await RunAsync("addr", "add", $"{made.Outside}/30", "dev", made._outside);
            await RunAsync("link", "set", made._outside, "up");
            await made.RunInsideAsync("link", "set", "lo", "up");
            await made.RunInsideAsync("addr", "add", $"{made.Inside}/30", "dev", "outside");
            await made.RunInsideAsync("link", "set", "outside", "up");
            return made;
        }
        catch
        {
            await made.DisposeAsync();
            throw;
        }
    }

    /// <summary>Makes a link between the two.</summary>
    /// <returns>The address of this one and of the other on it.</returns>
    public async Task<(IPAddress Own, IPAddress Other)> LinkAsync(NetworkNamespace other)
    {
        var number = Interlocked.Increment(ref s_made);
        var (own, others) = Pair(number);
        var device = $"link{number}";
        await RunInsideAsync("link", "add", device, "type", "veth", "peer", "name", device, "netns", other.Name);
        foreach (var (end, address) in new[] { (this, own), (other, others) })
        {
            await end.RunInsideAsync("addr", "add", $"{address}/30", "dev", device);
            await end.RunInsideAsync("link", "set", device, "up");
        }
        _links[other] = (device, own);
        other._links[this] = (device, others);
        return (own, others);
    }

    /// <summary>From now on nothing that is sent from here reaches the other; what the other sends still comes in here.</summary>
    public Task CutAsync(NetworkNamespace other) =>
        RunInsideAsync("neigh", "replace", $"{other._links[this].Own}", "lladdr", Nobody, "dev", _links[other].Device, "nud", "permanent");

    public Task HealAsync(NetworkNamespace other) =>
        RunInsideAsync("neigh", "del", $"{other._links[this].Own}", "dev", _links[other].Device);

    public async ValueTask DisposeAsync()
    {
        foreach (var command in new[] { new[] { "link", "del", _outside }, ["netns", "del", Name] })
        {
            try
            {
                await RunAsync(command);
            }
            catch (InvalidOperationException)
            {
                // Not made, or gone with the other.
            }
        }
    }

    private static (IPAddress, IPAddress) Pair(int number)
    {
        // Different test processes side by side take different networks, mostly.
        var network = ((Environment.ProcessId * 31) + number) % (1 << 14) * 4;
        return (At(network + 1), At(network + 2));

        static IPAddress At(int host) => new([198, 18, (byte)(host >> 8), (byte)host]);
    }

    private Task RunInsideAsync(params string[] arguments) => RunAsync(["-n", Name, .. arguments]);

    private static Task RunAsync(params string[] arguments) => ServerProcess.RunAsync(Ip, arguments);
}
