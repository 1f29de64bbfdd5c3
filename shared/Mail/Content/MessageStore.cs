using System.Buffers;
using System.Data.Common;
using System.Runtime.CompilerServices;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What stands behind the door, for whoever has to say "later".</summary>
/// <param name="Unrouted">Messages the router has not seen, counted up to a bound.</param>
/// <param name="Queued">Recipients without an outcome, counted up to a bound.</param>
/// <param name="SpaceUsed">Share of the room for mail that is used up; from 1 on there is none. 0 where nobody measures it.</param>
public sealed record StoreLoad(long Unrouted, long Queued, double SpaceUsed);

/// <summary>
/// Accepted messages: bytes and envelope. What <see cref="AcceptAsync"/> has returned for survives the death of every
/// process.
/// </summary>
public sealed class MessageStore(MailDatabase database)
{
    private static readonly Statement s_insertMessage = new(
        """
        INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        """);

    private static readonly Statement s_insertChunk = new(
        "INSERT INTO chunks (id, size_bytes, bytes, segment, position) VALUES ($1, $2, $3, $4, $5)");

    // PostgreSQL: spilled chunks are rows already. Locked: whoever collects what seems ownerless must wait, or be too late.
    private static readonly Statement s_countChunks = new(
        "SELECT COUNT(*) FROM (SELECT 1 FROM chunks WHERE id BETWEEN $1 AND $2 {key_share}) c");

    private static readonly Statement s_insertUnrouted = new("INSERT INTO unrouted (message_id, recipients) VALUES ($1, $2)");

    // Waits for a transaction that has inserted the message and whose end nobody knows yet.
    private static readonly Statement s_insertIfAbsent = new(
        """
        INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
        VALUES ($1, 0, '', '', 0, 0, '', 0)
        ON CONFLICT (id) DO NOTHING
        """);

    private static readonly Statement s_deleteMessage = new("DELETE FROM messages WHERE id = $1");

    private static readonly Statement s_touch = new("UPDATE id_blocks SET next = next WHERE name = $1") { Locks = SharedRows.IdBlocks };

    private static readonly Statement s_readChunk = new(
        "SELECT id, size_bytes, bytes, segment, position FROM chunks WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT 1");

    private static readonly Statement s_countUnrouted = new("SELECT COUNT(*) FROM (SELECT 1 FROM unrouted LIMIT $1) u");

    private static readonly Statement s_countQueued = new("SELECT COUNT(*) FROM (SELECT 1 FROM recipients WHERE state = 0 LIMIT $1) r");

    // Of a segment. Larger buffers would each be kept in the heap of large objects, which is seldom collected.
    private const int MaxPieceBytes = 64 * 1024;

    private static readonly TimeSpan s_askAgain = TimeSpan.FromMilliseconds(500);

    /// <summary>Clients wait ten minutes for the reply to the final dot (RFC 5321 §4.5.3.2.6).</summary>
    private static readonly TimeSpan s_askFor = TimeSpan.FromMinutes(1);

    /// <summary>A new id, unique for ever; costs no I/O but once in a thousand calls.</summary>
    public ValueTask<long> NextMessageIdAsync(CancellationToken cancellationToken) => database.MessageIds.NextAsync(cancellationToken);

    public ContentWriter CreateContent(long messageId) => new(database, messageId);

    /// <summary>Counts no further than the bounds: for every second, not for every message.</summary>
    public async Task<StoreLoad> MeasureLoadAsync(long maxUnrouted, long maxQueued, CancellationToken cancellationToken)
    {
        var unrouted = await database.QueryAsync(s_countUnrouted, r => r.GetInt64(0), cancellationToken, maxUnrouted);
        var queued = await database.QueryAsync(s_countQueued, r => r.GetInt64(0), cancellationToken, maxQueued);
        var used = await database.Engine.MeasureRoomAsync(cancellationToken);
        try
        {
            database.Engine.EnsureRoom();
            return new StoreLoad(unrouted[0], queued[0], used);
        }
        catch (StorageUnavailableException)
        {
            return new StoreLoad(unrouted[0], queued[0], Math.Max(used, 1));
        }
    }

    /// <summary>Commits the message, its bytes and its envelope; durable when this returns.</summary>
    /// <param name="prefix">What stands in front of the content; null: nothing.</param>
    /// <exception cref="StorageUnavailableException">
    /// Not accepted; or, with <see cref="StorageFault.OutcomeUnknown"/>, nobody can say.
    /// </exception>
    public async Task AcceptAsync(
        Envelope message, ContentWriter content, CancellationToken cancellationToken, MessagePrefix? prefix = null)
    {
        if (content.MessageId != message.MessageId)
            throw new ArgumentException($"Content of message {content.MessageId} given for {message.MessageId}.", nameof(content));
        database.Engine.EnsureRoom();
        var chunks = await content.CompleteAsync(prefix?.ToBytes() ?? [], cancellationToken);
        try
        {
            // Not cancelled from here on: the caller must learn what became of it.
            await database.WriteAsync(transaction => InsertAsync(transaction, message, chunks));
        }
        catch (StorageUnavailableException fault) when (fault.Fault == StorageFault.OutcomeUnknown)
        {
            // They may be an accepted message's: should nobody ever say so here, they are left, and collected if they are not.
            content.Keep();
            if (!await WasAcceptedAsync(message.MessageId, fault, cancellationToken))
                throw new StorageUnavailableException(StorageFault.Unavailable, "The commit did not happen.", fault);
        }
        content.Keep();
    }

    /// <summary>
    /// The bytes of the message, first its prefix and then its content, in pieces of at most <see cref="StorageOptions.ChunkBytes"/>; nothing
    /// when the message is not there or no longer needs its bytes. A small message is one piece. A piece is valid until the next one is asked
    /// for: large ones are read into a buffer that is used again.
    /// </summary>
    /// <param name="sizeBytes">Of the message, prefix and content, where it is known: behind its last octet storage is not asked for more.</param>
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadContentAsync(
        long messageId, [EnumeratorCancellation] CancellationToken cancellationToken, long sizeBytes = long.MaxValue)
    {
        var last = ChunkIds.Last(messageId);
        for (var next = ChunkIds.First(messageId); next <= last && sizeBytes > 0;)
        {
            if (await FindChunkAsync(next, last, cancellationToken) is not { } chunk)
                yield break;
            if (chunk.Segment == 0)
            {
                yield return chunk.Inline;
            }
            else
            {
                var buffer = ArrayPool<byte>.Shared.Rent(Math.Min(chunk.SizeBytes, MaxPieceBytes));
                try
                {
                    for (var position = 0; position < chunk.SizeBytes; position += MaxPieceBytes)
                    {
                        var piece = buffer.AsMemory(0, Math.Min(chunk.SizeBytes - position, MaxPieceBytes));
                        if (!await ReadPieceAsync(chunk, position, piece, cancellationToken))
                            yield break;
                        yield return piece;
                    }
                }
                finally
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
            }
            next = chunk.Id + 1;
            sizeBytes -= chunk.SizeBytes;
        }
    }

    internal static async ValueTask<bool> InsertAsync(
        IWriteTransaction transaction, Envelope message, IReadOnlyList<ContentChunk> chunks)
    {
        var size = 0L;
        var inRows = 0;
        var pending = new List<ValueTask<int>>(chunks.Count + 2);
        foreach (var chunk in chunks)
        {
            size += chunk.SizeBytes;
            transaction.RequireDurable(chunk);
            if (chunk.Inline is null && chunk.Segment == 0)
                inRows++;
            else
                pending.Add(transaction.ExecuteAsync(
                    s_insertChunk, chunk.Id, chunk.SizeBytes, SqlValue.FromBytes(chunk.Inline ?? [], chunk.Inline is null ? 0 : chunk.SizeBytes),
                    chunk.Segment, chunk.Position));
        }
        pending.Add(transaction.ExecuteAsync(
            s_insertMessage, message.MessageId, message.AcceptedAt, message.Sender, message.Flow, size, (long)message.Body,
            message.TraceParent, message.Recipients.Length));
        pending.Add(transaction.ExecuteAsync(s_insertUnrouted, message.MessageId, string.Join('\n', message.Recipients)));
        foreach (var statement in pending)
            await statement;
        if (inRows > 0)
        {
            var counted = await transaction.QueryAsync(
                s_countChunks, r => r.GetInt64(0), ChunkIds.OfContent(message.MessageId, 0), ChunkIds.Last(message.MessageId));
            if (counted[0] != inRows)
                throw new StorageUnavailableException(StorageFault.Unavailable, "The message's content is no longer whole.");
        }
        return true;
    }

    private async ValueTask<ContentChunk?> FindChunkAsync(long from, long last, CancellationToken cancellationToken) =>
        await database.QueryAsync(s_readChunk, ReadRow, cancellationToken, from, last) is [var chunk] ? chunk : null;

    /// <summary>Reads the chunk's bytes from a position on, as many as the buffer takes. False: nobody needs them any more.</summary>
    private async ValueTask<bool> ReadPieceAsync(ContentChunk chunk, int position, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await database.Engine.ReadSegmentAsync(
                    chunk with { Position = chunk.Position + position, SizeBytes = buffer.Length }, buffer, cancellationToken);
                return true;
            }
            catch (Exception exception) when (attempt < 3 && exception is FileNotFoundException or ObjectDisposedException)
            {
                // The segment was rewritten since the row was read; it now names another one.
            }
            catch (IOException exception)
            {
                throw new StorageUnavailableException(StorageFault.Unavailable, $"Chunk {chunk.Id} cannot be read.", exception);
            }
            if (await FindChunkAsync(chunk.Id, chunk.Id, cancellationToken) is not { } moved)
                return false;
            chunk = moved;
        }
    }

    /// <summary>
    /// Asks again by id after a commit of unknown outcome; never assumes. It asks by a commit of its own: a transaction that still
    /// hangs is waited for, and where standbys confirm each commit, one that is confirmed confirms all before it.
    /// </summary>
    private async Task<bool> WasAcceptedAsync(long messageId, StorageUnavailableException fault, CancellationToken cancellationToken)
    {
        var started = database.Time.GetTimestamp();
        while (database.Time.GetElapsedTime(started) < s_askFor)
        {
            await Task.Delay(s_askAgain, database.Time, cancellationToken);
            try
            {
                return await database.WriteAsync(async transaction =>
                {
                    if (await transaction.ExecuteAsync(s_insertIfAbsent, messageId) == 1)
                    {
                        await transaction.ExecuteAsync(s_deleteMessage, messageId);
                        return false;
                    }
                    // A commit without a change would be confirmed by nobody.
                    await transaction.ExecuteAsync(s_touch, "message");
                    return true;
                });
            }
            catch (StorageUnavailableException)
            {
                // Still away.
            }
        }
        throw fault;
    }

    private static ContentChunk ReadRow(DbDataReader r) =>
        new(r.GetInt64(0), r.GetInt32(1), r.GetFieldValue<byte[]>(2), r.GetInt64(3), r.GetInt64(4));
}
