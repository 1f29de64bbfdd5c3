using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace MailPipeline.Standalone.Demo;

/// <summary>The client's end of a line protocol, spoken aloud: every line is written as <c>C:</c> or <c>S:</c>.</summary>
internal sealed class Dialogue : IDisposable
{
    private readonly TcpClient _connection;
    private readonly TextWriter _output;
    private Stream _stream;
    private StreamReader _reader;

    private Dialogue(TcpClient connection, TextWriter output)
    {
        _connection = connection;
        _output = output;
        _stream = connection.GetStream();
        _reader = new StreamReader(_stream, Encoding.UTF8);
    }

    public static async Task<Dialogue> ConnectAsync(int port, TextWriter output, CancellationToken cancellation)
    {
        var connection = new TcpClient();
        try
        {
            await connection.ConnectAsync(IPAddress.Loopback, port, cancellation);
            return new Dialogue(connection, output);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <param name="shown">What is written in place of the line when it holds a secret.</param>
    public async Task SendAsync(string line, CancellationToken cancellation, string? shown = null)
    {
        await _output.WriteLineAsync($"  C: {shown ?? line}");
        await _stream.WriteAsync(Encoding.UTF8.GetBytes(line + "\r\n"), cancellation);
    }

    /// <summary>Sends a message in one piece, dots doubled where RFC 5321 §4.5.2 wants it, and its final dot.</summary>
    public async Task SendContentAsync(string content, CancellationToken cancellation)
    {
        var wire = new StringBuilder();
        foreach (var line in content.Split('\n').Append("."))
        {
            await _output.WriteLineAsync($"  C: {line}");
            wire.Append(line is not "." && line.StartsWith('.') ? "." : "").Append(line).Append("\r\n");
        }
        await _stream.WriteAsync(Encoding.UTF8.GetBytes(wire.ToString()), cancellation);
    }

    /// <summary>One reply of SMTP, of one or several lines.</summary>
    /// <exception cref="DemoException">It is not the one that should come.</exception>
    public async Task<string> ExpectReplyAsync(int code, CancellationToken cancellation)
    {
        string line;
        do
            line = await ReadLineAsync(cancellation);
        while (line.Length > 3 && line[3] == '-'); // RFC 5321 §4.2.1
        return line.StartsWith($"{code}", StringComparison.Ordinal)
            ? line
            : throw new DemoException($"the server said '{line}' where {code} should have come");
    }

    /// <summary>One status line of POP3.</summary>
    /// <exception cref="DemoException">It is not +OK.</exception>
    public async Task<string> ExpectOkAsync(CancellationToken cancellation)
    {
        var line = await ReadLineAsync(cancellation);
        return line.StartsWith("+OK", StringComparison.Ordinal)
            ? line
            : throw new DemoException($"the server said '{line}' where +OK should have come");
    }

    /// <summary>The lines up to the one with a single dot (RFC 1939 §3).</summary>
    public async Task<IReadOnlyList<string>> ReadListingAsync(CancellationToken cancellation)
    {
        List<string> lines = [];
        while (await ReadLineAsync(cancellation) is not "." and var line)
            lines.Add(line.StartsWith('.') ? line[1..] : line);
        return lines;
    }

    /// <summary>Changes to TLS; no other certificate will do than the one the server is known to have.</summary>
    public async Task StartTlsAsync(X509Certificate2 expected, CancellationToken cancellation)
    {
        var secured = new SslStream(_stream, leaveInnerStreamOpen: false, (_, shown, _, _) =>
            shown is not null && shown.GetRawCertData().AsSpan().SequenceEqual(expected.RawData));
        await secured.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost" }, cancellation);
        _stream = secured;
        _reader = new StreamReader(secured, Encoding.UTF8);
        await _output.WriteLineAsync($"     ({secured.SslProtocol}, {secured.NegotiatedCipherSuite})");
    }

    public void Dispose()
    {
        _reader.Dispose();
        _connection.Dispose();
    }

    private async Task<string> ReadLineAsync(CancellationToken cancellation)
    {
        var line = await _reader.ReadLineAsync(cancellation) ?? throw new DemoException("the server closed the connection");
        await _output.WriteLineAsync($"  S: {line}");
        return line;
    }
}

/// <summary>The tour met something it should not have met.</summary>
internal sealed class DemoException(string message) : Exception(message);
