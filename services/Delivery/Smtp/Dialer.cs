using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using MailPipeline.Delivery.Routing;
using MailPipeline.Delivery.Sources;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Smtp;

/// <summary>A connection of which nothing was read yet.</summary>
/// <param name="Source">Where it comes from; null: from whatever address the system has chosen.</param>
internal readonly record struct Dialled(Socket Socket, SourceLease? Source)
{
    public void Close()
    {
        Socket.Dispose();
        Source?.Dispose();
    }
}

/// <summary>Where to, and as whom.</summary>
/// <param name="Outlet">Where it leaves; null: from whatever address the system chooses.</param>
/// <param name="IsCounted">There may not be two connections, not even for a moment.</param>
/// <param name="GiveUp">Ends it as one that failed.</param>
internal sealed record DialPlan(TargetHost Host, SourceOutlet? Outlet, bool IsCounted, CancellationToken GiveUp)
{
    /// <summary>Name and address, or the path of a socket.</summary>
    public string RemoteOf(IPAddress address) => Host.IsSocket ? Host.Name : $"{Host.Name}[{address}]:{Host.Port}";

    public EndPoint EndPointOf(IPAddress address) => Host.IsSocket ? new UnixDomainSocketEndPoint(Host.Name) : new IPEndPoint(address, Host.Port);

    /// <summary>In sentences about failures: what is known by its address alone is not named twice.</summary>
    public string PeerOf(IPAddress address) =>
        ServiceDefaults.HostAddress.TryParse(Host.Name, out _) ? $"{EndPointOf(address)}" : RemoteOf(address);
}

/// <summary>
/// Makes connections: directly, from a source address, or through the egress of one. Every failure is a <see cref="SmtpConnectionException"/>, and says
/// whether it is the host's or our own.
/// </summary>
internal sealed class Dialer(IOptions<DeliveryOptions> options, TimeProvider time)
{
    /// <summary>TCP_NOTSENT_LOWAT of Linux.</summary>
    private const int TcpUnsentLowMark = 25;

    /// <summary>IP_BIND_ADDRESS_NO_PORT of Linux.</summary>
    private const int BindWithoutPort = 24;

    private const int MostUnsentBytes = 128 * 1024;

    private readonly TimeSpan _connectTime = options.Value.Timeouts.Connect;

    /// <param name="lost">Somebody else has won: it ends with an <see cref="OperationCanceledException"/>, as by the stop of the process.</param>
    public async Task<Dialled> OpenAsync(DialPlan plan, IPAddress address, CancellationToken lost, CancellationToken cancellationToken)
    {
        while (true)
        {
            SourceLease? source = null;
            if (plan.Outlet is { } outlet && !plan.Host.IsSocket && (source = await outlet.LendAsync(address.AddressFamily)) is null)
                throw new SmtpConnectionException("4.3.5", outlet.Lack?.Text ?? "No source address can be used") { IsOurs = true };
            try
            {
                return new Dialled(await OpenAsync(plan, address, source?.Source, lost, cancellationToken), source);
            }
            catch (SourceFaultException fault)
            {
                // Another of the pool may do; when none is left, nobody is lent.
                source!.Fault(fault);
                source.Dispose();
            }
            catch
            {
                source?.Dispose();
                throw;
            }
        }
    }

    private async Task<Socket> OpenAsync(DialPlan plan, IPAddress address, Source? source, CancellationToken lost, CancellationToken cancellationToken)
    {
        var peer = plan.PeerOf(address);
        var started = time.GetTimestamp();
        using var timeout = new CancellationTokenSource(_connectTime, time);
        using var any = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, plan.GiveUp, timeout.Token, lost);
        Socket? socket = null;
        try
        {
            if (source?.Egress is { } egress)
                return socket = await OpenThroughAsync(egress, source, new IPEndPoint(address, plan.Host.Port), timeout.Token, any.Token);
            var endPoint = plan.EndPointOf(address);
            socket = new Socket(endPoint.AddressFamily, SocketType.Stream, plan.Host.IsSocket ? ProtocolType.Unspecified : ProtocolType.Tcp);
            if (!plan.Host.IsSocket)
                SetUp(socket);
            if (source is not null)
                Bind(socket, source);
            await socket.ConnectAsync(endPoint, any.Token);
            return socket;
        }
        catch (Exception error) when (error is SocketException or OperationCanceledException or HostUnreachedException)
        {
            socket?.Dispose();
            cancellationToken.ThrowIfCancellationRequested();
            lost.ThrowIfCancellationRequested();
            var text = error switch
            {
                SocketException failure => ConnectionFault.OfConnect(failure, peer),
                HostUnreachedException unreached => $"No connection to {peer}: {unreached.Message}",
                _ => timeout.IsCancellationRequested
                    ? ConnectionFault.ConnectTimeout(peer, _connectTime) : ConnectionFault.GivenUp(peer, "no answer to the connection", time.GetElapsedTime(started)),
            };
            throw new SmtpConnectionException("4.4.1", text, isTimeout: error is OperationCanceledException, error);
        }
        catch
        {
            socket?.Dispose();
            throw;
        }
    }

    /// <summary>That the egress is away says nothing of the host; a time-out may be either's, and is taken for the host's once the egress has answered.</summary>
    private static async Task<Socket> OpenThroughAsync(EgressHop egress, Source source, IPEndPoint host, CancellationToken timeout, CancellationToken cancellationToken)
    {
        var socket = egress.EndPoint is IPEndPoint known
            ? new Socket(known.AddressFamily, SocketType.Stream, ProtocolType.Tcp) : new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            SetUp(socket);
            try
            {
                await socket.ConnectAsync(egress.EndPoint, cancellationToken);
            }
            catch (SocketException away)
            {
                throw new SourceFaultException(ConnectionFault.OfConnect(away, $"the egress {egress.Name}"), away);
            }
            catch (OperationCanceledException late) when (timeout.IsCancellationRequested)
            {
                throw new SourceFaultException($"The egress {egress.Name} does not answer", late);
            }

            if (egress.Kind == EgressKind.Socks5)
            {
                await Socks5.ConnectAsync(socket, egress, host, cancellationToken);
                return socket;
            }

            ReadOnlyMemory<byte> lead = ProxyLead.Of(new IPEndPoint(source.Address, 0), host);
            while (lead.Length > 0)
                lead = lead[await socket.SendAsync(lead, cancellationToken)..];
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static void SetUp(Socket socket)
    {
        socket.NoDelay = true;
        // The system would take some megabytes of a message in the place of a far end that takes nothing, and its final dot with them: nobody
        // would know how far it came, and a message that never arrived would count as uncertain.
        TrySet(socket, SocketOptionLevel.Tcp, TcpUnsentLowMark, MostUnsentBytes);
    }

    private static void Bind(Socket socket, Source source)
    {
        // The port is chosen when it is known where to: an address has as many connections as it has ports for each host, and not for all.
        TrySet(socket, SocketOptionLevel.IP, BindWithoutPort, 1);
        try
        {
            socket.Bind(new IPEndPoint(source.Local, 0));
        }
        catch (SocketException absent)
        {
            throw new SourceFaultException($"{Environment.MachineName} cannot send from {source.Local}: {absent.SocketErrorCode}", absent);
        }
    }

    private static void TrySet(Socket socket, SocketOptionLevel level, int option, int value)
    {
        if (!OperatingSystem.IsLinux())
            return;
        try
        {
            Span<byte> bytes = stackalloc byte[sizeof(int)];
            MemoryMarshal.Write(bytes, value);
            socket.SetRawSocketOption((int)level, option, bytes);
        }
        catch (SocketException)
        {
            // A system without it, such as a sandbox; it does without.
        }
    }
}
