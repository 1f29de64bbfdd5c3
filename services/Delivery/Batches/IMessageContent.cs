using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>What storage has of accepted messages and the bus does not carry.</summary>
internal interface IMessageContent
{
    /// <summary>The content in order, in chunks that are valid until the next is asked for.</summary>
    IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, CancellationToken cancellationToken);

    /// <summary>What the sender said about reports on these recipients of one message.</summary>
    Task<MessageDsn> FindDsnAsync(IReadOnlyList<Recipient> recipients, CancellationToken cancellationToken);

    /// <summary>What the sender said about the message's time and priority.</summary>
    Task<MailTiming> FindTimingAsync(long messageId, CancellationToken cancellationToken);

    /// <summary>Who submitted the message; null: nothing was said.</summary>
    Task<MailSubmitter?> FindSubmitterAsync(long messageId, CancellationToken cancellationToken);
}

/// <summary>Content in the mail storage.</summary>
internal sealed class StoredContent(MessageStore messages, DsnStore dsn, TimingStore timings, SubmitterStore submitters) : IMessageContent
{
    public IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAsync(long messageId, CancellationToken cancellationToken) =>
        messages.ReadContentAsync(messageId, cancellationToken);

    public Task<MessageDsn> FindDsnAsync(IReadOnlyList<Recipient> recipients, CancellationToken cancellationToken) =>
        dsn.FindAsync(recipients.Select(recipient => recipient.RecipientId), cancellationToken);

    public Task<MailTiming> FindTimingAsync(long messageId, CancellationToken cancellationToken) => timings.FindAsync(messageId, cancellationToken);

    public Task<MailSubmitter?> FindSubmitterAsync(long messageId, CancellationToken cancellationToken) => submitters.FindAsync(messageId, cancellationToken);
}
