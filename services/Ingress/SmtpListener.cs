using System.Buffers;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Headers;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>One listener as its sessions see it: who speaks SMTP there, and what is offered to them.</summary>
internal sealed class SmtpListener(SmtpServer server, ListenerOptions listener, IngressOptions options, TimeProvider time) : LineListener(
    new SessionPlaces(
        new SessionLimits(
            options.MaxSessions, options.MaxSessionsLoggedIn, options.MaxSessionsPerAddress, options.PrefixIPv6, KeepsPlaces: listener.AuthOrDefault),
        time),
    listener.Tls == TlsMode.Implicit,
    options.TlsTimeout,
    [.. options.ProxyProtocolFrom])
{
    public string Name { get; } = listener.NameOrDefault;

    public ListenerKind Kind { get; } = listener.Kind;

    /// <summary>It is a Unix socket: who may connect is what its file's mode says.</summary>
    public bool IsSocket { get; } = listener.IsSocket;

    /// <summary>Date, Message-ID, From and the empty line are put in front of messages that lack them.</summary>
    public bool AddsMissingFields { get; } = listener.Kind == ListenerKind.Submission && options.AddMissingFields;

    /// <summary>A bare LF in content counts as CRLF.</summary>
    public bool RepairsLineEnds { get; } = listener.Kind == ListenerKind.Submission && options.RepairLineEnds;

    /// <summary>What is done with whether mail is from whom it says.</summary>
    public AuthenticationPolicy Authentication { get; } = options.Checks.Authentication.PolicyOf(listener);

    /// <summary>A mechanism is offered that binds a login to its connection.</summary>
    public bool BindsLogins { get; } = server.Logins.MechanismsOf(listener.AuthMechanisms).Any(mechanism => mechanism.BindsChannel);

    /// <summary>
    /// Our name in Authentication-Results, as it is compared: fields that others have forged in it are left out (RFC 8601 §5). Null where those who
    /// hand in are servers of ours, whose results are ours.
    /// </summary>
    public string? OwnResults { get; } = listener.Kind == ListenerKind.Lmtp ? null : ForgedResults.Key(options.AuthservId);

    /// <summary>What is asked of whoever comes here.</summary>
    public ListenerChecks Checks { get; } = server.Checks.Of(listener);

    public SmtpProfile Profile { get; } = new()
    {
        Kind = listener.Kind,
        HostName = options.HostName,
        MaxMessageBytes = options.MaxMessageBytes,
        MaxRecipients = options.MaxRecipients,
        MaxRecipientOvershoot = options.MaxRecipientOvershoot,
        HelpLink = options.HelpLink,
        // A server of ours names whom its senders named, some hundreds at once.
        MaxErrors = listener.Kind == ListenerKind.Lmtp ? int.MaxValue : options.MaxErrors,
        MaxCommandsWithoutMail = options.MaxCommandsWithoutMail,
        MaxAuthFailures = options.MaxAuthFailures,
        MaxHoldTime = options.MaxHoldTime,
        OffersStartTls = listener.Tls == TlsMode.StartTls,
        OffersAuth = listener.AuthOrDefault,
        Mechanisms = server.Logins.MechanismsOf(listener.AuthMechanisms),
        TokenIssuer = server.Logins.TokenIssuer,
        OffersOldAuth = listener.OldAuthOrDefault,
        AllowsCleartextAuth = options.AllowCleartextAuth,
        AsksAboutClientName = server.Checks.Of(listener).HasAny(CheckStage.Hello),
        RequiresAuth = listener.Kind == ListenerKind.Submission,
        OffersSmtpUtf8 = options.SmtpUtf8,
        OffersRequireTls = options.RequireTls,
    };

    public override ILineSession Begin(LineConnection connection)
    {
        server.Telemetry.SessionStarted(Kind);
        return new SmtpConnection(server, connection, this);
    }

    public override void WriteTooMany(IBufferWriter<byte> output) => Replies.C421TooManyConnections.WriteTo(output);

    public override void TurnedAway(LineConnection connection, string limit) => server.TurnedAway(connection, limit);

    public override void TlsFailed(LineConnection connection, Exception failure) => server.TlsFailed(connection, failure);

    public override void Ended(LineConnection connection, SessionEnd end, Exception? failure)
    {
        server.Telemetry.SessionEnded(Kind);
        server.Ended(connection, end, failure);
    }
}
