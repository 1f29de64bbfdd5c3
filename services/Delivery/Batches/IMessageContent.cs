using MailPipeline.Mail;

namespace MailPipeline.Delivery.Batches;

/// <summary>The bytes of accepted messages.</summary>
internal interface IMessageContent
{
    /// <summary>The content in order, in chunks that are valid until the next is asked for.</summary>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, CancellationToken cancellationToken);
}

/// <summary>Content in the mail storage.</summary>
internal sealed class StoredContent(MessageStore messages) : IMessageContent
{
    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, CancellationToken cancellationToken) =>
        messages.ReadContentAsync(messageId, cancellationToken);
}
