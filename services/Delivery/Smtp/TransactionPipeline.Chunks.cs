using System.Buffers;
using System.Globalization;
using MailPipeline.Delivery.Batches;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// Content by BDAT (RFC 3030), to a far end that offers CHUNKING: octets that were counted before, and no dots. The last octet of the last
/// chunk is what the final dot is otherwise: before it has been sent the far end cannot have taken the message, and it is held back until it
/// may be sent. Nothing of the content goes out before the replies to RCPT are read, though §4.2 allows that: it would be spent on a far end
/// that takes none of the recipients, and everything that breaks before they have answered would leave a doubt.
/// </summary>
internal sealed partial class TransactionPipeline
{
    /// <summary>A far end that has enough of a message can say so behind each chunk.</summary>
    internal const int ChunkBytes = 1024 * 1024;

    /// <summary>With PIPELINING one chunk travels while the one before it is answered (RFC 3030 §2).</summary>
    private const int MostUnanswered = 2;

    private readonly bool _chunking = connection.TakesChunks;

    /// <summary>Chunks of the current message that were begun, and whose replies were not read.</summary>
    private int _unanswered;

    private long _leftOfChunk;
    private byte? _lastOctet;

    /// <summary>What it said to its first chunk, if that was that it does not know BDAT; null otherwise.</summary>
    public SmtpReply? ChunkRefusal { get; private set; }

    private void ResetChunks()
    {
        _unanswered = 0;
        _leftOfChunk = 0;
        _lastOctet = null;
    }

    /// <summary>
    /// The command of the next chunk, where the last one is written whole. False: the far end refused one before it, and the message is settled.
    /// </summary>
    private async ValueTask<bool> IsInChunkAsync(OutboundMessage message)
    {
        if (_leftOfChunk > 0)
            return true;
        var left = message.First.SizeBytes - _sent;
        if (left <= 0)
            await UnreadableAsync(message, new InvalidDataException($"More than {message.First.SizeBytes} octets are there"));
        if (_unanswered >= (_pipelining ? MostUnanswered : 1))
        {
            await connection.FlushAsync(_timeouts.Block);
            var reply = await ReadChunkReplyAsync(message);
            if (!reply.IsSuccess)
            {
                await ChunkRefusedAsync(message, reply);
                return false;
            }
        }

        _leftOfChunk = Math.Min(left, ChunkBytes);
        _unanswered++;
        await connection.WriteLineAsync(
            string.Create(CultureInfo.InvariantCulture, $"BDAT {_leftOfChunk}{(_leftOfChunk == left ? " LAST" : "")}"), _timeouts.Block);
        return true;
    }

    /// <summary>Writes what fits of it into the output and the chunk; returns how much that was.</summary>
    private int WriteToChunk(ReadOnlySpan<byte> content, int room, long messageBytes)
    {
        var length = (int)Math.Min(Math.Min(content.Length, room), _leftOfChunk);
        var piece = content[..length];
        if (_sent + length == messageBytes)
        {
            _lastOctet = piece[^1];
            piece = piece[..^1];
        }

        connection.Write(piece);
        _leftOfChunk -= length;
        return length;
    }

    /// <summary>What makes the message the far end's: the octet that was held back.</summary>
    private async ValueTask WriteLastOctetAsync()
    {
        if (_lastOctet is { } octet)
        {
            connection.Write([octet]);
            return;
        }

        _unanswered++;
        await connection.WriteLineAsync("BDAT 0 LAST", _timeouts.Block);
    }

    /// <summary>The reply to a chunk that is not the last.</summary>
    private async ValueTask<SmtpReply> ReadChunkReplyAsync(OutboundMessage message)
    {
        // Once the last chunk is out nothing is given up early: that would be a doubt.
        var reply = await ReadAsync("BDAT", message.IsDotSent ? _timeouts.FinalDot : _timeouts.Block);
        _unanswered--;
        await HearAsync(message, reply);
        return reply.IsSuccess || reply.Code >= 400 ? reply : throw OutOfStep("BDAT", reply);
    }

    /// <summary>
    /// RFC 3030 §2: the transaction has failed with its first chunk that did, and RSET clears it. What went out behind that chunk is answered
    /// too, and says nothing more.
    /// </summary>
    private async ValueTask ChunkRefusedAsync(OutboundMessage message, SmtpReply refusal)
    {
        await RefusedAsync(message, refusal, TransactionStep.Data);
        if (refusal.Code == Closing)
            throw ClosedBy(refusal);
        while (_unanswered > 0)
            await ReadChunkReplyAsync(message);
        connection.NeedsReset = true;
    }

    /// <summary>The replies to the chunks before the last, whose octets are all out. Null: none was refused.</summary>
    private async ValueTask<SmtpReply?> ReadEarlierChunksAsync(OutboundMessage message)
    {
        SmtpReply? refusal = null;
        while (_unanswered > 1)
        {
            var reply = await ReadChunkReplyAsync(message);
            if (!reply.IsSuccess)
                refusal ??= reply;
        }

        return refusal;
    }

    /// <summary>
    /// A chunk before the last was refused while that travelled. The message is not taken: the far end's word for the last chunk is that there was
    /// none to add to. Where it says that it takes it all the same the message is in doubt, and the connection ends.
    /// </summary>
    private async ValueTask<SmtpReply> ReadBehindRefusalAsync(OutboundMessage message, SmtpReply refusal)
    {
        SmtpReply last;
        try
        {
            // How many replies there are behind a failed chunk of LMTP is written nowhere.
            if (refusal.Code == Closing || connection.IsLmtp)
                throw ClosedBy(refusal);
            last = await connection.ReadReplyAsync("the last chunk", _timeouts.FinalDot);
        }
        catch (SmtpConnectionException)
        {
            await RefusedAsync(message, refusal, TransactionStep.Data);
            throw;
        }

        // Whether it has taken the message, or what it has of it, nobody can say.
        return last.IsSuccess
            ? throw new SmtpConnectionException("4.5.0", $"{connection.Peer} refused a chunk ({RemoteReply.Line(refusal)}) and took the last one: {RemoteReply.Line(last)}")
            : refusal;
    }

    /// <summary>
    /// Whoever offers CHUNKING and does not know BDAT takes the content for commands: nothing more is said over this connection, and the
    /// message goes over another one, by DATA.
    /// </summary>
    private async ValueTask HearAsync(OutboundMessage message, SmtpReply reply)
    {
        if (!_chunking)
            return;
        if (connection.KnowsChunks || !HasLostThread(reply))
        {
            connection.KnowsChunks = true;
            return;
        }

        ChunkRefusal = reply;
        if (_next is { } next)
            await batch.PutBackAsync(next);
        await batch.PutBackAsync(message);
        _next = _current = null;
        throw Unknown(reply);
    }

    /// <summary>
    /// The first of several recipients' replies to the last chunk (LMTP). Whoever has lost the thread, or never knew BDAT, does not answer for each of
    /// them: the reply is this recipient's, and what comes behind it may be an answer to the content. The message is not put back, as the others may
    /// have it.
    /// </summary>
    private void HearFirstOfMany(SmtpReply reply)
    {
        if (!_chunking)
            return;
        if (!HasLostThread(reply))
        {
            connection.KnowsChunks = true;
            return;
        }

        if (connection.KnowsChunks)
            throw OutOfStep("the last chunk", reply);
        ChunkRefusal = reply;
        throw Unknown(reply);
    }

    private static bool HasLostThread(SmtpReply reply) => reply.Code is 500 or 502 or 503;

    private SmtpConnectionException Unknown(SmtpReply reply) =>
        new("4.5.0", $"{connection.Peer} offers CHUNKING and does not know BDAT: {RemoteReply.Line(reply)}");
}
