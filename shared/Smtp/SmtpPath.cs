using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Reads the path of MAIL and RCPT, "&lt;" [source-route ":"] mailbox "&gt;" (RFC 5321 §4.1.2). Source routes are accepted and
/// ignored (RFC 5321 §3.3, appendix C).
/// </summary>
internal static class SmtpPath
{
    /// <summary>
    /// Reads a path at the front of <paramref name="text"/>. The null path "&lt;&gt;" gives a null address and success.
    /// <paramref name="length"/> counts the octets up to and with "&gt;".
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> text, bool allowUtf8, out SmtpAddress? address, out int length)
    {
        address = null;
        length = 0;
        if (text.IsEmpty || text[0] != '<')
            return false;

        var end = IndexOfEnd(text);
        if (end < 0)
            return false;

        length = end + 1;
        var inner = text[1..end];
        if (inner.IsEmpty)
            return true;
        if (inner[0] == '@' && !TrySkipSourceRoute(ref inner))
            return false;

        // RFC 5321 §4.1.1.3, "<Postmaster>".
        if (Ascii.EqualsIgnoreCase(inner, "postmaster"u8))
        {
            address = SmtpAddress.BarePostmaster(inner);
            return true;
        }

        return SmtpAddress.TryParse(inner, allowUtf8, out address);
    }

    // A quoted local part may contain ">".
    private static int IndexOfEnd(ReadOnlySpan<byte> text)
    {
        var quoted = false;
        for (var i = 1; i < text.Length; i++)
        {
            switch (text[i])
            {
                case (byte)'"':
                    quoted = !quoted;
                    break;
                case (byte)'\\' when quoted:
                    i++;
                    break;
                case (byte)'>' when !quoted:
                    return i;
            }
        }

        return -1;
    }

    // A-d-l = At-domain *( "," At-domain ). Who knows U-labels knows better than to send a route.
    private static bool TrySkipSourceRoute(ref ReadOnlySpan<byte> inner)
    {
        var colon = inner.IndexOf((byte)':');
        if (colon < 0)
            return false;

        var route = inner[..colon];
        foreach (var range in route.Split((byte)','))
        {
            var hop = route[range];
            if (hop.IsEmpty || hop[0] != '@' || !AddressSyntax.IsDomain(hop[1..], allowUtf8: false))
                return false;
        }

        inner = inner[(colon + 1)..];
        return !inner.IsEmpty;
    }
}
