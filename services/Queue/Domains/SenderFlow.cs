using MailPipeline.Contracts;

namespace MailPipeline.Queue.Domains;

/// <summary>Which sender's mail a recipient is, for the turns that senders take.</summary>
internal static class SenderFlow
{
    /// <summary>The domain of the sender, in lower case; empty for the null sender, whose reports are one flow.</summary>
    public static string Of(QueuedRecipient recipient) =>
        recipient.Sender[(recipient.Sender.LastIndexOf('@') + 1)..].ToLowerInvariant();
}
