using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using MailPipeline.Testing;

namespace MailPipeline.Ingress.Tests;

/// <summary>A client that sends exactly what it is told.</summary>
internal sealed class Client : IAsyncDisposable
{
    private readonly WireStream _wire;

    private Client(Socket socket)
    {
        Socket = socket;
        _wire = new WireStream(new NetworkStream(socket, ownsSocket: true));
    }

    public Socket Socket { get; }

    /// <summary>Null before TLS.</summary>
    public SslStream? Tls => _wire.Stream as SslStream;

    /// <summary>Connects and reads the greeting.</summary>
    public static async Task<Client> ConnectAsync(IPEndPoint server, string greeting = "220")
    {
        var client = await OpenAsync(server);
        await client.ExpectAsync(greeting);
        return client;
    }

    public static async Task<Client> OpenAsync(IPEndPoint server, IPAddress? from = null)
    {
        var socket = new Socket(server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        if (from is not null)
            socket.Bind(new IPEndPoint(from, 0));
        await socket.ConnectAsync(server, Deadline.Token);
        return new Client(socket);
    }

    /// <summary>Connects by a Unix socket.</summary>
    public static async Task<Client> ConnectAsync(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), Deadline.Token);
        var client = new Client(socket);
        await client.ExpectAsync("220");
        return client;
    }

    /// <summary>Connects, greets and is ready for MAIL.</summary>
    public static async Task<Client> GreetedAsync(IPEndPoint server)
    {
        var client = await ConnectAsync(server);
        await client.SayAsync("EHLO client.example.net", "250");
        return client;
    }

    /// <summary>Connects, goes under TLS, logs in as ann and is ready for MAIL.</summary>
    public static async Task<Client> AuthenticatedAsync(IPEndPoint server)
    {
        var client = await GreetedAsync(server);
        await client.SayAsync("STARTTLS", "220");
        await client.StartTlsAsync();
        await client.SayAsync("EHLO client.example.net", "250");
        await client.SayAsync("AUTH PLAIN " + Convert.ToBase64String("\0ann@example.com\0secret"u8), "235 2.7.0");
        return client;
    }

    public async Task StartTlsAsync() => _wire.Switch(await TestTls.AsClientAsync(_wire.Stream, Deadline.Token));

    public async Task SendAsync(string text) => await SendAsync(Encoding.Latin1.GetBytes(text));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes)
    {
        await _wire.Stream.WriteAsync(bytes, Deadline.Token);
        await _wire.Stream.FlushAsync(Deadline.Token);
    }

    /// <summary>The next reply in one line per line; null at the end of the connection.</summary>
    public async Task<string?> ReplyAsync()
    {
        try
        {
            return (await _wire.ReadReplyAsync(Deadline.Token))?.Text;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>The next line of a reply; fails at the end of the connection.</summary>
    public async Task<string> LineAsync() =>
        Encoding.Latin1.GetString((await _wire.ReadLineAsync(Deadline.Token) ?? throw new EndOfStreamException()).Span);

    public async Task<string> ExpectAsync(string start)
    {
        var reply = await ReplyAsync();
        Assert.True(reply is not null && reply.StartsWith(start, StringComparison.Ordinal), $"expected: {start}\ngot: {reply ?? "(end)"}");
        return reply!;
    }

    public async Task<string> SayAsync(string command, string start)
    {
        await SendAsync(command + "\r\n");
        return await ExpectAsync(start);
    }

    /// <summary>Says it, and gives the reply.</summary>
    public async Task<string> AskAsync(string command)
    {
        await SendAsync(command + "\r\n");
        return await ReplyAsync() ?? throw new EndOfStreamException();
    }

    public async Task ExpectEndAsync() => Assert.Null(await ReplyAsync());

    /// <summary>MAIL, RCPT and DATA.</summary>
    public async Task BeginAsync(string sender = "bob@example.net", string recipient = "ann@example.com")
    {
        await SayAsync($"MAIL FROM:<{sender}>", "250");
        await SayAsync($"RCPT TO:<{recipient}>", "250");
        await SayAsync("DATA", "354");
    }

    /// <summary>Content as it goes over the wire, with its end.</summary>
    public async Task<string> MessageAsync(string content, string start = "250 2.0.0 Ok: queued as ", string recipient = "ann@example.com")
    {
        await BeginAsync(recipient: recipient);
        return await SayAsync(content + "\r\n.", start);
    }

    public ValueTask DisposeAsync() => _wire.DisposeAsync();
}
