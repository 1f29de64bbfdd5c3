using System.Net;
using System.Net.Sockets;

namespace MailPipeline.Testing;

/// <summary>
/// Loopback ports that nobody uses, below the range from which the system takes ports for outgoing connections. A port
/// is held by a lock file as long as this process lives, so that test processes side by side do not take the same.
/// </summary>
public static class FreePorts
{
    private const int First = 20_000;
    private const int Last = 32_000;

    private static readonly int[] DefaultPorts = [2525, 2587, 2465, 2110, 2995, 8080, 11111];
    private static readonly List<FileStream> Held = [];

    /// <summary>A port free for TCP and UDP.</summary>
    public static int Next() => TakeFrom(Random.Shared.Next(First, Last), First, Last, step: 1, port => [port]);

    /// <summary>A value for --port-offset with which all of the product's default ports are free.</summary>
    public static int NextOffset() =>
        TakeFrom(Random.Shared.Next(100, 900) * 20, 2_000, 18_000, step: 20, offset => [.. DefaultPorts.Select(p => p + offset)]);

    private static int TakeFrom(int start, int first, int last, int step, Func<int, int[]> ports)
    {
        var candidate = Math.Clamp(start, first, last);
        for (var tries = 0; tries < (last - first) / step; tries++)
        {
            candidate = candidate + step > last ? first : candidate + step;
            if (TryHold(ports(candidate)))
                return candidate;
        }
        throw new InvalidOperationException("No free port left");
    }

    private static bool TryHold(int[] ports)
    {
        var taken = new List<FileStream>();
        foreach (var port in ports)
        {
            if (IsFree(port) && TryLock(port) is { } held)
            {
                taken.Add(held);
                continue;
            }
            taken.ForEach(file => file.Dispose());
            return false;
        }
        lock (Held)
            Held.AddRange(taken);
        return true;
    }

    private static FileStream? TryLock(int port)
    {
        var folder = Path.Combine(Path.GetTempPath(), "mailpipeline-ports");
        Directory.CreateDirectory(folder);
        try
        {
            return new FileStream(Path.Combine(folder, $"{port}"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static bool IsFree(int port)
    {
        try
        {
            using var tcp = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            tcp.Bind(new IPEndPoint(IPAddress.Any, port));
            using var udp = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            udp.Bind(new IPEndPoint(IPAddress.Any, port));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Whether something accepts connections there.</summary>
    public static async Task<bool> AcceptsAsync(IPEndPoint endPoint, CancellationToken cancellation)
    {
        using var socket = new Socket(endPoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(endPoint, cancellation);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
