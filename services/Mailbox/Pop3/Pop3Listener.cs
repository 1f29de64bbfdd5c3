using System.Buffers;
using System.Text;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Sasl;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>One listener, and POP3 as it is spoken there.</summary>
internal sealed class Pop3Listener(
    Pop3Server server, MailboxListener listener, MailboxOptions options, LoginOptions logins, TimeProvider time) : LineListener(
    new SessionPlaces(
        new SessionLimits(
            options.MaxConnections, options.MaxConnectionsLoggedIn, options.MaxConnectionsPerAddress, options.PrefixIPv6, KeepsPlaces: true),
        time),
    listener.Tls == ListenerTls.Implicit,
    options.TlsHandshakeTimeout,
    [.. options.ProxyProtocolFrom])
{
    private const string TooManyConnections = "-ERR [SYS/TEMP] too many connections";

    public ListenerTls Tls { get; } = listener.Tls;

    public IReadOnlyList<SaslMechanism> Mechanisms { get; } = logins.MechanismsOf(listener.AuthMechanisms);

    public TokenIssuer? TokenIssuer { get; } = logins.TokenIssuer;

    public override ILineSession Begin(LineConnection connection)
    {
        server.Telemetry.ConnectionOpened(Tls);
        server.Logger.ConnectionOpened(connection.ConnectionId, connection.RemoteEndPoint, listener.Name);
        return new Pop3Connection(server, connection, this);
    }

    public override void WriteTooMany(IBufferWriter<byte> output)
    {
        Encoding.ASCII.GetBytes(TooManyConnections, output);
        output.Write("\r\n"u8);
    }

    public override void TurnedAway(LineConnection connection, string limit)
    {
        server.Telemetry.ConnectionRefused();
        server.Refusals.Connection(
            connection.ConnectionId, connection.Client, listener.Name, limit, Tls == ListenerTls.Implicit ? "" : TooManyConnections);
    }

    public override void TlsFailed(LineConnection connection, Exception failure) => server.TlsFailed(connection, failure);

    public override void Ended(LineConnection connection, SessionEnd end, Exception? failure)
    {
        server.Telemetry.ConnectionClosed(Tls);
        server.Ended(connection, end, failure);
    }
}
