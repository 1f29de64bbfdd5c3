using System.Buffers;
using System.Diagnostics;
using System.Text;
using MailPipeline.Ingress.Checks;
using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Ingress;

/// <summary>One message from 354, or its first BDAT, to the reply to its end, which is 250 only after the commit.</summary>
/// <param name="isChunked">It comes by BDAT.</param>
internal sealed class MessageReception(
    SmtpServer server, SmtpConnection session, LineConnection connection, SessionPatience patience, SmtpSession protocol, bool isChunked)
    : IAsyncDisposable
{
    private readonly IncomingContent _content = new(
        server.Store, server.Options, session.Listener, isChunked, protocol.Transaction!.SmtpUtf8, session.Checked.Filters, session.ObserveContent(),
        session.BeginSigning());
    private Activity? _activity;
    private long _latest;

    public SmtpTransaction Transaction { get; } = protocol.Transaction!;

    /// <summary>To be called first.</summary>
    public async ValueTask BeginAsync()
    {
        using (patience.BeginStorageWait())
            await _content.BeginAsync(protocol.Profile.HostName, server.Time.GetUtcNow(), SmtpConnection.Uninterrupted);
        if (session.Checked.Filters is { } filters)
        {
            using (patience.BeginStorageWait())
                await filters.BeginContentAsync(_content.MessageId, [.. Transaction.Recipients]);
        }

        _latest = patience.ContentEnd();
        if (isChunked)
            patience.ChunksEnd = _latest;
    }

    /// <summary>Reads the content of DATA to its end and commits it.</summary>
    public async ValueTask<ReceptionEnd> ReceiveAsync()
    {
        _activity = server.Telemetry.StartReceive(session.Listener.Kind);
        // RFC 2920 §3.2: 354 leaves also when the content is here already.
        await connection.FlushAsync();
        while (!_content.IsEnded)
        {
            var result = await connection.ReadAsync(patience.ForContent(_latest));
            if (connection.TimedOut)
                return new(Replies.C421TimedOut, SessionEnd.TimedOut);

            connection.AdvanceTo(await TakeAsync(result.Buffer));
            if (_content.IsEndless)
                return new(Replies.C552TooLarge, SessionEnd.Refused);
            if (result.IsCompleted && !_content.IsEnded)
                return new(null, SessionEnd.Disconnected);
        }

        return await AcceptAsync();
    }

    /// <summary>Reads one chunk of BDAT, and commits the message behind the last one. A chunk that is all right has no reply yet.</summary>
    public async ValueTask<ReceptionEnd> ReceiveAsync(SmtpChunk chunk)
    {
        if (_activity is null)
            _activity = server.Telemetry.StartReceive(session.Listener.Kind);
        else
            Activity.Current = _activity;
        await _content.AnnounceAsync(chunk.SizeBytes);
        for (var rest = chunk.SizeBytes; rest > 0;)
        {
            var result = await connection.ReadAsync(patience.ForContent(_latest));
            if (connection.TimedOut)
                return new(Replies.C421TimedOut, SessionEnd.TimedOut);

            var octets = result.Buffer.Slice(0, Math.Min(rest, result.Buffer.Length));
            rest -= octets.Length;
            connection.AdvanceTo(await TakeAsync(octets));
            if (_content.IsEndless)
                return new(Replies.C552TooLarge, SessionEnd.Refused);
            if (result.IsCompleted && rest > 0)
                return new(null, SessionEnd.Disconnected);
        }

        if (!chunk.IsLast)
            return new(Refusal(), null);
        using (patience.BeginStorageWait())
            await _content.EndAsync(SmtpConnection.Uninterrupted);
        return await AcceptAsync();
    }

    public ValueTask DisposeAsync()
    {
        patience.ChunksEnd = WaitEnd.Never;
        _activity?.Dispose();
        return _content.DisposeAsync();
    }

    private async ValueTask<SequencePosition> TakeAsync(ReadOnlySequence<byte> octets)
    {
        patience.Received(octets.Length);
        using (patience.BeginStorageWait())
            return await _content.TakeAsync(octets, SmtpConnection.Uninterrupted);
    }

    /// <summary>Why the content, as far as it is here, cannot be accepted; null when it can. A fault of storage is logged.</summary>
    private SmtpReply? Refusal()
    {
        if (_content.Fault is { } fault)
            server.NotAccepted(session, _content.MessageId, fault);
        return _content.Refusal;
    }

    /// <summary>The reply to the content, 250 only after the commit.</summary>
    private async ValueTask<ReceptionEnd> AcceptAsync()
    {
        if (Refusal() is { } refusal)
            return new(refusal, null);
        var (refused, note, signatures) = await session.CheckContentAsync(_content.Received);
        if (refused is not null)
            return new(refused, null);

        var started = server.Time.GetTimestamp();
        var now = server.Time.GetUtcNow();
        var missing = note is { ChangedFields.Count: > 0 } ? _content.Change(note.ChangedFields) : [];
        var prefix = _content.MakePrefix(protocol, session.Client, session.UserName, now);
        // Each who puts fields in front has a share of what there is room for, and keeps to it: a kept header, filters, header rules, results. The
        // rest is for the trace field and for tags.
        foreach (var field in missing)
            prefix.Add(Encoding.UTF8.GetBytes($"{field.Name}: {field.Value}\r\n"));
        foreach (var field in note?.Fields ?? [])
            prefix.Add(Encoding.UTF8.GetBytes($"{field}\r\n"));
        if (_content.Signable is { } signable)
            await session.SignAsync(signable, prefix, note, signatures, now);
        var message = EnvelopeOf(prefix.SizeBytes, now, note, await session.BelievedAsync(Transaction.Submitter));
        try
        {
            using var commit = server.BeginCommit(message);
            using var wait = patience.BeginStorageWait();
            await server.Store.AcceptAsync(message, _content.Writer, SmtpConnection.Uninterrupted, prefix, note?.Tags);
        }
        catch (StorageUnavailableException fault)
        {
            server.NotAccepted(session, _content.MessageId, fault);
            // Neither 250 nor 4xx would be true of an unknown outcome.
            return fault.Fault == StorageFault.OutcomeUnknown ? new(null, SessionEnd.OutcomeUnknown) : new(IncomingContent.ReplyTo(fault), null);
        }

        server.Telemetry.ForgedResultsLeftOut(_content.LeftOutResults);
        patience.Accepted();
        session.MessageAccepted();
        server.Accepted(session, message, note, server.Time.GetElapsedTime(started));
        return new(new SmtpReply(250, Replies.C250Ok.Status, $"Ok: queued as {MessageIds.ToText(message.MessageId)}"), null);
    }

    /// <summary>Whom it goes to, and what each of them is to be told of, by what was said at RCPT and by what filters want.</summary>
    private (string[] Recipients, EnvelopeDsn? Dsn, string HoldReason) RecipientsBy(MessageNote? note)
    {
        var dsn = DsnOf(Transaction);
        var all = Transaction.Recipients.Select(recipient => recipient.Canonical).ToArray();
        if (note is null || (note.AddedRecipients.Count == 0 && note.RemovedRecipients.Count == 0))
            return (all, dsn, note?.HoldReason ?? "");
        var recipients = new List<(string Address, RcptDsn Dsn)>();
        for (var i = 0; i < all.Length; i++)
        {
            if (!note.RemovedRecipients.Contains(all[i], StringComparer.OrdinalIgnoreCase))
                recipients.Add((all[i], dsn?.Recipients[i] ?? RcptDsn.None));
        }

        foreach (var added in note.AddedRecipients)
        {
            if (!recipients.Exists(recipient => recipient.Address.Equals(added.Canonical, StringComparison.OrdinalIgnoreCase)))
                recipients.Add((added.Canonical, RcptDsn.None));
        }

        // Who was told that his mail is taken finds somebody who has it.
        if (recipients.Count == 0)
            return (all, dsn, "filters have removed all recipients");
        return (
            [.. recipients.Select(recipient => recipient.Address)],
            dsn is null ? null : new EnvelopeDsn(dsn.Mail, [.. recipients.Select(recipient => recipient.Dsn)]), note.HoldReason);
    }

    private Envelope EnvelopeOf(int prefixBytes, DateTimeOffset now, MessageNote? note, MailSubmitter? submitter)
    {
        var (recipients, dsn, holdReason) = RecipientsBy(note);

        var body = Transaction.Body == SmtpBody.EightBitMime || _content.HasEightBitOctets ? BodyType.EightBitMime : BodyType.SevenBit;
        // RFC 6531 §3.6: who says SMTPUTF8 need not need it, and a message of ASCII alone goes to any host.
        if (_content.HasUtf8Fields)
            body |= BodyType.SmtpUtf8;
        if (dsn is not null)
            body |= BodyType.Dsn;
        if (Transaction.Timing is { IsHandedOn: true })
            body |= BodyType.Timing;
        if (submitter is not null)
            body |= submitter.Mailbox is null ? BodyType.UnknownSubmitter : BodyType.Submitter;
        // RFC 8689 §3: the parameter counts over the field.
        if (Transaction.RequireTls)
            body |= BodyType.RequireTls;
        else if (_content.SaysTlsIsOptional)
            body |= BodyType.TlsOptional;
        var sender = Transaction.Sender?.Text ?? "";
        return new Envelope(
            _content.MessageId, sender, recipients, prefixBytes + _content.Writer.SizeBytes, body, now, _activity?.Id ?? "",
            FlowKey.Of(session.UserName ?? "", sender), holdReason, dsn, Transaction.Timing,
            submitter?.Mailbox is null ? null : submitter, _content.HeaderId);
    }

    private static EnvelopeDsn? DsnOf(SmtpTransaction transaction) =>
        transaction is { Dsn: null, RecipientsDsn: null } ? null
            : new(transaction.Dsn ?? MailDsn.None, transaction.RecipientsDsn ?? [.. transaction.Recipients.Select(_ => RcptDsn.None)]);
}

/// <summary>How the reception of a message ended.</summary>
/// <param name="Reply">What the client is told; null when nothing can be said.</param>
/// <param name="End">Why the session ends with it; null when it goes on.</param>
internal readonly record struct ReceptionEnd(SmtpReply? Reply, SessionEnd? End);
