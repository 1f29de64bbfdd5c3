using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Delivery.Routing;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// The client's side of SOCKS5 (RFC 1928), with a user's name and password (RFC 1929): CONNECT to an address, never to a name. Reads no octet beyond what
/// the server has to say, so that the next one is the far end's.
/// </summary>
internal static class Socks5
{
    private const byte Version = 5;
    private const byte NoLogin = 0;
    private const byte UserName = 2;
    private const byte NoneFits = 0xFF;
    private const byte LoginVersion = 1;
    private const byte Connect = 1;
    private const byte IPv4 = 1;
    private const byte Name = 3;
    private const byte IPv6 = 4;
    private const int PortBytes = 2;

    /// <summary>RFC 1929 §2: the length of each is one octet.</summary>
    private const int LongestWord = 255;

    /// <summary>What RFC 1928 §6 names, and whether it is about the host (or else about the server and us).</summary>
    private static readonly (string Text, bool IsOfHost)[] s_replies =
    [
        ("", false), ("it failed", false), ("its rules forbid it", false), ("the network cannot be reached", true), ("the host cannot be reached", true),
        ("the host refused the connection", true), ("the host is too far away (TTL)", true), ("it does not know CONNECT", false),
        ("it does not know this kind of address", false),
    ];

    /// <summary>Name and password as they are in the file, or in the folder, at this moment.</summary>
    /// <exception cref="InvalidDataException">There are none that fit; its message goes on behind "...:EgressCredentials is '...'; ".</exception>
    public static (byte[] UserName, byte[] Password) Read(string path)
    {
        var credentials = SmarthostCredentials.Read(path);
        var words = (Encoding.UTF8.GetBytes(credentials.UserName), Encoding.UTF8.GetBytes(credentials.Secret));
        return words is ({ Length: > 0 and <= LongestWord }, { Length: > 0 and <= LongestWord })
            ? words : throw new InvalidDataException($"a user name and a password of 1 to {LongestWord} octets must be in it");
    }

    /// <summary>When it returns the socket is the far end's.</summary>
    /// <exception cref="SourceFaultException">The server does not do it for us, or is none.</exception>
    /// <exception cref="HostUnreachedException">The server could not reach the host.</exception>
    public static async Task ConnectAsync(Socket socket, EgressHop egress, IPEndPoint host, CancellationToken cancellationToken)
    {
        (byte[] UserName, byte[] Password)? login = null;
        try
        {
            if (egress.Credentials.Length > 0)
                login = Read(egress.Credentials);
            await LogInAsync(socket, egress, login, cancellationToken);
            await SendAsync(socket, Request(host), cancellationToken);
            var head = await ReceiveAsync(socket, 4, cancellationToken);
            if (head[0] != Version)
                throw NotSocks(egress);
            if (head[1] != 0)
            {
                var (text, isOfHost) = head[1] < s_replies.Length ? s_replies[head[1]] : ("it failed", false);
                var said = $"{text} (SOCKS5 {head[1]}, {egress.Name})";
                throw isOfHost ? new HostUnreachedException(said) : new SourceFaultException($"The egress does not connect: {said}");
            }

            // Which address it has bound; of no use, as many servers name none.
            var rest = head[3] switch
            {
                IPv4 => 4,
                IPv6 => 16,
                Name => (await ReceiveAsync(socket, 1, cancellationToken))[0],
                _ => throw NotSocks(egress),
            };
            await ReceiveAsync(socket, rest + PortBytes, cancellationToken);
        }
        catch (InvalidDataException unfit)
        {
            throw new SourceFaultException($"The login for the egress {egress.Name} cannot be used: {unfit.Message}", unfit);
        }
        catch (Exception broken) when (broken is SocketException or EndOfStreamException)
        {
            throw new SourceFaultException($"The egress {egress.Name} broke off", broken);
        }
    }

    private static async Task LogInAsync(Socket socket, EgressHop egress, (byte[] UserName, byte[] Password)? login, CancellationToken cancellationToken)
    {
        // Where we have a login nobody gets us without.
        await SendAsync(socket, [Version, 1, login is null ? NoLogin : UserName], cancellationToken);
        var chosen = await ReceiveAsync(socket, 2, cancellationToken);
        if (chosen[0] != Version)
            throw NotSocks(egress);
        if (chosen[1] == NoneFits)
            throw new SourceFaultException($"The egress {egress.Name} wants {(login is null ? "a login" : "another kind of login")}");
        if (chosen[1] != (login is null ? NoLogin : UserName))
            throw NotSocks(egress);
        if (login is not var (userName, password))
            return;
        await SendAsync(socket, [LoginVersion, (byte)userName.Length, .. userName, (byte)password.Length, .. password], cancellationToken);
        // RFC 1929 §2: 0 is success, and nothing else.
        if ((await ReceiveAsync(socket, 2, cancellationToken))[1] != 0)
            throw new SourceFaultException($"The egress {egress.Name} does not take our login");
    }

    private static byte[] Request(IPEndPoint host)
    {
        var address = host.Address.GetAddressBytes();
        byte[] request = [Version, Connect, 0, address.Length == 4 ? IPv4 : IPv6, .. address, 0, 0];
        BinaryPrimitives.WriteUInt16BigEndian(request.AsSpan(request.Length - PortBytes), (ushort)host.Port);
        return request;
    }

    private static SourceFaultException NotSocks(EgressHop egress) => new($"The egress {egress.Name} does not speak SOCKS5");

    private static async Task SendAsync(Socket socket, byte[] bytes, CancellationToken cancellationToken)
    {
        for (var sent = 0; sent < bytes.Length;)
            sent += await socket.SendAsync(bytes.AsMemory(sent), cancellationToken);
    }

    private static async Task<byte[]> ReceiveAsync(Socket socket, int count, CancellationToken cancellationToken)
    {
        var bytes = new byte[count];
        for (var received = 0; received < count;)
        {
            var read = await socket.ReceiveAsync(bytes.AsMemory(received), cancellationToken);
            received += read > 0 ? read : throw new EndOfStreamException();
        }

        return bytes;
    }
}
