using MailPipeline.Delivery.Sources;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Batches;

/// <summary>A batch whose messages leave from several pools of source addresses: those of one pool are its work at a time, the others wait for their turn.</summary>
internal sealed partial class DeliveryBatch
{
    private readonly List<(string Pool, OutboundMessage Message)> _later = [];

    /// <summary>How many messages may go over the connection that there is; null: as many as there are.</summary>
    public MessageAllowance? Allowance { get; set; }

    /// <summary>Messages of the pool whose turn it is.</summary>
    public int Messages
    {
        get
        {
            lock (_lock)
                return _messages.Count + _unsafe.Count;
        }
    }

    /// <summary>How long the one of them has waited that came first.</summary>
    public TimeSpan OldestWait
    {
        get
        {
            lock (_lock)
                return _messages.Count == 0 ? TimeSpan.Zero : _context.Time.GetUtcNow() - _messages.Min(message => message.First.AcceptedAt);
        }
    }

    /// <summary>Leaves all messages for later, by where they leave. Returns the pools there are, that of the first message first.</summary>
    public IReadOnlyList<string> Divide(Func<Recipient, string> poolOf)
    {
        lock (_lock)
        {
            while (_messages.TryPop(out var message))
                _later.Add((poolOf(message.First), message));
            return [.. _later.Select(one => one.Pool).Distinct(StringComparer.Ordinal)];
        }
    }

    /// <summary>The messages of this pool are the work from now on; of the one before nothing is left but what is handed back.</summary>
    public void TakeUp(string pool)
    {
        lock (_lock)
        {
            // Time was over before they were come to.
            _messages.Clear();
            _unsafe.Clear();
            for (var i = _later.Count - 1; i >= 0; i--)
            {
                if (_later[i].Pool != pool)
                    continue;
                _messages.Push(_later[i].Message);
                _later.RemoveAt(i);
            }
        }

        // Of the connections of another pool nothing is said to these.
        Worker = Environment.MachineName;
        Tls = null;
        IsSafe = false;
    }

    /// <summary>
    /// What is left is not tried now, because of what we lack ourselves. Who was under way as a connection broke is told so all the same. Returns how many
    /// recipients wait.
    /// </summary>
    /// <param name="outcome">Deferred, where that is worth an attempt in their timeline; else NotAttempted.</param>
    public async ValueTask<int> PutOffRestAsync(AttemptOutcome outcome, string status, string reply, DateTimeOffset notBefore)
    {
        TakeUpUnsafe();
        var now = _context.Time.GetUtcNow();
        var recipients = 0;
        while (TryTake(out var message))
        {
            if (message.Interruption is var (interrupted, cause, remoteHost))
            {
                await SettleAsync(message, AttemptOutcome.Deferred, interrupted, cause, remoteHost);
                continue;
            }

            await message.CloseAsync();
            foreach (var recipient in message.Recipients)
            {
                _results[recipient.RecipientId] = new AttemptResult(recipient.RecipientId, outcome, status, reply, "", now, now, Worker: Worker) { NotBefore = notBefore };
                recipients++;
            }

            if (outcome != AttemptOutcome.NotAttempted)
                LogAttempt(message, message.Recipients, _results[message.First.RecipientId]);
        }

        return recipients;
    }
}
