using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>What keeps a message from going to a far end at all, by what that one offers and by what a command can hold.</summary>
internal static class Unsendable
{
    /// <summary>Null: it can go.</summary>
    public static (string Status, string Text)? Why(OutboundMessage message, EhloCapabilities capabilities)
    {
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

    /// <summary>As people read it in a report; in octets where they would see no difference.</summary>
    internal static string TooLarge(long size, long limit) =>
        Units.Size(size) == Units.Size(limit)
            ? $"The message has {size} octets, the far end takes {limit}"
            : $"The message has {Units.Size(size)}, the far end takes {Units.Size(limit)}";

    private static bool HasControls(string address) =>
        address.AsSpan().IndexOfAnyInRange('\0', '\x1F') >= 0 || address.Contains('\x7F', StringComparison.Ordinal);
}
