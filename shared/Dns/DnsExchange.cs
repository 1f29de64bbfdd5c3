using System.Buffers;
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;

namespace MailPipeline.Dns;

/// <summary>
/// One question to one server: over UDP, and over TCP when the answer is cut short. Each question has a socket, and with it a port,
/// and an id of its own, and whatever does not answer it is passed over until the time is up (RFC 5452 §9). So many are under way at once;
/// the time of one that waits for its turn has not begun.
/// </summary>
internal sealed class DnsExchange(TimeSpan timeout, int maxQuestions, TimeProvider time) : IDisposable
{
    private readonly SemaphoreSlim _turns = new(maxQuestions);

    // More than we say we take; what fills it was cut off.
    private const int DatagramBytes = 4096;

    // Somebody guesses at the id. Over TCP there is nothing to guess.
    private const int MaxForgeries = 64;

    /// <summary>This machine has no socket to ask with.</summary>
    public static bool IsOurs(SocketException fault) => fault.SocketErrorCode is SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable;

    /// <summary>Null and the reason, in which the server is named, when there is no answer that can be decoded.</summary>
    /// <exception cref="SocketException">As <see cref="IsOurs"/> says.</exception>
    public async Task<(DnsReply? Reply, string Error)> AskAsync(IPEndPoint server, DnsQuery query, CancellationToken cancellationToken)
    {
        var result = await AskAsync(server, query, withEdns: true, cancellationToken);
        // RFC 6891 §7: servers and firewalls that do not know EDNS say so in these ways.
        if (result.Reply is { Code: DnsResponseCode.FormatError or DnsResponseCode.NotImplemented or DnsResponseCode.BadVersion })
            result = await AskAsync(server, query, withEdns: false, cancellationToken);
        return result;
    }

    public void Dispose() => _turns.Dispose();

    private async Task<(DnsReply? Reply, string Error)> AskAsync(
        IPEndPoint server, DnsQuery query, bool withEdns, CancellationToken cancellationToken)
    {
        var exchange = new Exchange(server, query, withEdns, (ushort)RandomNumberGenerator.GetInt32(ushort.MaxValue + 1));
        await _turns.WaitAsync(cancellationToken);
        try
        {
            var result = await InTimeAsync(exchange, AskOverUdpAsync, cancellationToken);
            return result.Reply is { IsCutShort: true } || exchange.Passed > MaxForgeries
                ? await InTimeAsync(exchange, AskOverTcpAsync, cancellationToken)
                : result;
        }
        finally
        {
            _turns.Release();
        }
    }

    private async Task<(DnsReply? Reply, string Error)> InTimeAsync(
        Exchange exchange, Func<Exchange, byte[], CancellationToken, Task<(DnsReply?, string)>> askAsync, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(timeout, time);
        using var either = cancellationToken.UnsafeRegister(state => ((CancellationTokenSource)state!).Cancel(), deadline);
        var buffer = ArrayPool<byte>.Shared.Rent(DatagramBytes);
        try
        {
            return await askAsync(exchange, buffer, deadline.Token);
        }
        catch (OperationCanceledException)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var passed = exchange.Passed > 0 ? $"; {exchange.Passed} answers that do not belong to the question were passed over" : "";
            return (null, $"{exchange.Server} did not answer within {timeout.TotalSeconds} s{passed}");
        }
        catch (SocketException error) when (!IsOurs(error))
        {
            return (null, $"{exchange.Server} cannot be asked: {error.SocketErrorCode}");
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task<(DnsReply?, string)> AskOverUdpAsync(Exchange exchange, byte[] buffer, CancellationToken cancellationToken)
    {
        using var socket = new Socket(exchange.Server.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
        // Connected: the system passes on nothing that comes from elsewhere, and says when nobody listens there.
        await socket.ConnectAsync(exchange.Server, cancellationToken);
        await socket.SendAsync(buffer.AsMemory(0, exchange.Write(buffer)), SocketFlags.None, cancellationToken);
        while (exchange.Passed <= MaxForgeries)
        {
            var length = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            if (exchange.Query.IsAnsweredBy(buffer.AsSpan(0, length), exchange.Id))
                return exchange.Read(buffer.AsSpan(0, length));
            exchange.Passed++;
        }

        return (null, "");
    }

    // RFC 7766 §8: each message behind its length.
    private static async Task<(DnsReply?, string)> AskOverTcpAsync(Exchange exchange, byte[] buffer, CancellationToken cancellationToken)
    {
        using var socket = new Socket(exchange.Server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(exchange.Server, cancellationToken);
        var length = exchange.Write(buffer.AsSpan(sizeof(ushort)));
        BinaryPrimitives.WriteUInt16BigEndian(buffer, (ushort)length);
        await socket.SendAsync(buffer.AsMemory(0, sizeof(ushort) + length), SocketFlags.None, cancellationToken);

        if (!await FillAsync(socket, buffer.AsMemory(0, sizeof(ushort)), cancellationToken))
            return exchange.Broken();
        var message = new byte[BinaryPrimitives.ReadUInt16BigEndian(buffer)];
        if (!await FillAsync(socket, message, cancellationToken))
            return exchange.Broken();
        return exchange.Query.IsAnsweredBy(message, exchange.Id)
            ? exchange.Read(message)
            : (null, $"{exchange.Server} sent an answer over TCP that does not belong to the question");
    }

    private static async Task<bool> FillAsync(Socket socket, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        while (buffer.Length > 0)
        {
            var read = await socket.ReceiveAsync(buffer, SocketFlags.None, cancellationToken);
            if (read == 0)
                return false;
            buffer = buffer[read..];
        }

        return true;
    }

    private sealed record Exchange(IPEndPoint Server, DnsQuery Query, bool WithEdns, ushort Id)
    {
        /// <summary>Datagrams that did not answer the question.</summary>
        public int Passed { get; set; }

        public int Write(Span<byte> output) => Query.Write(output, Id, WithEdns);

        public (DnsReply?, string) Read(ReadOnlySpan<byte> message) =>
            DnsReply.Read(message, Query) is { } reply ? (reply, "") : (null, $"{Server} sent an answer that cannot be decoded");

        public (DnsReply?, string) Broken() => (null, $"{Server} closed the connection before its answer was whole");
    }
}
