using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.LineServer.Tests;

/// <summary>What happens to connections under TLS, and on the way there: clients that leave, and a stop.</summary>
public sealed class TlsTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(30);

    // The beginning of a ClientHello of 200 octets.
    private static readonly byte[] s_beginning = [0x16, 0x03, 0x01, 0x00, 0xC8, 0x01, 0x00, 0x00, 0xC4, 0x03, 0x03];

    private readonly string _certificates = Directory.CreateTempSubdirectory("line-server-tests-").FullName;
    private readonly FakeTimeProvider _time = new();
    private readonly LineAcceptor _acceptor;
    private readonly EchoListener _listener;

    public TlsTests()
    {
        _acceptor = Wire.Acceptor(_time, _certificates);
        _listener = new EchoListener(
            new SessionPlaces(new SessionLimits(100, 100, 100, PrefixIPv6: 64, KeepsPlaces: false), _time), hasImplicitTls: true, _time);
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => Directory.Delete(_certificates, recursive: true);

    [Theory]
    [InlineData(0)]
    [InlineData(5)]
    [InlineData(11)]
    public async Task A_client_that_closes_in_mid_handshake_ends_its_own_connection(int octets)
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.Octets().WriteAsync(s_beginning.AsMemory(0, octets), Cancellation);
        wire.HalfClose();
        await wire.Served.WaitAsync(s_limit, Cancellation);
        Assert.Equal([SessionEnd.TlsFailed], _listener.Ends);
        Assert.Single(_listener.TlsFailures);
    }

    [Fact]
    public async Task What_is_no_handshake_ends_its_own_connection()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.SendAsync("EHLO client.example.org\r\n");
        await wire.Served.WaitAsync(s_limit, Cancellation);
        Assert.Equal([SessionEnd.TlsFailed], _listener.Ends);
    }

    [Fact]
    public async Task A_stop_ends_a_handshake_that_has_begun()
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await wire.Octets().WriteAsync(s_beginning, Cancellation);
        wire.Stop();
        await wire.Served.WaitAsync(s_limit, Cancellation);
        Assert.Equal([SessionEnd.TlsFailed], _listener.Ends);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_client_that_has_said_everything_is_answered_whether_TLS_says_so_too_or_not(bool saysSo)
    {
        var wire = Wire.Connect(_acceptor, _listener);
        await using var client = await SecureAsync(wire);
        using var lines = new StreamReader(client, Encoding.ASCII);
        Assert.Equal("hello 192.0.2.1", await lines.ReadLineAsync(Cancellation));
        await client.WriteAsync("one\r\ntwo\r\n"u8.ToArray(), Cancellation);
        if (saysSo)
            await client.ShutdownAsync();
        wire.HalfClose();
        foreach (var said in (string?[])["Line one", "Line two", "Disconnected", null])
            Assert.Equal(said, await lines.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        await wire.Served.WaitAsync(s_limit, Cancellation);
        Assert.Equal([SessionEnd.Disconnected], _listener.Ends);
    }

    [Fact]
    public async Task A_stop_is_told_under_TLS_and_ends_it_in_order()
    {
        var idle = Wire.Connect(_acceptor, _listener);
        var heard = new RecordTypes(idle.Octets());
        await using var client = await SecureAsync(heard);
        using var lines = new StreamReader(client, Encoding.ASCII);
        Assert.Equal("hello 192.0.2.1", await lines.ReadLineAsync(Cancellation));
        var busy = Wire.Connect(_acceptor, _listener);
        await using var other = await SecureAsync(busy);
        using var otherLines = new StreamReader(other, Encoding.ASCII);
        Assert.Equal("hello 192.0.2.1", await otherLines.ReadLineAsync(Cancellation));
        await other.WriteAsync("wait\r\none\r\n"u8.ToArray(), Cancellation);
        await _listener.Holds.Task.WaitAsync(s_limit, Cancellation);

        idle.Stop();
        busy.Stop();

        foreach (var said in (string?[])["Stopped", null])
            Assert.Equal(said, await lines.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        await idle.Served.WaitAsync(s_limit, Cancellation);
        // RFC 5246 §7.2.1: close_notify is an alert, and stands last.
        Assert.Equal(RecordTypes.Alert, heard.Last);
        Assert.False(busy.Served.IsCompleted);
        _listener.Held.SetResult();
        foreach (var said in (string?[])["Line wait", "Stopped", null])
            Assert.Equal(said, await otherLines.ReadLineAsync(Cancellation).AsTask().WaitAsync(s_limit, Cancellation));
        await busy.Served.WaitAsync(s_limit, Cancellation);
        Assert.Equal([SessionEnd.Stopped, SessionEnd.Stopped], _listener.Ends);
    }

    private static Task<SslStream> SecureAsync(Wire wire) => SecureAsync(wire.Octets());

    private static async Task<SslStream> SecureAsync(Stream octets)
    {
        var client = new SslStream(octets);
        await client.AuthenticateAsClientAsync(
            new SslClientAuthenticationOptions
            {
                TargetHost = "localhost",
                // Its records say what they are; those of TLS 1.3 all look like data.
                EnabledSslProtocols = SslProtocols.Tls12,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null,
            },
            Cancellation).WaitAsync(s_limit, Cancellation);
        return client;
    }

    /// <summary>Passes on what is read, and looks at the types of the records of TLS in it.</summary>
    private sealed class RecordTypes(Stream inner) : Stream
    {
        public const byte Alert = 21;

        private const int HeaderBytes = 5;

        private readonly byte[] _header = new byte[HeaderBytes];
        private int _inHeader;
        private int _left;

        /// <summary>Of the last record; 0 when none has begun.</summary>
        public byte Last { get; private set; }

        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => true;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var length = await inner.ReadAsync(buffer, cancellationToken);
            foreach (var octet in buffer[..length].ToArray())
                Note(octet);
            return length;
        }

        public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) =>
            inner.WriteAsync(buffer, cancellationToken);

        public override Task FlushAsync(CancellationToken cancellationToken) => inner.FlushAsync(cancellationToken);

        public override void Flush() => inner.Flush();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        private void Note(byte octet)
        {
            if (_left > 0)
            {
                _left--;
                return;
            }

            _header[_inHeader++] = octet;
            if (_inHeader < HeaderBytes)
                return;
            (Last, _left, _inHeader) = (_header[0], (_header[3] << 8) | _header[4], 0);
        }
    }
}
