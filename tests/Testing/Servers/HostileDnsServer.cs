using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>A DNS server that says what the test wants, in as many datagrams as it wants, over UDP and TCP.</summary>
public sealed class HostileDnsServer : IAsyncDisposable
{
    private readonly Socket _udp = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private readonly Socket _tcp;
    private readonly CancellationTokenSource _end = new();
    private readonly Task[] _running;

    /// <param name="answer">The datagrams that are sent back for a question.</param>
    /// <param name="answerOverTcp">The message that is sent back over TCP.</param>
    public HostileDnsServer(Func<byte[], IEnumerable<byte[]>> answer, Func<byte[], byte[]>? answerOverTcp = null)
    {
        _tcp = ListenWhere(_udp);
        EndPoint = (IPEndPoint)_tcp.LocalEndPoint!;
        _running = [ServeAsync(answer), ServeOverTcpAsync(answerOverTcp ?? (_ => []))];
    }

    public IPEndPoint EndPoint { get; }

    public int Questions { get; private set; }

    /// <summary>Sends the datagrams from another port, before the own ones.</summary>
    public Func<byte[], byte[]>? Forger { get; init; }

    /// <summary>An answer: SERVFAIL.</summary>
    public static byte[] Failed(byte[] question)
    {
        byte[] answer = [.. question];
        (answer[2], answer[3]) = ((byte)(question[2] | 0x80), 0x82);
        return answer;
    }

    /// <summary>What another server answers over UDP.</summary>
    public static byte[] Ask(IPEndPoint server, byte[] question)
    {
        using var client = new UdpClient();
        client.Connect(server);
        client.Send(question);
        IPEndPoint? from = null;
        return client.Receive(ref from);
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        _udp.Dispose();
        _tcp.Dispose();
        await Task.WhenAll(_running);
        _end.Dispose();
    }

    /// <summary>Binds to a port that is free for both: one that the system gives for TCP may be another's for UDP.</summary>
    private static Socket ListenWhere(Socket udp)
    {
        while (true)
        {
            var tcp = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                tcp.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                tcp.Listen();
                udp.Bind(tcp.LocalEndPoint!);
                return tcp;
            }
            catch (SocketException error) when (error.SocketErrorCode == SocketError.AddressAlreadyInUse)
            {
                tcp.Dispose();
            }
        }
    }

    private async Task ServeAsync(Func<byte[], IEnumerable<byte[]>> answer)
    {
        var buffer = new byte[4096];
        using var other = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        try
        {
            while (true)
            {
                var received = await _udp.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.Any, 0), _end.Token);
                Questions++;
                var question = buffer[..received.ReceivedBytes];
                if (Forger is { } forge)
                    await other.SendToAsync(forge(question), SocketFlags.None, received.RemoteEndPoint, _end.Token);
                foreach (var datagram in answer(question))
                    await _udp.SendToAsync(datagram, SocketFlags.None, received.RemoteEndPoint, _end.Token);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }

    private async Task ServeOverTcpAsync(Func<byte[], byte[]> answer)
    {
        try
        {
            while (true)
            {
                using var client = await _tcp.AcceptAsync(_end.Token);
                await using var stream = new NetworkStream(client);
                var length = new byte[2];
                await stream.ReadExactlyAsync(length, _end.Token);
                var question = new byte[BinaryPrimitives.ReadUInt16BigEndian(length)];
                await stream.ReadExactlyAsync(question, _end.Token);
                await stream.WriteAsync(answer(question), _end.Token);
            }
        }
        catch (Exception error) when (error is OperationCanceledException or SocketException or ObjectDisposedException or IOException)
        {
            // The test is over.
        }
    }
}

/// <summary>DNS messages by hand, right ones and wrong ones (RFC 1035 §4.1).</summary>
public static class DnsWire
{
    public const int A = 1;
    public const int CName = 5;
    public const int Soa = 6;
    public const int Mx = 15;
    public const int Txt = 16;
    public const int Opt = 41;
    public const int Tlsa = 52;

    /// <summary>A name that points to the one in the question.</summary>
    public static readonly byte[] Asked = [0xC0, 12];

    public static readonly byte[] Address = [192, 0, 2, 1];

    /// <summary>The right answer to a question for an address.</summary>
    public static byte[] Right(byte[] question) => Reply(question, Record(Asked, A, Address));

    public static byte[] Reply(byte[] question, params byte[][] answers) => Reply(question, 0x8180, answers);

    /// <param name="question">Its id and question are repeated.</param>
    /// <param name="flags">The second word of the header.</param>
    /// <param name="answers">Records.</param>
    /// <param name="authorities">Records behind those, so many of them at the end.</param>
    /// <param name="others">Records behind those, so many of them at the end.</param>
    public static byte[] Reply(byte[] question, int flags, byte[][] answers, int authorities = 0, int others = 0)
    {
        var end = question.AsSpan(12).IndexOf((byte)0) + 12 + 5;
        byte[] reply = [.. question.AsSpan(0, end), .. answers.SelectMany(record => record)];
        ReadOnlySpan<int> words = [flags, 1, answers.Length - authorities - others, authorities, others];
        for (var i = 0; i < words.Length; i++)
            BinaryPrimitives.WriteUInt16BigEndian(reply.AsSpan(2 + (2 * i)), (ushort)words[i]);
        return reply;
    }

    /// <summary>The header of a reply and nothing else.</summary>
    public static byte[] Bare(byte[] question, int flags) => [question[0], question[1], (byte)(flags >> 8), (byte)flags, .. new byte[8]];

    public static byte[] Name(string name) =>
        [.. name.Split('.', StringSplitOptions.RemoveEmptyEntries).SelectMany(label => (byte[])[(byte)label.Length, .. Encoding.Latin1.GetBytes(label)]), 0];

    public static byte[] Record(byte[] owner, int type, byte[] data, uint seconds = 60, int recordClass = 1, int? length = null)
    {
        var head = new byte[10];
        BinaryPrimitives.WriteUInt16BigEndian(head, (ushort)type);
        BinaryPrimitives.WriteUInt16BigEndian(head.AsSpan(2), (ushort)recordClass);
        BinaryPrimitives.WriteUInt32BigEndian(head.AsSpan(4), seconds);
        BinaryPrimitives.WriteUInt16BigEndian(head.AsSpan(8), (ushort)(length ?? data.Length));
        return [.. owner, .. head, .. data];
    }

    public static byte[] Alias(string owner, string target) => Record(Name(owner), CName, Name(target));

    public static byte[] Changed(byte[] message, int at, int value)
    {
        var changed = message.ToArray();
        changed[at] = (byte)value;
        return changed;
    }

    /// <summary>With its length in front, as over TCP (RFC 7766 §8).</summary>
    public static byte[] OverTcp(byte[] message) => [(byte)(message.Length >> 8), (byte)message.Length, .. message];

    public static bool HasEdns(byte[] question) => question[11] > 0;
}
