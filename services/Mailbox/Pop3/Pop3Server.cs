using System.Net;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Mailbox.Pop3;

/// <summary>What all POP3 sessions share, and what is counted and logged of each.</summary>
internal sealed class Pop3Server(
    IMaildrops maildrops,
    IOptions<MailboxOptions> options,
    MailboxTelemetry telemetry,
    TlsExporter exporter,
    TimeProvider time,
    ILogger<Pop3Server> logger) : IDisposable
{
    internal IMaildrops Maildrops => maildrops;

    internal MailboxOptions Options => options.Value;

    internal MailboxTelemetry Telemetry => telemetry;

    internal TlsExporter Exporter => exporter;

    internal TimeProvider Time => time;

    internal ILogger Logger => logger;

    internal Pop3Refusals Refusals { get; } = new(options.Value, time, logger);

    /// <summary>Whether a client there may send its password without TLS.</summary>
    internal bool AllowsCleartextLogin(IPAddress? client) => options.Value.AllowCleartextLogin switch
    {
        CleartextLogin.Always => true,
        CleartextLogin.Loopback => client is not null && IPAddress.IsLoopback(client),
        _ => false,
    };

    /// <param name="reason">What there is to say besides; null: nothing.</param>
    internal void LoginRefused(LineConnection connection, string userName, string? reason)
    {
        telemetry.Login(LoginResult.Refused);
        Refusals.Login(connection.ConnectionId, connection.Client, userName, Pop3Session.BadCredentials, reason);
    }

    internal void TlsFailed(LineConnection connection, Exception failure)
    {
        telemetry.HandshakeFailed();
        logger.HandshakeFailed(connection.ConnectionId, connection.RemoteEndPoint, failure);
    }

    internal void Ended(LineConnection connection, SessionEnd end, Exception? failure)
    {
        if (end == SessionEnd.Bug)
            Refusals.ConnectionFailed(connection.ConnectionId, connection.RemoteEndPoint, failure);
        else if (end != SessionEnd.Quit)
            logger.ConnectionLost(connection.ConnectionId, connection.RemoteEndPoint, end, failure?.Message);
    }

    public void Dispose() => Refusals.Dispose();
}
