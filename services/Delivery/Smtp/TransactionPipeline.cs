using System.Globalization;
using MailPipeline.Delivery.Batches;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Smtp;

/// <summary>
/// The transactions of one batch over one connection. With PIPELINING the commands of a message travel in one flight, and
/// behind the final dot of the message before (RFC 2920 §3.1 allows content as the first part of a group), so that a message
/// costs one round trip. Content is sent only after a 354 has been read, or the replies to RCPT where it goes by BDAT: every message starts
/// in step with the far end.
/// </summary>
/// <param name="answered">Called when the far end has answered for a message.</param>
/// <param name="mostMessages">Over this connection, with those of batches before.</param>
internal sealed partial class TransactionPipeline(
    SmtpClientConnection connection, DeliveryBatch batch, DeliveryOptions options, TimeProvider time, Action answered, int mostMessages)
{
    // Of the content before the dot no more is held back than goes out with it in one stroke.
    private const int HeldBackBytes = 16 * 1024;
    private const int SmallestPiece = 1024;
    private const int StartMailInput = 354;
    private const int Closing = 421;
    private const string OutOfStepStatus = "4.5.0";

    private static readonly TimeSpan LastWordTime = TimeSpan.FromSeconds(1);

    private readonly SmtpTimeouts _timeouts = options.Timeouts;
    private readonly bool _pipelining = connection.TakesPipelining;

    // RFC 4954 §5: to a server that we trust, and that knows the parameter.
    private readonly FarEnd _farEnd = new(
        connection.Capabilities, connection.RemoteHost, IsFinal: connection.IsLmtp,
        HearsSubmitter: connection is { IsTrusted: true, Capabilities.AuthMechanisms.Count: > 0 });

    private DotStuffing _stuffing;

    /// <summary>Octets of the current message's content that were handed to the connection.</summary>
    private long _sent;

    /// <summary>The message whose transaction is open or about to be.</summary>
    private OutboundMessage? _current;

    /// <summary>The message whose commands went out behind the dot of the current one.</summary>
    private OutboundMessage? _next;

    /// <summary>The commands of the current message are on their way already.</summary>
    private bool _isAnnounced;

    /// <summary>Replies to the commands of the current message are waited for.</summary>
    private bool _isHearingCommands;

    /// <summary>A message was answered for over this connection.</summary>
    public bool HasProgressed { get; private set; }

    /// <summary>What ended the connection; null while it is good.</summary>
    public SmtpConnectionException? Failure { get; private set; }

    /// <summary>
    /// Of the replies to commands that travelled together one has not come in time, or made no sense: so behaves a far end, or a proxy before it, that
    /// loses what it has not read when it answers.
    /// </summary>
    public bool IsPipeliningBroken { get; private set; }

    /// <summary>Sends until the batch has no more, the connection has had as many as may go over one, or it ends.</summary>
    public async Task RunAsync()
    {
        try
        {
            while ((_current ??= await NextAsync(isAhead: false)) is { } message)
            {
                if (await OpenTransactionAsync(message))
                    await SendContentAsync(message);
                _current = null;
                _isAnnounced = _next is not null;
                if (_next is { } next)
                    await BeginAsync(next);
            }
        }
        catch (SmtpConnectionException error)
        {
            Failure = error;
            // One that is closed may have been for many reasons.
            IsPipeliningBroken = _pipelining && _isHearingCommands && connection is { HasAnswered: true, IsGivenUp: false, IsSpent: false }
                && (error.IsTimeout || error.Status == OutOfStepStatus);
            await BreakOffAsync(error);
        }
#pragma warning disable CA1031 // The loop of a connection: what it was about is not lost, and the dot decides how much is known.
        catch (Exception error)
#pragma warning restore CA1031
        {
            batch.Unexpected(error);
            Failure = new SmtpConnectionException("4.3.0", "Internal error", isTimeout: true, error);
            await BreakOffAsync(Failure);
        }
    }

    private async ValueTask<OutboundMessage?> NextAsync(bool isAhead)
    {
        if (connection.IsFull(mostMessages))
            return null;
        var next = isAhead ? await batch.NextAheadAsync(_farEnd) : await batch.NextAsync(_farEnd);
        if (next is not null)
            connection.Messages++;
        return next;
    }

    /// <summary>The commands of this message are out; whether the rest follows is decided now.</summary>
    private async ValueTask BeginAsync(OutboundMessage next)
    {
        _next = null;
        if (batch.TryBegin(next))
        {
            _current = next;
            return;
        }

        await next.CloseAsync();
        throw new SmtpConnectionException("4.3.2", "This system stops");
    }

    /// <summary>MAIL, RCPT, DATA. True when the far end waits for the content; the message is settled otherwise.</summary>
    private async ValueTask<bool> OpenTransactionAsync(OutboundMessage message)
    {
        _sent = 0;
        // Nothing of this message is out yet: what stands there belongs to the last one, and would be taken for an answer to MAIL.
        if (!_isAnnounced && connection.HasUnreadInput)
            throw new SmtpConnectionException("4.5.0", "The far end sent more replies than it was sent commands");
        if (_pipelining && !_isAnnounced)
        {
            await AnnounceAsync(message);
            await connection.FlushAsync(_timeouts.Mail);
        }

        _isHearingCommands = true;
        var isOpen = await HearCommandsAsync(message);
        _isHearingCommands = false;
        return isOpen;
    }

    private async ValueTask<bool> HearCommandsAsync(OutboundMessage message)
    {
        if (connection.NeedsReset)
        {
            var reset = await AskAsync("RSET", "RSET", _timeouts.Mail);
            if (!reset.IsSuccess)
                throw OutOfStep("RSET", reset);
            connection.NeedsReset = false;
        }

        var mail = await AskAsync(MailCommand(message), "MAIL", _timeouts.Mail);
        if (mail.IsIntermediate)
            throw OutOfStep("MAIL", mail);
        var accepted = 0;
        for (var i = 0; i < message.Recipients.Count && (mail.IsSuccess || _pipelining); i++)
        {
            var reply = await AskAsync(RcptCommand(message, message.Recipients[i]), "RCPT", _timeouts.Rcpt);
            if (!mail.IsSuccess)
                continue;
            if (reply.IsIntermediate)
                throw OutOfStep("RCPT", reply);
            message.Refusals[i] = reply.IsSuccess ? null : reply;
            accepted += reply.IsSuccess ? 1 : 0;
        }

        if (accepted == 0 && (_chunking || !_pipelining))
        {
            connection.NeedsReset = mail.IsSuccess;
            await RefusedAsync(message, mail, TransactionStep.Mail);
            return false;
        }

        if (_chunking)
            return true;

        var data = await AskAsync("DATA", "DATA", _timeouts.Data);
        return await JudgeAsync(message, mail, data, accepted);
    }

    private async ValueTask<bool> JudgeAsync(OutboundMessage message, SmtpReply mail, SmtpReply data, int accepted)
    {
        if (data.Code == StartMailInput)
        {
            if (accepted > 0)
                return true;
            if (connection.IsLmtp)
            {
                // RFC 2033 §4.2: it must not, and nobody answers for an empty message. The connection ends before the dot.
                await RefusedAsync(message, mail, TransactionStep.Mail);
                throw OutOfStep("DATA", data);
            }

            // RFC 2920 §3.1: the far end waits for content that has no recipients; only the dot ends that.
            await connection.WriteLineAsync(".", _timeouts.Block);
            await connection.FlushAsync(_timeouts.Block);
            await ReadAsync("the empty message", _timeouts.FinalDot);
            await RefusedAsync(message, mail, TransactionStep.Mail);
            return false;
        }

        // 2xx or another 3xx: whoever answers so does not know where the dialogue stands.
        if (data.Code < 400)
            throw OutOfStep("DATA", data);
        // RFC 5321 §4.1.1.4: a refused DATA leaves the transaction open.
        connection.NeedsReset = mail.IsSuccess;
        await (accepted > 0 ? RefusedAsync(message, data, TransactionStep.Data) : RefusedAsync(message, mail, TransactionStep.Mail));
        return false;
    }

    /// <summary>The content and its dot, and with it the commands of the next message.</summary>
    private async ValueTask SendContentAsync(OutboundMessage message)
    {
        connection.ThrowIfSpent();
        // DATA ends a group, as RCPT does before BDAT: whatever stands behind the last reply answers nothing that was asked.
        if (connection.HasUnreadInput)
            throw new SmtpConnectionException("4.5.0", "The far end sent more replies than it was sent commands");
        try
        {
            if (!await WriteContentAsync(message))
                return;
            // What stands behind a dot of LMTP waits for as many replies as it has recipients.
            if (_pipelining && !connection.IsLmtp)
                _next = await NextAsync(isAhead: true);
            await FinishAsync(message, _next);
        }
        catch (SmtpConnectionException error) when (!error.IsTimeout && batch.Claim.IsValid && batch.OutlivesReply && _current == message && !message.IsSettled)
        {
            // A far end that refuses in the middle of the content says so and closes; its word counts if it can still be read.
            if (await LastWordAsync() is { } lastWord)
            {
                await HearAsync(message, lastWord);
                await RefusedAsync(message, lastWord, TransactionStep.Data);
            }

            throw;
        }

        var reply = await ReadEndAsync(message);
        connection.DotAnswered();
        Progressed();
        // Of LMTP a refusal is one recipient's, as long as another has the message.
        if (_chunking && !reply.IsSuccess && !Array.Exists(message.Replies, own => own is { IsSuccess: true }))
            connection.NeedsReset = true;
        await batch.SettleAsync(message, reply, message.End, connection.RemoteHost, connection.FellBackToClear);
        if (reply.Code == Closing)
            throw ClosedBy(reply);
        if (reply.IsIntermediate)
            throw OutOfStep("the final dot", reply);
    }

    /// <summary>
    /// RFC 5321 §6.1: the mail is the far end's with its whole reply. Until the code of the last line has come nobody knows how it ends. Of a
    /// reply that is longer than anybody waits for, all that was read has one code (§4.2.1), and the next copy would get the same.
    /// </summary>
    private async ValueTask<SmtpReply> ReadEndAsync(OutboundMessage message)
    {
        if (_chunking && await ReadEarlierChunksAsync(message) is { } refusal)
            return await ReadBehindRefusalAsync(message, refusal);
        if (connection.IsLmtp)
            return await ReadForEachAsync(message);
        var reply = await ReadEndReplyAsync();
        await HearAsync(message, reply);
        return reply;
    }

    private ValueTask<SmtpReply> ReadEndReplyAsync() =>
        connection.ReadReplyAsync(_chunking ? "the last chunk" : "the final dot", _timeouts.FinalDot, takesEndless: true);

    /// <summary>
    /// RFC 2033 §4.2: one reply for each recipient that was taken, in their order. Each is his as soon as it is read: who has one is not in
    /// doubt when the connection breaks before the others have theirs.
    /// </summary>
    private async ValueTask<SmtpReply> ReadForEachAsync(OutboundMessage message)
    {
        var isFirst = true;
        var isOfMany = message.Refusals.Count(refusal => refusal is null) > 1;
        for (var i = 0; i < message.Recipients.Count; i++)
        {
            if (message.Refusals[i] is not null)
                continue;
            var reply = await ReadEndReplyAsync();
            // What is put back has no reply, and clears this one.
            message.Replies[i] = reply;
            if (isFirst && isOfMany)
                HearFirstOfMany(reply);
            else
                await HearAsync(message, reply);
            isFirst = false;
        }

        return Array.FindLast(message.Replies, reply => reply is not null)!;
    }

    /// <summary>All of the content but its end. False: the far end refused it in its midst, and the message is settled.</summary>
    private async ValueTask<bool> WriteContentAsync(OutboundMessage message)
    {
        _stuffing = new DotStuffing();
        ResetChunks();
        var isExpected = false;
        while (message.Chunk is { } chunk)
        {
            while (chunk.Length > 0)
            {
                // Not before the end is near: a far end that keeps us waiting, or takes its time, leaves nothing in doubt.
                if (!isExpected && message.First.SizeBytes - _sent <= DotNotes.BytesAhead)
                {
                    isExpected = true;
                    batch.ExpectDot(message);
                }

                if (_chunking && !await IsInChunkAsync(message))
                    return false;
                var room = await connection.ReserveAsync(SmallestPiece, _timeouts.Block);
                var written = _chunking ? WriteToChunk(chunk.Span, room, message.First.SizeBytes) : WriteStuffed(chunk.Span, room);
                chunk = chunk[written..];
                _sent += written;
                CheckTime(message);
            }

            await ReadOnAsync(message);
        }

        // Never a dot behind content that is not whole.
        if (_sent != message.First.SizeBytes)
            await UnreadableAsync(message, new InvalidDataException($"{_sent} octets of {message.First.SizeBytes} are there"));
        return true;
    }

    private int WriteStuffed(ReadOnlySpan<byte> content, int room)
    {
        // Stuffing makes at most four octets of three.
        var piece = content[..Math.Min(content.Length, (room / 4 * 3) - 4)];
        _stuffing.Write(piece, connection);
        return piece.Length;
    }

    private async ValueTask ReadOnAsync(OutboundMessage message)
    {
        try
        {
            await message.ReadAsync();
        }
#pragma warning disable CA1031 // Whatever keeps the content away: the message is not sent half, and stays queued.
        catch (Exception error)
#pragma warning restore CA1031
        {
            await UnreadableAsync(message, error);
        }
    }

    private async ValueTask UnreadableAsync(OutboundMessage message, Exception error)
    {
        await batch.UnreadableAsync(message, error, connection.RemoteHost);
        // A connection that ends before the dot takes the begun message with it (RFC 5321 §4.1.1.4).
        throw new SmtpConnectionException("4.3.0", "The content of a message could not be read", cause: error);
    }

    /// <summary>The dot leaves only when storage knows that it may, and under a claim that is proven to be ours at this moment.</summary>
    private async ValueTask FinishAsync(OutboundMessage message, OutboundMessage? next)
    {
        if (connection.UnsentBytes > HeldBackBytes)
            await connection.FlushAsync(_timeouts.Block);
        await connection.ReserveAsync(SmallestPiece, _timeouts.Block);
        var isNoted = await batch.MaySendDotAsync(message, next);
        if (!batch.Claim.IsValid)
            throw new SmtpConnectionException("4.3.0", "The claim was lost before the end of the message");
        if (!isNoted)
            throw new SmtpConnectionException("4.3.0", "Storage could not be told of the end of the message");
        CheckGrace();
        if (!connection.TryCommitToDot())
            throw new SmtpConnectionException("4.4.2", "Timed out while sending the message (given up early)", isTimeout: true);
        message.IsDotSent = true;
        message.End = _chunking ? TransactionStep.LastChunk : TransactionStep.FinalDot;
        if (_chunking)
            await WriteLastOctetAsync();
        else
            _stuffing.Finish(connection);
        if (next is not null)
        {
            // RFC 3030 §2: behind a chunk that failed only RSET is sure to be understood, and this one has not been answered.
            connection.NeedsReset = _chunking;
            await AnnounceAsync(next);
        }

        await connection.FlushAsync(_timeouts.Block);
    }

    /// <summary>Collects all commands of a message; they leave in one stroke.</summary>
    private async ValueTask AnnounceAsync(OutboundMessage message)
    {
        if (connection.NeedsReset)
            await connection.WriteLineAsync("RSET", _timeouts.Mail);
        await connection.WriteLineAsync(MailCommand(message), _timeouts.Mail);
        foreach (var recipient in message.Recipients)
            await connection.WriteLineAsync(RcptCommand(message, recipient), _timeouts.Rcpt);
        if (!_chunking)
            await connection.WriteLineAsync("DATA", _timeouts.Data);
    }

    private string MailCommand(OutboundMessage message)
    {
        var capabilities = connection.Capabilities;
        // RFC 1870 §3. RFC 6152 §3 wants 8-bit content converted or returned where 8BITMIME is missing. Nothing is converted: a message arrives as
        // it came. Whether it is returned is a setting (DeliveryOptions.EightBitMime); what comes here is sent.
        var size = capabilities.Size ? string.Create(CultureInfo.InvariantCulture, $" SIZE={message.First.SizeBytes}") : "";
        var body = capabilities.EightBitMime && message.First.Body.HasFlag(BodyType.EightBitMime) ? " BODY=8BITMIME" : "";
        var utf8 = message.NeedsSmtpUtf8 ? " SMTPUTF8" : "";
        var tls = capabilities.RequireTls && message.First.Body.HasFlag(BodyType.RequireTls) ? " REQUIRETLS" : "";
        return $"MAIL FROM:<{message.First.Sender}>{size}{body}{utf8}{tls}{Further(message.Dsn?.Mail.ToString())}{Further(message.Timing?.ParametersFor(capabilities, time.GetUtcNow()))}{Further(SubmitterOf(message))}";
    }

    private string? SubmitterOf(OutboundMessage message) => _farEnd.HearsSubmitter ? message.Submitter?.ParameterFor(message.NeedsSmtpUtf8) : null;

    // RFC 3461 §5.2.1: as the client said it, and no word where it said none.
    private static string RcptCommand(OutboundMessage message, Recipient recipient) =>
        $"RCPT TO:<{recipient.Address}>{Further(message.Dsn?.Recipients.GetValueOrDefault(recipient.RecipientId)?.ToString())}";

    private static string Further(string? parameters) => string.IsNullOrEmpty(parameters) ? "" : " " + parameters;

    /// <summary>Sends a command, unless it is on its way already, and reads its reply. A 421 ends the connection (RFC 5321 §3.8).</summary>
    private async ValueTask<SmtpReply> AskAsync(string command, string name, TimeSpan timeout)
    {
        if (!_pipelining)
        {
            await connection.WriteLineAsync(command, timeout);
            await connection.FlushAsync(timeout);
        }

        var reply = await ReadAsync(name, timeout);
        if (reply.Code != Closing)
            return reply;
        // That is an answer.
        _isHearingCommands = false;
        batch.IsAskedToSlowDown |= SlowDown.IsAskedFor(reply, StepOf(name), isFirst: !HasProgressed && !connection.WasKept);
        throw ClosedBy(reply);
    }

    private async ValueTask<SmtpReply> ReadAsync(string name, TimeSpan timeout)
    {
        if (_current is { IsDotSent: false } message)
            CheckTime(message);
        return await connection.ReadReplyAsync(name, timeout);
    }

    /// <summary>A 4xx or 5xx that the far end sent before it closed; nothing else is believed.</summary>
    private async ValueTask<SmtpReply?> LastWordAsync()
    {
        try
        {
            // Of several chunks an earlier one may have been taken.
            var reply = await connection.ReadReplyAsync("the content", LastWordTime);
            while (reply.IsSuccess && --_unanswered > 0)
                reply = await connection.ReadReplyAsync("the content", LastWordTime);
            return reply.Code >= 400 ? reply : null;
        }
        catch (SmtpConnectionException)
        {
            return null;
        }
    }

    private async ValueTask RefusedAsync(OutboundMessage message, SmtpReply reply, TransactionStep step)
    {
        Progressed();
        await batch.SettleAsync(message, reply, step, connection.RemoteHost, connection.FellBackToClear);
    }

    private void Progressed()
    {
        HasProgressed = true;
        answered();
    }

    /// <summary>What becomes of the messages under way when the connection ends.</summary>
    private async ValueTask BreakOffAsync(SmtpConnectionException error)
    {
        if (_next is { } next)
        {
            await batch.PutBackAsync(next);
            _next = null;
        }

        if (_current is not { IsSettled: false } message)
            return;
        _current = null;
        if (message.IsDotSent)
            await batch.SettleAsync(message, AttemptOutcome.Uncertain, "4.4.2", error.Reply, connection.RemoteHost);
        else if (!batch.Claim.IsValid || !connection.HasAnswered)
            // Not ours to judge any more; or a kept connection that had been closed before this batch said a word.
            await batch.PutBackAsync(message);
        else if (!error.IsTimeout && message.Interruption is null)
        {
            message.Interruption = (error.Status, error.Reply, connection.RemoteHost);
            await batch.PutBackAsync(message);
        }
        else
            await batch.SettleAsync(message, AttemptOutcome.Deferred, error.Status, error.Reply, connection.RemoteHost);
    }

    private void CheckTime(OutboundMessage message)
    {
        // Only what was taken earns more time: a far end that takes an octet now and then is ended soon, however large the message.
        var elapsed = time.GetElapsedTime(message.StartedTimestamp);
        var taken = Math.Max(0, _sent - connection.UnsentBytes);
        if (elapsed > options.TransactionTime + TimeSpan.FromSeconds((double)taken / options.TransactionRateBytes))
        {
            throw new SmtpConnectionException(
                "4.4.2", ConnectionFault.TooSlow(connection.Peer, taken, message.First.SizeBytes, elapsed), isTimeout: true);
        }

        CheckGrace();
    }

    private void CheckGrace()
    {
        if (!batch.OutlivesReply)
            throw new SmtpConnectionException("4.3.2", "This system stops before the message can be answered for");
    }

    private static TransactionStep StepOf(string command) => command switch
    {
        "RCPT" => TransactionStep.Rcpt,
        "DATA" => TransactionStep.Data,
        _ => TransactionStep.Mail,
    };

    private static SmtpConnectionException ClosedBy(SmtpReply reply) =>
        new(RemoteReply.TemporaryStatus(reply, "4.3.2"), RemoteReply.Line(reply));

    private static SmtpConnectionException OutOfStep(string command, SmtpReply reply) =>
        new(OutOfStepStatus, $"Not an answer to {command}: {RemoteReply.Line(reply)}");
}
