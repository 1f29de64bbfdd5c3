using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>Where mail goes in the place of its domain's MX: a host that speaks SMTP or LMTP, or a Unix socket that speaks LMTP.</summary>
/// <param name="Host">A name, in A-labels, or an address; the path of a socket, which begins with a slash.</param>
public sealed record NextHop(string Host, int Port, bool IsLmtp = false)
{
    /// <summary>What is written before a host or socket that speaks LMTP.</summary>
    private const string LmtpPrefix = "lmtp:";

    private const int SmtpPort = 25;

    /// <summary>RFC 2033 §5: any but 25; everybody's is 24.</summary>
    private const int LmtpPort = 24;

    private const int MaxName = 253;
    private const int MaxLabel = 63;

    /// <summary>Of sockaddr_un, without the NUL that ends it.</summary>
    private const int MaxSocketBytes = 107;

    /// <summary>The host is the path of a Unix socket.</summary>
    public bool IsSocket => Host.StartsWith('/');

    /// <summary>host, host:port, address, [address]:port, and each of them, or the path of a socket, behind "lmtp:".</summary>
    public static bool TryParse(string text, [NotNullWhen(true)] out NextHop? hop)
    {
        hop = null;
        // A host may be called lmtp.
        var isLmtp = text.StartsWith(LmtpPrefix, StringComparison.OrdinalIgnoreCase) && !text.AsSpan(LmtpPrefix.Length).ContainsOnlyDigits();
        var place = isLmtp ? text[LmtpPrefix.Length..] : text;
        if (isLmtp && place.StartsWith('/'))
        {
            hop = place.Length > 1 && !place.Any(char.IsControl) && Encoding.UTF8.GetByteCount(place) <= MaxSocketBytes ? new NextHop(place, LmtpPort, isLmtp) : null;
            return hop is not null;
        }

        if (!HostAddress.TrySplitPort(place, isLmtp ? LmtpPort : SmtpPort, out var host, out var port))
            return false;
        host = Ascii.IsValid(host) ? host : DomainName.ToAscii(host) ?? "";
        if (!(HostAddress.TryParse(host, out _) || IsName(host)))
            return false;
        hop = new NextHop(host, port, isLmtp);
        return true;
    }

    /// <summary>As it is read again.</summary>
    public override string ToString()
    {
        if (IsSocket)
            return LmtpPrefix + Host;
        var host = Host.Contains(':', StringComparison.Ordinal) ? $"[{Host}]" : Host;
        return string.Create(CultureInfo.InvariantCulture, $"{(IsLmtp ? LmtpPrefix : "")}{host}:{Port}");
    }

    // RFC 1123 §2.1: what ends in a number would be an address, and is none. Underscores stand in names of containers.
    private static bool IsName(string host)
    {
        var name = host.EndsWith('.') ? host[..^1] : host;
        return name.Length is > 0 and <= MaxName && Array.TrueForAll(name.Split('.'), IsLabel) && !name.AsSpan(name.LastIndexOf('.') + 1).ContainsOnlyDigits();
    }

    private static bool IsLabel(string label) =>
        label.Length is > 0 and <= MaxLabel && label[0] != '-' && label[^1] != '-'
        && label.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_');
}

internal static class Digits
{
    /// <summary>An empty text has nothing else either.</summary>
    public static bool ContainsOnlyDigits(this ReadOnlySpan<char> text) => !text.ContainsAnyExceptInRange('0', '9');
}
