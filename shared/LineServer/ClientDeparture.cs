using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;

namespace MailPipeline.LineServer;

/// <summary>
/// Tells a client that has left from one that has only closed its side: it has said everything and waits for our replies, as
/// <c>printf ... | nc -N</c> does. Kestrel says the same of both.
/// </summary>
public sealed class ClientDeparture : IDisposable
{
    // struct tcp_info of Linux begins with the state of the connection.
    private const int ProtocolTcp = 6;
    private const int TcpInfo = 11;
    private const byte CloseWait = 8;

    private readonly CancellationTokenSource _left = new();
    private readonly CancellationTokenRegistration _closed;

    public ClientDeparture(ConnectionContext connection)
    {
        Closed = connection.ConnectionClosed;
        var socket = connection.Features.Get<IConnectionSocketFeature>()?.Socket;
        _closed = Closed.Register(() =>
        {
            if (!IsListening(socket))
                _left.Cancel();
        });
    }

    /// <summary>The client sends nothing more, or is gone: until something is sent to it nobody can tell.</summary>
    public CancellationToken Closed { get; }

    /// <summary>The connection is reset, or broken off by us: no reply reaches anybody.</summary>
    public CancellationToken Left => _left.Token;

    public void Dispose()
    {
        _closed.Dispose();
        _left.Dispose();
    }

    private static bool IsListening(Socket? socket)
    {
        if (socket is null)
            return false;
        // Elsewhere who has closed is believed to listen: at worst some work is done for nobody.
        if (!OperatingSystem.IsLinux())
            return true;
        Span<byte> state = stackalloc byte[1];
        try
        {
            return socket.GetRawSocketOption(ProtocolTcp, TcpInfo, state) > 0 && state[0] == CloseWait;
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            return false;
        }
    }
}
