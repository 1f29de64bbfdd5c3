using System.Buffers;
using System.Data.Common;
using System.Runtime.CompilerServices;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>What stands behind the door, for whoever has to say "later".</summary>
/// <param name="Unrouted">Messages the router has not seen, counted up to a bound.</param>
/// <param name="Queued">Recipients without an outcome, and messages that their senders have held until later, counted up to a bound.</param>
/// <param name="SpaceUsed">Share of the room for mail that is used up; from 1 on there is none. 0 where nobody measures it.</param>
public sealed record StoreLoad(long Unrouted, long Queued, double SpaceUsed);

/// <summary>
/// Accepted messages: bytes and envelope. What <see cref="AcceptAsync"/> has returned for survives the death of every
/// process.
/// </summary>
public sealed class MessageStore
{
    private readonly MailDatabase _database;
    private static string Chunk(string last) =>
        $"SELECT id, size_bytes, bytes, segment, position, (SELECT COALESCE(MIN(n.id), 0) FROM chunks n WHERE n.id > c.id AND n.id <= {last}) FROM chunks c";

    private static readonly Statement s_insertMessage = new(
        """
        INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs, header_id)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """) { IsMerged = true };

    // With what checks said of it and what its sender wants to be told, of few messages.
    private static readonly Statement s_insertNoted = new(
        """
        INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs, header_id, hold_reason, tags, dsn)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """);

    // With what MAIL said about time, or about who submitted it, of fewer still.
    private static readonly Statement s_insertTimed = new(
        """
        INSERT INTO messages (
            id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs, header_id, hold_reason, tags, dsn, timing, release_at, priority,
            submitter)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
        """);

    private static readonly Statement s_insertChunk = new(
        "INSERT INTO chunks (id, size_bytes, bytes, segment, position) VALUES ($1, $2, $3, $4, $5)") { IsMerged = true };

    // PostgreSQL: spilled chunks are rows already. Locked: whoever collects what seems ownerless must wait, or be too late.
    private static readonly Statement s_countChunks = new(
        "SELECT COUNT(*) FROM (SELECT 1 FROM chunks WHERE id BETWEEN $1 AND $2 {key_share}) c");

    private static readonly Statement s_insertUnrouted = new("INSERT INTO unrouted (message_id, recipients) VALUES ($1, $2)") { IsMerged = true };

    private static readonly Statement s_insertUnroutedDsn = new("INSERT INTO unrouted_dsn (message_id, recipients, parameters) VALUES ($1, $2, $3)");

    private static readonly Statement s_insertUnroutedTimed = new(
        "INSERT INTO unrouted_timed (message_id, recipients, parameters, release_at) VALUES ($1, $2, $3, $4)");

    // Waits for a transaction that has inserted the message and whose end nobody knows yet. The row stays in the message's place: an insert
    // that the server had received, and had not come to yet, finds it there and fails.
    private static readonly Statement s_refuse = new(
        """
        INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
        VALUES ($1, {now}, '', '', -1, 0, '', 0)
        ON CONFLICT (id) DO NOTHING
        """);

    private static readonly Statement s_isAccepted = new("SELECT 1 FROM messages WHERE id = $1 AND size_bytes >= 0");

    private static readonly Statement s_touch = new("UPDATE id_blocks SET next = next WHERE name = $1") { Locks = SharedRows.IdBlocks };

    // Each with the id of the chunk behind it.
    private static readonly Statement s_readChunk = new($"{Chunk("$2")} WHERE id >= $1 AND id <= $2 ORDER BY id LIMIT 1");

    private static readonly Statement s_readFirst = new($"{Chunk("c.id + 65535")} WHERE id {{in_1}}");

    private static readonly Statement s_countUnrouted = new(
        """
        SELECT COUNT(*) FROM (
            SELECT 1 FROM unrouted UNION ALL SELECT 1 FROM unrouted_dsn UNION ALL SELECT 1 FROM unrouted_timed WHERE release_at <= $2 LIMIT $1) u
        """);

    // What senders have held counts by the message.
    private static readonly Statement s_countQueued = new(
        """
        SELECT COUNT(*) FROM (
            SELECT 1 FROM recipients WHERE state = 0 UNION ALL SELECT 1 FROM unrouted_timed WHERE release_at > $2 LIMIT $1) r
        """);

    /// <summary>From here on what is read of a row lies in a buffer that is used again: so large an array would live until a full collection.</summary>
    private const int LargeBytes = 32 * 1024;

    // Of a segment. Larger buffers would each be kept in the heap of large objects, which is seldom collected.
    private const int MaxPieceBytes = 64 * 1024;

    private static readonly TimeSpan s_askAgain = TimeSpan.FromMilliseconds(500);

    /// <summary>Clients wait ten minutes for the reply to the final dot (RFC 5321 §4.5.3.2.6).</summary>
    private static readonly TimeSpan s_askFor = TimeSpan.FromMinutes(1);

    /// <summary>More than all doors together accept within <see cref="s_queuedFor"/>.</summary>
    private const long FarBelow = 100_000;

    private static readonly TimeSpan s_queuedFor = TimeSpan.FromSeconds(5);

    private readonly JointReads<StoredChunk> _first;

    private (long Count, long At) _queued;

    public MessageStore(MailDatabase database)
    {
        _database = database;
        _first = new JointReads<StoredChunk>(ReadFirstAsync);
    }

    /// <summary>A new id, unique for ever; costs no I/O but once in a thousand calls.</summary>
    public ValueTask<long> NextMessageIdAsync(CancellationToken cancellationToken) => _database.MessageIds.NextAsync(cancellationToken);

    public ContentWriter CreateContent(long messageId) => new(_database, messageId);

    /// <summary>
    /// Counts no further than the bounds: for every second, not for every message. A queue takes long to count: while it is far from its
    /// bound the count is up to <see cref="s_queuedFor"/> old.
    /// </summary>
    public async Task<StoreLoad> MeasureLoadAsync(long maxUnrouted, long maxQueued, CancellationToken cancellationToken)
    {
        var unrouted = await _database.QueryAsync(s_countUnrouted, r => r.GetInt64(0), cancellationToken, maxUnrouted, _database.Time.GetUtcNow());
        var queued = await CountQueuedAsync(maxQueued, cancellationToken);
        var used = await _database.Engine.MeasureRoomAsync(cancellationToken);
        try
        {
            _database.Engine.EnsureRoom();
            return new StoreLoad(unrouted[0], queued, used);
        }
        catch (StorageUnavailableException)
        {
            return new StoreLoad(unrouted[0], queued, Math.Max(used, 1));
        }
    }

    private async Task<long> CountQueuedAsync(long max, CancellationToken cancellationToken)
    {
        var (count, at) = _queued;
        if (at != 0 && max - count > FarBelow && _database.Time.GetElapsedTime(at) < s_queuedFor)
            return count;
        at = _database.Time.GetTimestamp();
        count = (await _database.QueryAsync(s_countQueued, r => r.GetInt64(0), cancellationToken, max, _database.Time.GetUtcNow()))[0];
        _queued = (count, at);
        return count;
    }

    /// <summary>Commits the message, its bytes and its envelope; durable when this returns.</summary>
    /// <param name="prefix">What stands in front of the content; null: nothing.</param>
    /// <param name="tags">What checks call it; null: nothing.</param>
    /// <exception cref="StorageUnavailableException">
    /// Not accepted; or, with <see cref="StorageFault.OutcomeUnknown"/>, nobody can say.
    /// </exception>
    public async Task AcceptAsync(
        Envelope message, ContentWriter content, CancellationToken cancellationToken, MessagePrefix? prefix = null,
        IReadOnlyCollection<string>? tags = null)
    {
        if (content.MessageId != message.MessageId)
            throw new ArgumentException($"Content of message {content.MessageId} given for {message.MessageId}.", nameof(content));
        _database.Engine.EnsureRoom();
        var chunks = await content.CompleteAsync(prefix?.ToBytes() ?? [], cancellationToken);
        try
        {
            // Not cancelled from here on: the caller must learn what became of it.
            await _database.WriteAsync(transaction => InsertAsync(transaction, message, chunks, tags));
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
    public async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadContentAsync(
        long messageId, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var last = ChunkIds.Last(messageId);
        for (var next = ChunkIds.First(messageId); next > 0;)
        {
            if (await FindChunkAsync(next, last, cancellationToken) is not { } stored)
                yield break;
            var chunk = stored.Chunk;
            if (chunk.Segment == 0)
            {
                try
                {
                    yield return chunk.Inline.AsMemory(0, chunk.SizeBytes);
                }
                finally
                {
                    if (chunk.SizeBytes >= LargeBytes)
                        ArrayPool<byte>.Shared.Return(chunk.Inline!);
                }
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
            next = stored.Next;
        }
    }

    internal static async ValueTask<bool> InsertAsync(
        IWriteTransaction transaction, Envelope message, IReadOnlyList<ContentChunk> chunks, IReadOnlyCollection<string>? tags = null)
    {
        var size = 0L;
        var inRows = 0;
        foreach (var chunk in chunks)
        {
            size += chunk.SizeBytes;
            transaction.RequireDurable(chunk);
            if (chunk.Inline is null && chunk.Segment == 0)
                inRows++;
            else
                transaction.ExecuteLast(
                    s_insertChunk, chunk.Id, chunk.SizeBytes, SqlValue.FromBytes(chunk.Inline ?? [], chunk.Inline is null ? 0 : chunk.SizeBytes),
                    chunk.Segment, chunk.Position);
        }
        var releaseAt = message.Timing?.Release?.At.ToUnixTimeMilliseconds() ?? 0;
        if (message.Timing is not null || message.Submitter is not null)
            transaction.ExecuteLast(
                s_insertTimed, message.MessageId, message.AcceptedAt, message.Sender, message.Flow, size, (long)message.Body, message.TraceParent,
                message.Recipients.Length, message.HeaderId, message.HoldReason, string.Join('\n', tags ?? []), message.Dsn?.Mail.ToString() ?? "", message.Timing?.ToText() ?? "",
                releaseAt, message.Timing?.Priority ?? 0, message.Submitter?.ToText() ?? "");
        else if (message.HoldReason.Length > 0 || tags is { Count: > 0 } || message.Dsn is not null)
            transaction.ExecuteLast(
                s_insertNoted, message.MessageId, message.AcceptedAt, message.Sender, message.Flow, size, (long)message.Body,
                message.TraceParent, message.Recipients.Length, message.HeaderId, message.HoldReason, string.Join('\n', tags ?? []), message.Dsn?.Mail.ToString() ?? "");
        else
            transaction.ExecuteLast(
                s_insertMessage, message.MessageId, message.AcceptedAt, message.Sender, message.Flow, size, (long)message.Body,
                message.TraceParent, message.Recipients.Length, message.HeaderId);
        var recipients = string.Join('\n', message.Recipients);
        // A router that knows no REQUIRETLS would hand such a message to anybody.
        if (message.Timing is not null || message.Body.HasFlag(BodyType.RequireTls))
            transaction.ExecuteLast(s_insertUnroutedTimed, message.MessageId, recipients, message.Dsn?.ToText() ?? "", releaseAt);
        else if (message.Dsn is { } dsn)
            transaction.ExecuteLast(s_insertUnroutedDsn, message.MessageId, recipients, dsn.ToText());
        else
            transaction.ExecuteLast(s_insertUnrouted, message.MessageId, recipients);
        if (inRows > 0)
        {
            var counted = await transaction.QueryAsync(
                s_countChunks, r => r.GetInt64(0), ChunkIds.OfContent(message.MessageId, 0), ChunkIds.Last(message.MessageId));
            if (counted[0] != inRows)
                throw new StorageUnavailableException(StorageFault.Refused, "The message's content is no longer whole.");
        }
        return true;
    }

    /// <summary>To another machine the question costs more than the answer, and most contents begin with their first chunk.</summary>
    private async Task<StoredChunk?> FindChunkAsync(long from, long last, CancellationToken cancellationToken)
    {
        if (!_database.SingleProcess && ChunkIds.IsFirst(from) && await _first.ReadAsync(from).WaitAsync(cancellationToken) is { } found)
            return found;
        return await _database.QueryAsync(s_readChunk, ReadRow, cancellationToken, from, last) is [var chunk] ? chunk : null;
    }

    private async Task<List<(long Id, StoredChunk Chunk)>> ReadFirstAsync(IEnumerable<long> ids) =>
        (await _database.QueryAsync(s_readFirst, ReadRow, CancellationToken.None, SqlValue.FromIds(ids))).ConvertAll(row => (row.Chunk.Id, row));

    /// <summary>Reads the chunk's bytes from a position on, as many as the buffer takes. False: nobody needs them any more.</summary>
    private async ValueTask<bool> ReadPieceAsync(ContentChunk chunk, int position, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                await _database.Engine.ReadSegmentAsync(
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
            chunk = moved.Chunk;
        }
    }

    /// <summary>
    /// Asks again by id after a commit of unknown outcome; never assumes. It asks by a commit of its own: a transaction that still
    /// hangs is waited for, one that has not begun can no longer succeed, and where standbys confirm each commit, one that is confirmed
    /// confirms all before it.
    /// </summary>
    private async Task<bool> WasAcceptedAsync(long messageId, StorageUnavailableException fault, CancellationToken cancellationToken)
    {
        var started = _database.Time.GetTimestamp();
        while (_database.Time.GetElapsedTime(started) < s_askFor)
        {
            await Task.Delay(s_askAgain, _database.Time, cancellationToken);
            try
            {
                return await _database.WriteAsync(async transaction =>
                {
                    if (await transaction.ExecuteAsync(s_refuse, messageId) == 1)
                        return false;
                    // What is there may have come from a question before this one, of which nobody knew how it ended.
                    var isAccepted = (await transaction.QueryAsync(s_isAccepted, r => true, messageId)).Count > 0;
                    // A commit without a change would be confirmed by nobody.
                    await transaction.ExecuteAsync(s_touch, "message");
                    return isAccepted;
                });
            }
            catch (StorageUnavailableException)
            {
                // Still away.
            }
        }
        throw fault;
    }

    private static StoredChunk ReadRow(DbDataReader r)
    {
        var (size, segment) = (r.GetInt32(1), r.GetInt64(3));
        return new(new(r.GetInt64(0), size, segment == 0 ? ReadBytes(r, size) : null, segment, r.GetInt64(4)), r.GetInt64(5));
    }

    private static byte[] ReadBytes(DbDataReader r, int size)
    {
        if (size < LargeBytes)
            return r.GetFieldValue<byte[]>(2);
        var buffer = ArrayPool<byte>.Shared.Rent(size);
        if (r.GetBytes(2, 0, buffer, 0, size) != size)
            throw new InvalidOperationException($"Chunk {r.GetInt64(0)} has not the {size} octets that its row says.");
        return buffer;
    }

    /// <param name="Next">Id of the chunk behind it; 0: it is the last.</param>
    private sealed record StoredChunk(ContentChunk Chunk, long Next);
}
