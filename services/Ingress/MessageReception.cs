using MailPipeline.LineServer;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Ingress;

/// <summary>One message from 354 to the reply to its final dot, which is 250 only after the commit.</summary>
internal sealed class MessageReception(
    SmtpServer server, SmtpConnection session, LineConnection connection, SessionPatience patience, SmtpTransaction transaction)
{
    private IngressOptions Options => server.Options;

    /// <summary>Reads the content to its end and commits it.</summary>
    public async ValueTask<ReceptionEnd> ReceiveAsync(SmtpSession protocol)
    {
        using var activity = server.Telemetry.StartReceive(session.Listener.Kind);
        await using var content = new IncomingContent(server.Store, Options, session.Listener);
        using (patience.BeginStorageWait())
            await content.BeginAsync(protocol.Profile.HostName, server.Time.GetUtcNow(), SmtpConnection.Uninterrupted);

        // RFC 2920 §3.2: 354 leaves also when the content is here already.
        await connection.FlushAsync();
        var latest = patience.ContentEnd();
        while (!content.IsEnded)
        {
            var result = await connection.ReadAsync(patience.ForContent(latest));
            if (connection.TimedOut)
                return new(Replies.C421TimedOut, SessionEnd.TimedOut);

            patience.Received(result.Buffer.Length);
            SequencePosition position;
            using (patience.BeginStorageWait())
                position = await content.TakeAsync(result.Buffer, SmtpConnection.Uninterrupted);
            connection.AdvanceTo(position);
            if (content.IsEndless)
                return new(Replies.C552TooLarge, SessionEnd.Refused);
            if (result.IsCompleted && !content.IsEnded)
                return new(null, SessionEnd.Disconnected);
        }

        // Neither 250 nor 4xx would be true of an unknown outcome.
        return await AcceptAsync(protocol, content, activity?.Id ?? "") is { } reply ? new(reply, null) : new(null, SessionEnd.OutcomeUnknown);
    }

    /// <summary>The reply to the content, 250 only after the commit; null when nobody knows what became of the commit.</summary>
    private async ValueTask<SmtpReply?> AcceptAsync(SmtpSession protocol, IncomingContent content, string traceParent)
    {
        if (content.Fault is { } early)
            server.NotAccepted(session, content.MessageId, early);
        if (content.Refusal is { } refusal)
            return refusal;
        var (refused, note) = await session.CheckContentAsync(content.Received);
        if (refused is not null)
            return refused;

        var started = server.Time.GetTimestamp();
        var now = server.Time.GetUtcNow();
        var prefix = content.MakePrefix(protocol, session.Client, now);
        foreach (var field in note?.Fields ?? [])
            prefix.Add(field.Name, field.Value);
        var message = EnvelopeOf(content, prefix.SizeBytes, now, traceParent, note?.HoldReason ?? "");
        try
        {
            using var commit = server.BeginCommit(message);
            using var wait = patience.BeginStorageWait();
            await server.Store.AcceptAsync(message, content.Writer, SmtpConnection.Uninterrupted, prefix, note?.Tags);
        }
        catch (StorageUnavailableException fault)
        {
            server.NotAccepted(session, content.MessageId, fault);
            return fault.Fault == StorageFault.OutcomeUnknown ? null : IncomingContent.ReplyTo(fault);
        }

        patience.Accepted();
        server.Accepted(session, message, note, server.Time.GetElapsedTime(started));
        return new SmtpReply(250, Replies.C250Ok.Status, $"Ok: queued as {MessageIds.ToText(message.MessageId)}");
    }

    private Envelope EnvelopeOf(IncomingContent content, int prefixBytes, DateTimeOffset now, string traceParent, string holdReason)
    {
        var recipients = new string[transaction.Recipients.Count];
        for (var i = 0; i < recipients.Length; i++)
            recipients[i] = transaction.Recipients[i].Canonical;

        var body = transaction.Body == SmtpBody.EightBitMime || content.HasEightBitOctets ? BodyType.EightBitMime : BodyType.SevenBit;
        if (transaction.SmtpUtf8)
            body |= BodyType.SmtpUtf8;
        var dsn = DsnOf(transaction);
        if (dsn is not null)
            body |= BodyType.Dsn;
        var sender = transaction.Sender?.Text ?? "";
        return new Envelope(
            content.MessageId, sender, recipients, prefixBytes + content.Writer.SizeBytes, body, now, traceParent,
            FlowKey.Of(session.UserName ?? "", sender), holdReason, dsn);
    }

    private static EnvelopeDsn? DsnOf(SmtpTransaction transaction) =>
        transaction is { Dsn: null, RecipientsDsn: null } ? null
            : new(transaction.Dsn ?? MailDsn.None, transaction.RecipientsDsn ?? [.. transaction.Recipients.Select(_ => RcptDsn.None)]);
}

/// <summary>How the reception of a message ended.</summary>
/// <param name="Reply">What the client is told; null when nothing can be said.</param>
/// <param name="End">Why the session ends with it; null when it goes on.</param>
internal readonly record struct ReceptionEnd(SmtpReply? Reply, SessionEnd? End);
