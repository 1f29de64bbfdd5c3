using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>One listener as its sessions see it.</summary>
internal sealed class SmtpListener(ListenerOptions listener, IngressOptions options, TimeProvider time)
{
    public string Name { get; } = listener.NameOrDefault;

    public ListenerKind Kind { get; } = listener.Kind;

    public bool HasImplicitTls { get; } = listener.Tls == TlsMode.Implicit;

    /// <summary>Date, Message-ID and the empty line are put in front of messages that lack them.</summary>
    public bool AddsMissingFields { get; } = listener.Kind == ListenerKind.Submission && options.AddMissingFields;

    /// <summary>A bare LF in content counts as CRLF.</summary>
    public bool RepairsLineEnds { get; } = listener.Kind == ListenerKind.Submission && options.RepairLineEnds;

    public SessionPlaces Places { get; } = new(
        new SessionLimits(
            options.MaxSessions, options.MaxSessionsLoggedIn, options.MaxSessionsPerAddress, options.PrefixIPv6, KeepsPlaces: listener.AuthOrDefault),
        time);

    public SmtpProfile Profile { get; } = new()
    {
        HostName = options.HostName,
        MaxMessageBytes = options.MaxMessageBytes,
        MaxRecipients = options.MaxRecipients,
        MaxRecipientOvershoot = options.MaxRecipientOvershoot,
        MaxErrors = options.MaxErrors,
        MaxCommandsWithoutMail = options.MaxCommandsWithoutMail,
        MaxAuthFailures = options.MaxAuthFailures,
        OffersStartTls = listener.Tls == TlsMode.StartTls,
        OffersAuth = listener.AuthOrDefault,
        AllowsCleartextAuth = options.AllowCleartextAuth,
        RequiresAuth = listener.Kind == ListenerKind.Submission,
    };
}
