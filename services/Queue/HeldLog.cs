using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue;

/// <summary>Says that a recipient is held for an operator, whatever it was that decided so.</summary>
internal static partial class HeldLog
{
    /// <param name="address">Empty where it is not known.</param>
    public static void RecipientHeld(this ILogger log, long recipientId, string address, string reason) =>
        LogHeld(log, MessageIds.ToText(RecipientIds.MessageId(recipientId)), LogText.Address(address), reason);

    [LoggerMessage(2057, LogLevel.Error, "message={MessageId} to=<{Recipient}> status=held reply={Reason}")]
    private static partial void LogHeld(ILogger log, string messageId, string recipient, string reason);
}
