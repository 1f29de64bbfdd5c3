using System.Net.Sockets;
using System.Security.Authentication;
using System.Threading.Channels;

namespace MailPipeline.Testing;

/// <summary>How <see cref="LoadClient"/> hands in its messages.</summary>
public sealed record LoadOptions
{
    public required ServerLogin Login { get; init; }

    /// <summary>Further servers of the same service; each connection goes to the next of them.</summary>
    public IReadOnlyList<ServerLogin> Others { get; init; } = [];

    public int Connections { get; init; } = 1;

    /// <summary>A connection says QUIT after so many.</summary>
    public int MessagesPerConnection { get; init; } = int.MaxValue;

    /// <summary>MAIL, RCPT and DATA in one write (RFC 2920).</summary>
    public bool Pipelining { get; init; } = true;

    /// <summary>How long one message may take from MAIL to its last reply.</summary>
    public TimeSpan ReplyTimeout { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Whether a message that was refused for now is sent again, as one without an answer always is.</summary>
    public bool RetryRefused { get; init; } = true;

    public int MaxAttempts { get; init; } = 10_000;

    /// <summary>Waited before a connection is tried again and before a refused message is.</summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Least time between two messages of one connection; for runs that are to last.</summary>
    public TimeSpan Pace { get; init; }

    /// <summary>Called after each answer is in the ledger, with the number of messages that are done.</summary>
    public Action<Answer, int>? OnAnswer { get; init; }
}

/// <summary>
/// Hands in messages over several connections and keeps the ledger: the intent is synced before an attempt, the answer
/// after its reply. A message without an answer is sent again with the same token until it has one.
/// </summary>
public sealed class LoadClient(LoadOptions options, LedgerFile ledger)
{
    private int _done;
    private int _opened;

    /// <summary>Messages that got their final answer.</summary>
    public int Done => Volatile.Read(ref _done);

    /// <summary>Returns when every message has its final answer, or has used up its attempts.</summary>
    public async Task SendAsync(IReadOnlyCollection<LedgerMessage> messages, CancellationToken cancellation)
    {
        var waiting = Channel.CreateUnbounded<Outgoing>();
        foreach (var message in messages)
            waiting.Writer.TryWrite(new(message, 1));
        var open = messages.Count;
        if (open == 0)
            return;
        await Task.WhenAll(Enumerable.Range(0, options.Connections).Select(_ => Task.Run(
            () => RunConnectionAsync(waiting, () => { if (Interlocked.Decrement(ref open) == 0) waiting.Writer.Complete(); }, cancellation),
            cancellation)));
    }

    private async Task RunConnectionAsync(Channel<Outgoing> waiting, Action finished, CancellationToken cancellation)
    {
        SmtpDialogue? dialogue = null;
        var sent = 0;
        try
        {
            while (await waiting.Reader.WaitToReadAsync(cancellation))
            {
                if (!waiting.Reader.TryRead(out var next))
                    continue;
                dialogue ??= await ConnectAsync(cancellation);
                var answer = await AttemptAsync(dialogue, next, cancellation);
                if (IsFinal(answer, next))
                {
                    var done = Interlocked.Increment(ref _done);
                    options.OnAnswer?.Invoke(answer, done);
                    finished();
                }
                else
                {
                    options.OnAnswer?.Invoke(answer, Done);
                    waiting.Writer.TryWrite(next with { Attempt = next.Attempt + 1 });
                    await Pause(options.RetryPause, cancellation);
                }
                // 421: the server closes (RFC 5321 §3.8). Without an answer the connection is of no use either.
                var usable = answer.Reply is not (0 or 421);
                // What MAIL began would stand in the way of the next MAIL (RFC 5321 §4.1.4).
                if (usable && !answer.DotSent)
                    usable = await TryCommandAsync(dialogue, "RSET", cancellation);
                if (!usable || ++sent % options.MessagesPerConnection == 0)
                {
                    if (usable)
                        await TryCommandAsync(dialogue, "QUIT", cancellation);
                    await dialogue.DisposeAsync();
                    dialogue = null;
                }
                if (options.Pace > TimeSpan.Zero)
                    await Pause(options.Pace, cancellation);
            }
            if (dialogue is not null)
                await TryCommandAsync(dialogue, "QUIT", cancellation);
        }
        finally
        {
            if (dialogue is not null)
                await dialogue.DisposeAsync();
        }
    }

    private bool IsFinal(Answer answer, Outgoing outgoing) => outgoing.Attempt >= options.MaxAttempts || answer.Reply switch
    {
        >= 200 and < 300 => true,
        >= 500 => true,
        >= 400 => !options.RetryRefused,
        _ => false,
    };

    private ServerLogin NextLogin()
    {
        var turn = (Interlocked.Increment(ref _opened) - 1) % (options.Others.Count + 1);
        return turn == 0 ? options.Login : options.Others[turn - 1];
    }

    private async Task<SmtpDialogue> ConnectAsync(CancellationToken cancellation)
    {
        while (true)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(options.ReplyTimeout);
            try
            {
                return await SmtpDialogue.OpenAsync(NextLogin(), limit.Token);
            }
            catch (Exception e) when (IsConnectionFailure(e) || (e is SmtpRefusedException { Reply.Code: < 500 }))
            {
                cancellation.ThrowIfCancellationRequested();
                await Pause(options.RetryPause, cancellation);
            }
        }
    }

    private async Task<Answer> AttemptAsync(SmtpDialogue dialogue, Outgoing outgoing, CancellationToken cancellation)
    {
        var (message, attempt) = outgoing;
        await ledger.AppendAsync(new Intent(
            Now(), message.Token, attempt, message.Sender, [.. message.Recipients], message.BodyHash, message.SizeBytes, message.Return));
        var progress = new Progress(message.Recipients.Count);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(options.ReplyTimeout);
        try
        {
            await TransactAsync(dialogue, message, progress, limit.Token);
        }
        catch (Exception e) when (IsConnectionFailure(e))
        {
            cancellation.ThrowIfCancellationRequested();
            progress.End(null);
        }
        var answer = new Answer(Now(), message.Token, attempt, progress.RecipientReplies, progress.Reply, progress.DotSent, progress.Text);
        await ledger.AppendAsync(answer);
        return answer;
    }

    private async Task TransactAsync(SmtpDialogue dialogue, LedgerMessage message, Progress progress, CancellationToken cancellation)
    {
        var wire = dialogue.Wire;
        var eightBit = message.Body.Span.ContainsAnyInRange((byte)0x80, (byte)0xFF) ? " BODY=8BITMIME" : "";
        var mail = $"MAIL FROM:<{message.Sender}> SIZE={message.SizeBytes}{eightBit}{(message.Return.Length > 0 ? $" RET={message.Return}" : "")}\r\n";
        var rcpts = message.Recipients.Select(r => $"RCPT TO:<{r.Address}>{(r.Notify.Length > 0 ? $" NOTIFY={r.Notify}" : "")}\r\n").ToArray();
        if (options.Pipelining)
            await wire.WriteAsync(mail + string.Concat(rcpts) + "DATA\r\n", cancellation);
        else
            await wire.WriteAsync(mail, cancellation);

        var mailReply = await wire.ReadReplyAsync(cancellation);
        var lastRefusal = mailReply is { Code: 250 } ? null : mailReply;
        if (!options.Pipelining && lastRefusal is not null || mailReply is null)
        {
            progress.End(mailReply);
            return;
        }
        for (var i = 0; i < rcpts.Length; i++)
        {
            if (!options.Pipelining)
                await wire.WriteAsync(rcpts[i], cancellation);
            var reply = await wire.ReadReplyAsync(cancellation);
            progress.RecipientReplies[i] = reply?.Code ?? 0;
            if (reply is not { Code: >= 200 and < 300 })
                lastRefusal ??= reply;
        }
        if (!options.Pipelining)
            await wire.WriteAsync("DATA\r\n", cancellation);
        var dataReply = await wire.ReadReplyAsync(cancellation);
        if (dataReply is not { Code: 354 })
        {
            // Refused at MAIL or RCPT first: that reply says why.
            progress.End(dataReply is null ? null : lastRefusal ?? dataReply);
            return;
        }
        if (mailReply is not { Code: 250 })
            throw new InvalidOperationException($"DATA was answered {dataReply.Code} after MAIL had been answered {mailReply.Code} {mailReply.Text}");
        await dialogue.SendContentWithoutEndAsync(message, cancellation);
        progress.DotSent = true;
        progress.End(await dialogue.EndContentAsync(cancellation));
    }

    /// <summary>Whether there was a reply and it was a 2xx.</summary>
    private static async Task<bool> TryCommandAsync(SmtpDialogue dialogue, string command, CancellationToken cancellation)
    {
        try
        {
            return await dialogue.CommandAsync(command, cancellation) is { Code: >= 200 and < 300 };
        }
        catch (Exception e) when (IsConnectionFailure(e))
        {
            return false;
        }
    }

    private static bool IsConnectionFailure(Exception e) => e is
        IOException or SocketException or OperationCanceledException or AuthenticationException or InvalidDataException or ObjectDisposedException;

    private static DateTimeOffset Now() => TimeProvider.System.GetUtcNow();

    private static Task Pause(TimeSpan time, CancellationToken cancellation) => Task.Delay(time, TimeProvider.System, cancellation);

    private sealed record Outgoing(LedgerMessage Message, int Attempt);

    private sealed class Progress(int recipients)
    {
        public int[] RecipientReplies { get; } = new int[recipients];

        public int Reply { get; private set; }

        public string Text { get; private set; } = "";

        public bool DotSent { get; set; }

        public void End(WireReply? reply)
        {
            Reply = reply?.Code ?? 0;
            Text = reply?.Text ?? "";
        }
    }
}
