using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>What keeps a message from going to a far end at all, by what that one offers and by what a command can hold.</summary>
internal static class Unsendable
{
    /// <summary>Of a message whose content nobody converts (RFC 6152 §3; RFC 3463 §3.7).</summary>
    public static (string Status, string Text) EightBit => ("5.6.3", "The message has 8-bit content, and the far end does not offer 8BITMIME");

    /// <summary>Null: it can go.</summary>
    /// <param name="isFinal">The far end delivers itself, and relays nothing (LMTP).</param>
    public static (string Status, string Text)? Why(OutboundMessage message, EhloCapabilities capabilities, bool isFinal, DateTimeOffset now)
    {
        if (message.Timing?.By is { IsReturned: true } by && TooLate(by, capabilities, isFinal, now) is { } late)
            return late;
        // RFC 1870 §6.1
        if (capabilities.MaxMessageBytes is { } limit && message.First.SizeBytes > limit)
            return ("5.3.4", TooLarge(message.First.SizeBytes, limit));
        // RFC 6531 §3.2. Another MX of the domain is not looked for: all of them have to take what the best one takes, and a domain whose
        // hosts differ would have the message or not by chance.
        if (message.NeedsSmtpUtf8 && !capabilities.SmtpUtf8)
            return ("5.6.7", "The message needs SMTPUTF8, which the far end does not offer");
        if (HasControls(message.First.Sender) || message.Recipients.Any(recipient => HasControls(recipient.Address)))
            return ("5.1.3", "The address cannot be put into a command");
        return null;
    }

    /// <summary>Null: the message may go over this connection, as far as its sender asks for TLS (RFC 8689 §4.2.1).</summary>
    /// <param name="isSafe">The far end is proven to be the right one under TLS, and asks the same of whom it hands the message on to.</param>
    /// <param name="tls">What TLS there is.</param>
    public static (string Status, string Text)? WhyByTls(OutboundMessage message, bool isSafe, AttemptTls? tls)
    {
        if (isSafe || !message.First.Body.HasFlag(BodyType.RequireTls))
            return null;
        // TLS that fails today may be there tomorrow.
        return tls is { IsEncrypted: true }
            ? ("5.7.30", $"Its sender asks for REQUIRETLS; the far end {(tls.Certificate is "verified" or "tlsa" ? "does not offer it, or cannot be proven to be one of the domain's" : $"cannot be proven to be the right one (certificate {tls.Certificate})")}")
            : ("4.7.30", "Its sender asks for REQUIRETLS, and there is no TLS with the far end");
    }

    /// <summary>RFC 2852 §4.1.4: what is to be returned after a time goes to nobody who would not return it.</summary>
    private static (string Status, string Text)? TooLate(DeliverBy by, EhloCapabilities capabilities, bool isFinal, DateTimeOffset now)
    {
        var seconds = by.SecondsLeft(now);
        if (seconds <= 0)
            return ("5.4.7", "The time by which its sender wanted it delivered has passed");
        if (isFinal)
            return null;
        if (!capabilities.DeliverBy)
            return ("5.3.3", "Its sender wants it returned after a time, and the far end does not offer DELIVERBY");
        return seconds < capabilities.LeastDeliverBySeconds
            ? ("5.4.7", $"The far end needs {capabilities.LeastDeliverBySeconds} seconds to keep to a time, and {seconds} are left") : null;
    }

    /// <summary>As people read it in a report; in octets where they would see no difference.</summary>
    internal static string TooLarge(long size, long limit) =>
        Units.Size(size) == Units.Size(limit)
            ? $"The message has {size} octets, the far end takes {limit}"
            : $"The message has {Units.Size(size)}, the far end takes {Units.Size(limit)}";

    private static bool HasControls(string address) =>
        address.AsSpan().IndexOfAnyInRange('\0', '\x1F') >= 0 || address.Contains('\x7F', StringComparison.Ordinal);
}
