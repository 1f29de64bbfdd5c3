using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

// Content that comes by BDAT (RFC 3030). Between its chunks the session takes commands, so that a message may be under way for several.
internal sealed partial class SmtpConnection
{
    private MessageReception? _chunks;

    // Octets of refused chunks that were thrown away since the last accepted message.
    private long _skippedBytes;

    public void MessageAccepted()
    {
        _skippedBytes = 0;
        ReportJudgement();
    }

    /// <summary>Lets go what came in chunks. Another message may come then.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_chunks is not { } chunks)
            return;
        _chunks = null;
        await chunks.DisposeAsync();
    }

    private async ValueTask<ReceptionEnd> ReceiveChunkAsync()
    {
        _received = _session.Transaction;
        if (_chunks is null)
        {
            _chunks = new MessageReception(_server, this, _connection, _patience, _session, isChunked: true);
            await _chunks.BeginAsync();
        }

        return await _chunks.ReceiveAsync(_session.Chunk);
    }

    /// <summary>Reads the octets of a chunk that is refused, so that what comes behind them is the next command.</summary>
    private async ValueTask<ReceptionEnd> SkipChunkAsync()
    {
        var latest = _patience.ContentEnd();
        for (var rest = _session.Chunk.SizeBytes; rest > 0;)
        {
            var result = await _connection.ReadAsync(_patience.ForContent(latest));
            if (_connection.TimedOut)
                return new(Replies.C421TimedOut, SessionEnd.TimedOut);

            var octets = result.Buffer.Slice(0, Math.Min(rest, result.Buffer.Length));
            rest -= octets.Length;
            _skippedBytes += octets.Length;
            _connection.AdvanceTo(octets.End);
            if (_skippedBytes > _server.Options.MaxMessageBytes + _server.Options.MaxDiscardedBytes)
                return new(Replies.C421TooManyErrors, SessionEnd.Refused);
            if (result.IsCompleted && rest > 0)
                return new(null, SessionEnd.Disconnected);
        }

        return default;
    }
}
