using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>One listener as its sessions see it.</summary>
internal sealed class SmtpListener(ListenerOptions listener, IngressOptions options, TimeProvider time)
{
    public string Name { get; } = listener.NameOrDefault;

    public ListenerKind Kind { get; } = listener.Kind;

    public bool HasImplicitTls { get; } = listener.Tls == TlsMode.Implicit;

    public SessionPlaces Places { get; } = new(
        new SessionLimits(
            options.MaxSessions, options.MaxSessionsLoggedIn, options.MaxSessionsPerAddress, options.PrefixIPv6, KeepsPlaces: listener.AuthOrDefault),
        time);

    public SmtpProfile Profile { get; } = new()
    {
        HostName = options.Hostname,
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
