using MailPipeline.Mail;
using MailPipeline.Storage;


namespace MailPipeline.Mailbox.Pop3;

/// <summary>
/// The octets of one message, a chunk at a time. Opening it reads into the content proper, so that a message whose content
/// is gone is found out before anything is said of it; a content that ends early is an error and never an end.
/// </summary>
internal sealed class MessageContent(IMaildrops maildrops, MaildropMessage message, CancellationToken cancellation) : IAsyncDisposable
{
    /// <summary>The first chunk, when it is this small, is the header put before the content at delivery.</summary>
    private const int MaxHeaderBytes = 4096;

    private readonly IAsyncEnumerator<ReadOnlyMemory<byte>> _chunks =
        maildrops.ReadAsync(message, cancellation).GetAsyncEnumerator(cancellation);

    private byte[]? _header;
    private bool _more;
    private long _octets;

    /// <summary>The chunk to be sent now, valid until the next one is asked for; null behind the last.</summary>
    public ReadOnlyMemory<byte>? Chunk => _header ?? (_more ? _chunks.Current : default(ReadOnlyMemory<byte>?));

    /// <exception cref="StorageUnavailableException">The content cannot be read, or is not there.</exception>
    public async ValueTask OpenAsync()
    {
        await ReadAsync();
        if (!_more || _chunks.Current.Length > MaxHeaderBytes)
            return;
        _header = _chunks.Current.ToArray();
        await ReadAsync();
    }

    /// <exception cref="StorageUnavailableException">The content cannot be read, or ends early.</exception>
    public async ValueTask NextAsync()
    {
        if (_header is not null)
            _header = null;
        else
            await ReadAsync();
    }

    public ValueTask DisposeAsync() => _chunks.DisposeAsync();

    private async ValueTask ReadAsync()
    {
        _more = await _chunks.MoveNextAsync();
        if (_more)
        {
            _octets += _chunks.Current.Length;
        }
        else if (_octets < message.SizeBytes)
        {
            throw new StorageUnavailableException(
                StorageFault.Unavailable, $"Message {message.MessageId:X} has {_octets} of {message.SizeBytes} octets.");
        }
    }
}
