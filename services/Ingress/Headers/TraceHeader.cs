using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Unicode;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Headers;

/// <summary>The Received field put before the content (RFC 5321 §4.4).</summary>
internal static class TraceHeader
{
    /// <summary>More than a field can have: three names and an address of their longest, and the rest.</summary>
    public const int MaxBytes = 1800;

    /// <summary>Writes the field with its CRLF and returns its length.</summary>
    /// <param name="mayBeUtf8">
    /// The message has fields in UTF-8 already. Where it has none the field brings none either: an address in UTF-8 would keep a message of
    /// ASCII, which an alias may lead anywhere, from hosts without SMTPUTF8.
    /// </param>
    public static int Write(Span<byte> output, SmtpSession session, IPAddress? client, long messageId, DateTimeOffset now, bool mayBeUtf8 = false)
    {
        var transaction = session.Transaction!;
        var fits = Utf8.TryWrite(output, CultureInfo.InvariantCulture, $"Received: from {ClientName(session)}", out var length);
        // Of a Unix socket there is no address, and it has no place without one.
        if (client is not null)
        {
            fits &= Utf8.TryWrite(
                output[length..], CultureInfo.InvariantCulture,
                $" ({HostName(session)}[{(client.AddressFamily == AddressFamily.InterNetworkV6 ? "IPv6:" : "")}{client}])", out var address);
            length += address;
        }

        fits &= Utf8.TryWrite(
            output[length..], CultureInfo.InvariantCulture, $"\r\n\tby {session.Profile.HostName} with {Protocol(session)} id {messageId:X}", out var by);
        length += by;
        // Several would tell each of them about the others (RFC 5321 §7.2).
        if (transaction.Recipients is [var only] && (mayBeUtf8 || !only.NeedsSmtpUtf8))
        {
            fits &= Utf8.TryWrite(output[length..], CultureInfo.InvariantCulture, $"\r\n\tfor <{only.Text}>", out var more);
            length += more;
        }

        // RFC 6710 §3
        if (fits && transaction.Timing?.Priority is { } priority)
        {
            fits = Utf8.TryWrite(output[length..], CultureInfo.InvariantCulture, $"\r\n\tPRIORITY {priority}", out var more);
            length += more;
        }

        fits &= Utf8.TryWrite(output[length..], CultureInfo.InvariantCulture, $";\r\n\t{now.UtcDateTime:ddd, dd MMM yyyy HH:mm:ss} +0000\r\n", out var rest);
        return fits ? length + rest : throw new InvalidOperationException("The trace field is longer than it can be.");
    }

    /// <summary>RFC 3848; RFC 6531 §4.3 where MAIL said SMTPUTF8.</summary>
    internal static string Protocol(SmtpSession session) => session switch
    {
        { Profile.Kind: ListenerKind.Lmtp, Transaction.SmtpUtf8: true, IsTls: true, UserName: not null } => "UTF8LMTPSA",
        { Profile.Kind: ListenerKind.Lmtp, Transaction.SmtpUtf8: true, IsTls: true } => "UTF8LMTPS",
        { Profile.Kind: ListenerKind.Lmtp, Transaction.SmtpUtf8: true, UserName: not null } => "UTF8LMTPA",
        { Profile.Kind: ListenerKind.Lmtp, Transaction.SmtpUtf8: true } => "UTF8LMTP",
        { Profile.Kind: ListenerKind.Lmtp, IsTls: true, UserName: not null } => "LMTPSA",
        { Profile.Kind: ListenerKind.Lmtp, IsTls: true } => "LMTPS",
        { Profile.Kind: ListenerKind.Lmtp, UserName: not null } => "LMTPA",
        { Profile.Kind: ListenerKind.Lmtp } => "LMTP",
        { IsExtended: false } => "SMTP",
        { Transaction.SmtpUtf8: true, IsTls: true, UserName: not null } => "UTF8SMTPSA",
        { Transaction.SmtpUtf8: true, IsTls: true } => "UTF8SMTPS",
        { Transaction.SmtpUtf8: true, UserName: not null } => "UTF8SMTPA",
        { Transaction.SmtpUtf8: true } => "UTF8SMTP",
        { IsTls: true, UserName: not null } => "ESMTPSA",
        { IsTls: true } => "ESMTPS",
        { UserName: not null } => "ESMTPA",
        _ => "ESMTP",
    };

    // RFC 5321 §4.4, TCP-info.
    private static string HostName(SmtpSession session) => session.ClientHostName.Length > 0 ? $"{session.ClientHostName} " : "";

    // Clients say anything; only a domain or a literal has a place in the field.
    private static string ClientName(SmtpSession session) => session.HasWellFormedClientName ? session.ClientName : "unknown";
}
