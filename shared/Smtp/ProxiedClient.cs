using System.Globalization;
using System.Net;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// What XCLIENT says of the client for which a proxy speaks (Postfix's XCLIENT_README). Null: nothing was said of it, and it stays as it is.
/// An empty text, <see cref="IPAddress.None"/> or 0: it is not known.
/// </summary>
public sealed record ProxiedClient
{
    /// <summary>In EHLO.</summary>
    internal const string Attributes = "NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT";

    private const int MaxValueLength = SmtpLimits.DomainBytes;

    /// <summary>The name of its host, as the proxy has found it.</summary>
    public string? HostName { get; private set; }

    public IPAddress? Address { get; private set; }

    public int? Port { get; private set; }

    /// <summary>It greeted with EHLO.</summary>
    public bool? IsExtended { get; private set; }

    /// <summary>The argument of its EHLO or HELO.</summary>
    public string? Greeting { get; private set; }

    /// <summary>The name with which it has logged in at the proxy.</summary>
    public string? Login { get; private set; }

    /// <summary>Where it came to.</summary>
    public IPAddress? LocalAddress { get; private set; }

    public int? LocalPort { get; private set; }

    /// <summary>Reads the attributes behind the command; null where one is unknown, comes twice or has a value that it cannot have.</summary>
    internal static ProxiedClient? TryRead(ReadOnlySpan<byte> argument)
    {
        var client = new ProxiedClient();
        var known = false;
        foreach (var range in argument.Split((byte)' '))
        {
            var attribute = argument[range];
            if (attribute.IsEmpty)
                continue;
            known = true;
            var equals = attribute.IndexOf((byte)'=');
            if (equals <= 0 || TryReadValue(attribute[(equals + 1)..]) is not { } value)
                return null;
            if (!client.TryTake(Encoding.ASCII.GetString(attribute[..equals]).ToUpperInvariant(), value))
                return null;
        }

        return known ? client : null;
    }

    private bool TryTake(string name, string value)
    {
        switch (name)
        {
            case "NAME" when HostName is null && (value.Length == 0 || IsDomain(value)):
                HostName = value;
                return true;
            case "ADDR" when Address is null && TryReadAddress(value) is { } address:
                Address = address;
                return true;
            case "PORT" when Port is null && TryReadPort(value) is { } port:
                Port = port;
                return true;
            case "PROTO" when IsExtended is null && value.ToUpperInvariant() is "SMTP" or "ESMTP":
                IsExtended = value.Length == "ESMTP".Length;
                return true;
            case "HELO" when Greeting is null && !value.Contains(' ', StringComparison.Ordinal):
                Greeting = value;
                return true;
            case "LOGIN" when Login is null:
                Login = value;
                return true;
            case "DESTADDR" when LocalAddress is null && TryReadAddress(value) is { } local:
                LocalAddress = local;
                return true;
            case "DESTPORT" when LocalPort is null && TryReadPort(value) is { } localPort:
                LocalPort = localPort;
                return true;
            default:
                return false;
        }
    }

    /// <summary>The text of a value in xtext (RFC 3461 §4); empty for what is not known; null where it is none, or is not printable ASCII.</summary>
    private static string? TryReadValue(ReadOnlySpan<byte> value)
    {
        if (Ascii.EqualsIgnoreCase(value, "[UNAVAILABLE]"u8) || Ascii.EqualsIgnoreCase(value, "[TEMPUNAVAIL]"u8))
            return "";
        var text = new StringBuilder();
        for (var i = 0; i < value.Length; i++)
        {
            int octet = value[i];
            if (octet == '+')
            {
                if (i + 2 >= value.Length || !byte.TryParse(value.Slice(i + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var coded))
                    return null;
                octet = coded;
                i += 2;
            }

            // What is given here stands in logs and in fields in front of messages.
            if (octet is < ' ' or > '~')
                return null;
            text.Append((char)octet);
        }

        return text.Length is 0 or > MaxValueLength ? null : text.ToString();
    }

    private static bool IsDomain(string value) => AddressSyntax.IsDomainOrLiteral(Encoding.ASCII.GetBytes(value), allowUtf8: false) && value[0] != '[';

    private static IPAddress? TryReadAddress(string value)
    {
        if (value.Length == 0)
            return IPAddress.None;
        var isTagged = value.StartsWith("IPV6:", StringComparison.OrdinalIgnoreCase);
        var text = isTagged ? value["IPV6:".Length..] : value;
        var octets = Encoding.ASCII.GetBytes(text);
        return AddressSyntax.IsIPv6(octets) ? IPAddress.Parse(text.AsSpan()) : isTagged ? null : AddressSyntax.ParseIPv4(octets);
    }

    private static int? TryReadPort(string value) =>
        value.Length == 0 ? 0 : value.Length <= 5 && int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var port) && port is > 0 and <= 65535 ? port : null;
}
