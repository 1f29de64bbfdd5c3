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
    /// All chunks of the message, the last one inline when it is the only one and small enough. Inline bytes are this writer's
    /// own until it is disposed.
    /// </summary>
    internal async ValueTask<IReadOnlyList<ContentChunk>> CompleteAsync(CancellationToken cancellationToken)
    {
        if (_spilled.Count > 0 || _length > _engine.MaxInlineBytes)
        {
            if (_length > 0)
                await SpillAsync(cancellationToken);
            return _spilled;
        }
        return [new ContentChunk(ChunkIds.First(MessageId), _length, _buffer, 0, 0)];
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
                await SpillAsync(cancellationToken);
        }
    }

    private async ValueTask SpillAsync(CancellationToken cancellationToken)
    {
        _spill ??= _engine.BeginSpill();
        var id = ChunkIds.Of(MessageId, _spilled.Count);
        _spilled.Add(await _engine.SpillAsync(id, _buffer, _length, cancellationToken));
        _length = 0;
    }

    private void Copy(ReadOnlySpan<byte> bytes)
    {
        if (_length + bytes.Length > _buffer.Length)
        {
            var wanted = Math.Max(Math.Max(_buffer.Length * 4, FirstBufferBytes), _length + bytes.Length);
            var larger = ArrayPool<byte>.Shared.Rent(Math.Min(wanted, _chunkBytes));
            _buffer.AsSpan(0, _length).CopyTo(larger);
            ReturnBuffer();
            _buffer = larger;
        }
        bytes.CopyTo(_buffer.AsSpan(_length));
        _length += bytes.Length;
        SizeBytes += bytes.Length;
    }

    private void ReturnBuffer()
    {
        if (_buffer.Length > 0)
            ArrayPool<byte>.Shared.Return(_buffer);
        _buffer = [];
    }
}
