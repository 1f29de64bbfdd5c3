using System.Buffers;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Takes the bytes of one message as they arrive, holding at most one chunk in memory. Disposed without having been
/// accepted, it leaves nothing behind, unless nobody knows whether it was.
/// </summary>
public sealed class ContentWriter : IAsyncDisposable
{
    private const int FirstBufferBytes = 4096;

    /// <summary>Up to here a buffer is filled in fewer steps; from here on what is not filled is too much to keep for each of many sessions.</summary>
    private const int LargeBufferBytes = 64 * 1024;

    private readonly StorageEngine _engine;
    private readonly int _chunkBytes;
    private readonly List<ContentChunk> _spilled = [];
    private byte[] _buffer = [];
    private int _length;
    private long? _spill;
    private bool _kept;

    internal ContentWriter(MailDatabase database, long messageId)
    {
        MessageId = messageId;
        _engine = database.Engine;
        _chunkBytes = database.Options.ChunkBytes;
    }

    public long MessageId { get; }

    public long SizeBytes { get; private set; }

    /// <summary>Adds a copy of the bytes.</summary>
    /// <exception cref="StorageUnavailableException">A full chunk could not be put away.</exception>
    public ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        if (_length + bytes.Length > _chunkBytes)
            return AppendInPartsAsync(bytes, cancellationToken);
        Copy(bytes.Span);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        ReturnBuffer();
        if (!_kept && _spilled.Count > 0)
            await _engine.DiscardAsync(_spilled);
        if (_spill is { } spill)
            _engine.EndSpill(spill);
        _spill = null;
    }

    /// <summary>
    /// All chunks of the message. What has been in memory as a whole is a single chunk, prefix and content, in its row or put away now; of what
    /// was larger the prefix is the first, and the content has been put away by then or is now. Inline bytes are this writer's own until it is
    /// disposed.
    /// </summary>
    internal async ValueTask<IReadOnlyList<ContentChunk>> CompleteAsync(byte[] prefix, CancellationToken cancellationToken)
    {
        if (_spilled.Count == 0 && prefix.Length + _length <= Math.Max(_engine.MaxInlineBytes, _chunkBytes))
        {
            PutInFront(prefix);
            if (_length <= _engine.MaxInlineBytes)
                return [new ContentChunk(ChunkIds.First(MessageId), _length, _buffer, 0, 0)];
            await SpillAsync(ChunkIds.First(MessageId), cancellationToken);
            return _spilled;
        }
        if (_length > 0)
            await SpillContentAsync(cancellationToken);
        return prefix.Length == 0 ? _spilled : [new ContentChunk(ChunkIds.First(MessageId), prefix.Length, prefix, 0, 0), .. _spilled];
    }

    /// <summary>What was spilled is no longer this writer's to take back.</summary>
    internal void Keep() => _kept = true;

    private async ValueTask AppendInPartsAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (bytes.Length > 0)
        {
            var part = bytes[..Math.Min(bytes.Length, _chunkBytes - _length)];
            Copy(part.Span);
            bytes = bytes[part.Length..];
            if (_length == _chunkBytes)
                await SpillContentAsync(cancellationToken);
        }
    }

    private ValueTask SpillContentAsync(CancellationToken cancellationToken) =>
        SpillAsync(ChunkIds.OfContent(MessageId, _spilled.Count), cancellationToken);

    private async ValueTask SpillAsync(long id, CancellationToken cancellationToken)
    {
        _spill ??= _engine.BeginSpill();
        _spilled.Add(await _engine.SpillAsync(id, _buffer, _length, cancellationToken));
        _length = 0;
    }

    private void Copy(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _buffer.Length)
        {
            var next = _buffer.Length * (_buffer.Length < LargeBufferBytes ? 4 : 2);
            var wanted = Math.Max(Math.Max(next, FirstBufferBytes), _length + bytes.Length);
            var larger = ArrayPool<byte>.Shared.Rent(Math.Min(wanted, _chunkBytes));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ReturnBuffer();
            _buffer = larger;
        }
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
        SizeBytes += bytes.Length;
    }

    private void PutInFront(byte[] prefix)
    {
        if (prefix.Length == 0)
            return;
        var joined = ArrayPool<byte>.Shared.Rent(prefix.Length + _length);
        prefix.CopyTo(joined, 0);
        _buffer.AsSpan(0, _length).CopyTo(joined.AsSpan(prefix.Length));
        ReturnBuffer();
        (_buffer, _length) = (joined, prefix.Length + _length);
    }

    private void ReturnBuffer()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }
}
