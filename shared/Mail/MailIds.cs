using System.Globalization;

namespace MailPipeline.Mail;

/// <summary>
/// Message ids: positive 47-bit numbers, unique for ever within one store, handed out in blocks. Operators, replies and
/// logs see them as upper-case hexadecimal ("queued as 1E240").
/// </summary>
public static class MessageIds
{
    public static string ToText(long messageId) => messageId.ToString("X", CultureInfo.InvariantCulture);

    public static bool TryParse(string text, out long messageId) =>
        long.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out messageId) && messageId > 0;
}

/// <summary>
/// Recipient ids: the message id and the recipient's number within the message (0 to 65,535) in one 63-bit number, so that
/// all recipients of a message are one key range.
/// </summary>
public static class RecipientIds
{
    public const int MaxPerMessage = 1 << NumberBits;

    private const int NumberBits = 16;

    public static long Of(long messageId, int number) => (messageId << NumberBits) | (uint)number;

    public static long MessageId(long recipientId) => recipientId >> NumberBits;

    public static int Number(long recipientId) => (int)(recipientId & (MaxPerMessage - 1));
}
