using MailPipeline.Mail;

namespace MailPipeline.Delivery.Batches;

/// <summary>The bytes of accepted messages.</summary>
internal interface IMessageContent
{
    /// <summary>The content in order, in chunks that are valid until the next is asked for.</summary>
    /// <param name="sizeBytes">Of the message: behind its last octet nothing is asked for.</param>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, long sizeBytes, CancellationToken cancellationToken);
}

/// <summary>Content in the mail storage.</summary>
internal sealed class StoredContent(MessageStore messages) : IMessageContent
{
    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, long sizeBytes, CancellationToken cancellationToken) =>
        messages.ReadContentAsync(messageId, cancellationToken, sizeBytes);
}
