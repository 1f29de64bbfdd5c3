using System.Buffers.Text;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>What a BDAT command brings.</summary>
/// <param name="SizeBytes">Octets behind its line; <see cref="long.MaxValue"/> where the number is larger still.</param>
/// <param name="IsLast">They end the message.</param>
public readonly record struct SmtpChunk(long SizeBytes, bool IsLast);

// Content that comes in chunks whose size the client names (RFC 3030).
public sealed partial class SmtpSession
{
    // RFC 3030 §2: 1*DIGIT. The largest size that fits has nineteen.
    private const int MaxChunkDigits = 20;

    // A chunk of the last message was refused, and more of it may be under way: the client sends without waiting for replies.
    private bool _hasChunkFailed;

    // In LMTP, what the last chunk of that message is answered with: a reply for each recipient that it had.
    private int _repliesOwed;

    // Why the chunk is skipped.
    private SmtpReply? _chunkRefusal;

    // Abuse counters: since the last accepted message.
    private long _chunks;
    private long _chunkBytes;

    /// <summary>With <see cref="SmtpAction.ReceiveChunk"/> and <see cref="SmtpAction.SkipChunk"/>.</summary>
    public SmtpChunk Chunk { get; private set; }

    /// <summary>
    /// A chunk has been read. With a reply it is the message's end: of the last chunk positive only if the message is in durable storage, of
    /// another one a refusal. Without a reply more is to come.
    /// </summary>
    public SmtpStep ChunkEnded(SmtpReply? reply)
    {
        if (_question != SmtpAction.ReceiveChunk)
            throw new InvalidOperationException("No chunk was asked for.");
        if (reply is null ? Chunk.IsLast : reply.IsSuccess && !Chunk.IsLast)
            throw new InvalidOperationException("The last chunk ends the message, and no other one does.");

        _question = SmtpAction.Continue;
        if (reply is null)
        {
            _transaction!.IsChunked = true;
            return Respond(new SmtpReply(250, Replies.C250Ok.Status, $"{Chunk.SizeBytes} octets received"));
        }

        var step = MessageEnded(reply);
        if (Chunk.IsLast)
            return step;
        (_hasChunkFailed, _repliesOwed) = (true, IsLmtp ? step.Times : 0);
        return step with { Times = 1 };
    }

    // RFC 3030 §2
    internal SmtpStep Bdat(ReadOnlySpan<byte> argument) => TakeChunk(argument) ?? Ask(SmtpAction.ReceiveChunk);

    // RFC 3030 §2: what comes with a command that is refused is read all the same; else it would count as commands.
    private SmtpStep SkipChunk(ReadOnlySpan<byte> argument, SmtpReply refusal)
    {
        if (TakeChunk(argument) is { } end)
            return end;
        _chunkRefusal = refusal;
        return Ask(SmtpAction.SkipChunk);
    }

    private SmtpStep ChunkSkipped()
    {
        // RFC 2033 §4.3: none where no recipient was accepted. A client that counts on none takes one more for that of its next command.
        var times = IsLmtp && Chunk.IsLast ? _repliesOwed : 1;
        if (!_hasChunkFailed)
            return Respond(_chunkRefusal!) with { Times = times };
        // What is on its way behind a refused chunk is no error of its own.
        _hasChunkFailed = !Chunk.IsLast;
        if (Chunk.IsLast)
            _repliesOwed = 0;
        return new SmtpStep(SmtpAction.Continue, Replies.C503ChunkFailed, Times: times);
    }

    /// <summary>Reads what BDAT says of its chunk; null when all is well.</summary>
    private SmtpStep? TakeChunk(ReadOnlySpan<byte> argument)
    {
        if (!TryReadChunk(argument, out var chunk))
            return Unfollowable(Replies.C501BadArgument);
        if (++_chunks > SmtpLimits.MaxSmallChunks + (_chunkBytes / SmtpLimits.ChunkBytes))
            return new SmtpStep(SmtpAction.Close, Replies.C421TooManyChunks);
        _chunkBytes += Math.Min(chunk.SizeBytes, long.MaxValue - _chunkBytes);
        Chunk = chunk;
        return null;
    }

    private static bool TryReadChunk(ReadOnlySpan<byte> argument, out SmtpChunk chunk)
    {
        chunk = default;
        var end = argument.IndexOf((byte)' ');
        var size = end < 0 ? argument : argument[..end];
        var last = end < 0 ? default : argument[end..].TrimStart((byte)' ');
        if (size.Length is 0 or > MaxChunkDigits || size.ContainsAnyExceptInRange((byte)'0', (byte)'9'))
            return false;
        if (!last.IsEmpty && !Ascii.EqualsIgnoreCase(last, "LAST"u8))
            return false;
        // More than fits is as good as endless.
        chunk = new SmtpChunk(Utf8Parser.TryParse(size, out long bytes, out _) ? bytes : long.MaxValue, !last.IsEmpty);
        return true;
    }

    /// <summary>Answers a line that could not be read.</summary>
    private SmtpStep Unreadable(ReadOnlySpan<byte> line, SmtpReply refusal) =>
        line.Length >= 4 && Ascii.EqualsIgnoreCase(line[..4], "BDAT"u8) ? Unfollowable(refusal) : Respond(refusal);

    // Nobody knows how many octets of content come now. To take them for commands would be worse than to end the session.
    private static SmtpStep Unfollowable(SmtpReply refusal) => new(SmtpAction.Close, refusal, Replies.C421UnknownChunk);
}
