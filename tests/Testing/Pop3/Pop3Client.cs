using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>A POP3 connection of the kit's own client (RFC 1939).</summary>
public sealed class Pop3Client : IAsyncDisposable
{
    private readonly WireStream _wire;

    private Pop3Client(WireStream wire) => _wire = wire;

    public WireStream Wire => _wire;

    /// <summary>Connects and logs in; throws <see cref="Pop3RefusedException"/> on -ERR.</summary>
    public static async Task<Pop3Client> OpenAsync(ServerLogin login, CancellationToken cancellation)
    {
        var socket = new Socket(login.Server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(login.Server, cancellation);
            var client = new Pop3Client(new WireStream(new NetworkStream(socket, ownsSocket: true)));
            await client.ReadStatusAsync(cancellation);
            if (login.StartTls)
            {
                await client.CommandAsync("STLS", cancellation);
                client._wire.Switch(await TestTls.AsClientAsync(client._wire.Stream, cancellation));
            }
            if (login.Credential is { } credential)
            {
                await client.CommandAsync("USER " + credential.UserName, cancellation);
                await client.CommandAsync("PASS " + credential.Password, cancellation);
            }
            return client;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends a command and reads its status line; throws on -ERR and at the end of the stream.</summary>
    public async Task<string> CommandAsync(string command, CancellationToken cancellation)
    {
        await _wire.WriteAsync(command + "\r\n", cancellation);
        return await ReadStatusAsync(cancellation);
    }

    /// <summary>The session's messages: number and unique id.</summary>
    public async Task<IReadOnlyList<(int Number, string Uid)>> ListAsync(CancellationToken cancellation)
    {
        await CommandAsync("UIDL", cancellation);
        var list = new List<(int, string)>();
        await foreach (var line in ReadLinesAsync(cancellation))
        {
            var words = Encoding.ASCII.GetString(line.Span).Split(' ', 2);
            list.Add((int.Parse(words[0], CultureInfo.InvariantCulture), words[1]));
        }
        return list;
    }

    /// <summary>Reads a message to its end.</summary>
    public async Task RetrieveAsync(int number, ReceivedMessage into, CancellationToken cancellation)
    {
        await CommandAsync($"RETR {number.ToString(CultureInfo.InvariantCulture)}", cancellation);
        await foreach (var line in ReadLinesAsync(cancellation))
            into.Append(line.Span);
    }

    public Task DeleteAsync(int number, CancellationToken cancellation) =>
        CommandAsync($"DELE {number.ToString(CultureInfo.InvariantCulture)}", cancellation);

    /// <summary>Lines of a multi-line response, unstuffed, to its dot.</summary>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadLinesAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        while (true)
        {
            var line = await _wire.ReadLineAsync(cancellation) ?? throw new EndOfStreamException("The connection ended inside a response.");
            if (line.Span.SequenceEqual("."u8))
                yield break;
            yield return line.Span.StartsWith("."u8) ? line[1..] : line;
        }
    }

    public ValueTask DisposeAsync() => _wire.DisposeAsync();

    private async Task<string> ReadStatusAsync(CancellationToken cancellation)
    {
        var line = await _wire.ReadLineAsync(cancellation) ?? throw new EndOfStreamException("The connection ended before a status line.");
        var text = Encoding.UTF8.GetString(line.Span);
        if (text.StartsWith("+OK", StringComparison.Ordinal))
            return text;
        throw text.StartsWith("-ERR", StringComparison.Ordinal)
            ? new Pop3RefusedException(text)
            : new InvalidDataException($"Not a POP3 status: \"{text}\"");
    }
}

/// <summary>The server answered -ERR.</summary>
#pragma warning disable CA1032 // The reply is the point of it.
public sealed class Pop3RefusedException(string reply) : Exception(reply);
#pragma warning restore CA1032

/// <summary>Where a maildrop is read.</summary>
/// <param name="Mailbox">The address under which the ledger knows it.</param>
public sealed record Maildrop(string Mailbox, string Password, IPEndPoint Server, bool StartTls = false)
{
    public ServerLogin Login => new(Server, StartTls, new NetworkCredential(Mailbox, Password));
}
