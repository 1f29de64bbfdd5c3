using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;

namespace MailPipeline.Testing;

/// <summary>How to reach a server and who to be there.</summary>
/// <param name="StartTls">Ask for TLS before anything else; any certificate is taken.</param>
public sealed record ServerLogin(IPEndPoint Server, bool StartTls = false, NetworkCredential? Credential = null);

/// <summary>One SMTP connection of the kit's own client: greeting, EHLO, TLS, AUTH, and then whatever the test sends.</summary>
public sealed class SmtpDialogue : IAsyncDisposable
{
    private readonly WireStream _wire;

    private SmtpDialogue(WireStream wire) => _wire = wire;

    public WireStream Wire => _wire;

    /// <summary>Connects and says EHLO; throws <see cref="SmtpRefusedException"/> when the server does not want us.</summary>
    public static async Task<SmtpDialogue> OpenAsync(ServerLogin login, CancellationToken cancellation)
    {
        var socket = new Socket(login.Server.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(login.Server, cancellation);
            var dialogue = new SmtpDialogue(new WireStream(new NetworkStream(socket, ownsSocket: true)));
            await dialogue.ExpectAsync(null, 220, cancellation);
            await dialogue.ExpectAsync("EHLO client.example", 250, cancellation);
            if (login.StartTls)
                await dialogue.StartTlsAsync(cancellation);
            if (login.Credential is { } credential)
            {
                // RFC 4616: authorization id, authentication id, password.
                var plain = Convert.ToBase64String(Encoding.UTF8.GetBytes($"\0{credential.UserName}\0{credential.Password}"));
                await dialogue.ExpectAsync($"AUTH PLAIN {plain}", 235, cancellation);
            }
            return dialogue;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends a command and reads its reply; null when the connection ends first.</summary>
    public async Task<WireReply?> CommandAsync(string command, CancellationToken cancellation)
    {
        await _wire.WriteAsync(command + "\r\n", cancellation);
        return await _wire.ReadReplyAsync(cancellation);
    }

    /// <summary>Sends a command, if any, whose reply must have this code.</summary>
    public async Task<WireReply> ExpectAsync(string? command, int code, CancellationToken cancellation)
    {
        var reply = command is null ? await _wire.ReadReplyAsync(cancellation) : await CommandAsync(command, cancellation);
        if (reply is null)
            throw new EndOfStreamException($"The connection ended before the reply to \"{command ?? "connect"}\".");
        return reply.Code == code ? reply : throw new SmtpRefusedException(reply);
    }

    /// <summary>Sends the content, stuffed, and the final dot; null when no reply comes.</summary>
    public async Task<WireReply?> SendContentAsync(LedgerMessage message, CancellationToken cancellation)
    {
        await SendContentWithoutEndAsync(message, cancellation);
        return await EndContentAsync(cancellation);
    }

    /// <summary>Sends the content, stuffed, and leaves the end of data out.</summary>
    public async Task SendContentWithoutEndAsync(LedgerMessage message, CancellationToken cancellation)
    {
        var header = DotStuffing.Stuff(message.Header);
        var body = DotStuffing.Stuff(message.Body);
        if (body.Length < 32 << 10)
        {
            await _wire.Stream.WriteAsync(Join(header.Span, body.Span), cancellation);
            return;
        }
        await _wire.Stream.WriteAsync(header, cancellation);
        await _wire.Stream.WriteAsync(body, cancellation);
    }

    /// <summary>Sends the end of data; null when no reply comes.</summary>
    public Task<WireReply?> EndContentAsync(CancellationToken cancellation) => CommandAsync(".", cancellation);

    public ValueTask DisposeAsync() => _wire.DisposeAsync();

    private async Task StartTlsAsync(CancellationToken cancellation)
    {
        await ExpectAsync("STARTTLS", 220, cancellation);
        _wire.Switch(await TestTls.AsClientAsync(_wire.Stream, cancellation));
        await ExpectAsync("EHLO client.example", 250, cancellation);
    }

    private static byte[] Join(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second) => [.. first, .. second];
}

/// <summary>The server answered with a refusal where the dialogue could not go on.</summary>
#pragma warning disable CA1032 // The reply is the point of it.
public sealed class SmtpRefusedException(WireReply reply) : Exception(reply.Text)
{
    public WireReply Reply { get; } = reply;
}
#pragma warning restore CA1032

/// <summary>TLS to servers under test, whose certificates are their own.</summary>
public static class TestTls
{
    public static async Task<Stream> AsClientAsync(Stream inner, CancellationToken cancellation)
    {
#pragma warning disable CA5359 // Self-signed certificates are what is tested; there is no one to trust on loopback.
        var tls = new SslStream(inner, leaveInnerStreamOpen: false, (_, _, _, _) => true);
#pragma warning restore CA5359
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost" }, cancellation);
        return tls;
    }
}
