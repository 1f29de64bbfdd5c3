using System.Diagnostics;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>A host that a message may not go to, because its sender asks for more than it has (RFC 8689 §4.2.1).</summary>
/// <param name="Status">RFC 3463; of class 4 where it may be another time.</param>
/// <param name="Tls">What TLS there was with it.</param>
internal sealed record UnsafeHost(string Status, string Why, string Name, AttemptTls? Tls);

/// <summary>One message of a batch and the recipients it is sent to in one transaction.</summary>
internal sealed class OutboundMessage(IReadOnlyList<Recipient> recipients)
{
    private IAsyncEnumerator<ReadOnlyMemory<byte>>? _content;

    public IReadOnlyList<Recipient> Recipients { get; } = recipients;

    public Recipient First => Recipients[0];

    public long MessageId => First.MessageId;

    /// <summary>The far end's refusal of a recipient at RCPT, by position; null for those it accepted or was not asked about.</summary>
    public SmtpReply?[] Refusals { get; } = new SmtpReply?[recipients.Count];

    /// <summary>What was said behind the final dot to a recipient alone (LMTP), by position; null for those without a reply of their own.</summary>
    public SmtpReply?[] Replies { get; } = new SmtpReply?[recipients.Count];

    /// <summary>The next piece of content; valid until <see cref="ReadAsync"/> is called again. Null at the end.</summary>
    public ReadOnlyMemory<byte>? Chunk { get; private set; }

    public DateTimeOffset StartedAt { get; private set; }

    public long StartedTimestamp { get; private set; }

    public Activity? Activity { get; private set; }

    /// <summary>What broke a connection under this message before its final dot, and at which host; null if nothing did.</summary>
    public (string Status, string Reply, string RemoteHost)? Interruption { get; set; }

    /// <summary>The last host that it may not go to by its sender's word; null: there was none.</summary>
    public UnsafeHost? UnsafeHost { get; set; }

    /// <summary>The final dot may have reached the far end, and no reply has come.</summary>
    public bool IsDotSent { get; set; }

    /// <summary>What ends its content, and is answered by <see cref="Replies"/>.</summary>
    public TransactionStep End { get; set; } = TransactionStep.FinalDot;

    public bool IsSettled { get; set; }

    /// <summary>What the far end is told about reports; null where it does not offer DSN, or there is nothing to tell.</summary>
    public MessageDsn? Dsn { get; private set; }

    /// <summary>What its sender said about time and priority, once that was read; null: nothing.</summary>
    public MailTiming? Timing { get; private set; }

    /// <summary>Who submitted it, once that was read for a far end that we trust; null: nothing was said.</summary>
    public MailSubmitter? Submitter { get; private set; }

    /// <summary>
    /// The sender is told that the far end took it (RFC 2852 §4.1.4): he wants to hear of each host, or this one does not keep to his time.
    /// </summary>
    public bool TellsOfRelay { get; private set; }

    /// <summary>It is others' again, and not a word more of it is sent.</summary>
    public bool IsHandedBack { get; set; }

    /// <summary>Only a host that offers SMTPUTF8 may have it (RFC 6531 §3.2).</summary>
    public bool NeedsSmtpUtf8 { get; } = recipients.Any(NeedsUtf8);

    /// <summary>What a recipient is sent needs SMTPUTF8: for the header, for the sender, or for his own address.</summary>
    public static bool NeedsUtf8(Recipient recipient) =>
        recipient.Body.HasFlag(BodyType.SmtpUtf8) || !System.Text.Ascii.IsValid(recipient.Sender) || !System.Text.Ascii.IsValid(recipient.Address);

    /// <summary>Reads what its sender said about time and priority. Before it is opened: it may be that it cannot go at all.</summary>
    public async ValueTask ReadTimingAsync(IMessageContent content)
    {
        if (First.Body.HasFlag(BodyType.Timing))
            Timing ??= await content.FindTimingAsync(MessageId, CancellationToken.None);
    }

    /// <summary>Looks through its content. What was handed in as 8BITMIME is 7-bit more often than not.</summary>
    public async ValueTask<bool> HasEightBitOctetsAsync(IMessageContent content)
    {
        if (!First.Body.HasFlag(BodyType.EightBitMime))
            return false;
        await foreach (var chunk in content.ReadAsync(MessageId, CancellationToken.None))
        {
            if (!System.Text.Ascii.IsValid(chunk.Span))
                return true;
        }

        return false;
    }

    /// <summary>Reads who submitted it: for a far end that is told.</summary>
    public async ValueTask ReadSubmitterAsync(IMessageContent content)
    {
        if (First.Body.HasFlag(BodyType.Submitter))
            Submitter ??= await content.FindSubmitterAsync(MessageId, CancellationToken.None);
        else if (First.Body.HasFlag(BodyType.UnknownSubmitter))
            Submitter = MailSubmitter.Unknown;
    }

    /// <summary>Opens the content up to its first piece, so that a message that cannot be read disturbs no dialogue.</summary>
    /// <param name="isFinal">The far end delivers itself, and relays nothing (LMTP).</param>
    public async ValueTask OpenAsync(IMessageContent content, EhloCapabilities capabilities, bool isFinal, TimeProvider time, Func<string, Activity?> start)
    {
        Dsn = capabilities.Dsn && First.Body.HasFlag(BodyType.Dsn) ? await content.FindDsnAsync(Recipients, CancellationToken.None) : null;
        TellsOfRelay = Timing?.By is { } by && !isFinal && (by.IsTraced || !capabilities.DeliverBy);
        StartedAt = time.GetUtcNow();
        StartedTimestamp = time.GetTimestamp();
        Activity = start(First.TraceParent);
        _content = content.ReadAsync(MessageId, CancellationToken.None).GetAsyncEnumerator();
        await ReadAsync();
    }

    // Not "? x : null": null would be taken for an empty piece.
    public async ValueTask ReadAsync() => Chunk = await _content!.MoveNextAsync() ? _content.Current : default(ReadOnlyMemory<byte>?);

    /// <summary>Ends the reading and the activity; the message may be opened again.</summary>
    public async ValueTask CloseAsync()
    {
        if (_content is { } content)
        {
            _content = null;
            Chunk = null;
            await content.DisposeAsync();
        }

        if (Activity is { } activity)
        {
            // Stopping an activity makes its parent the current one; here two messages overlap.
            var current = Activity.Current;
            activity.Dispose();
            Activity.Current = current == activity ? null : current;
            Activity = null;
        }
    }

    /// <summary>The first so many recipients apart from the others. Nothing of it is open.</summary>
    public (OutboundMessage First, OutboundMessage Others) Split(int most) => (WithOnly([.. Recipients.Take(most)]), WithOnly([.. Recipients.Skip(most)]));

    private OutboundMessage WithOnly(IReadOnlyList<Recipient> some) => new(some) { Interruption = Interruption, UnsafeHost = UnsafeHost };

    /// <summary>As if it had never been tried on this connection.</summary>
    public async ValueTask ResetAsync()
    {
        await CloseAsync();
        Array.Clear(Refusals);
        Array.Clear(Replies);
        IsDotSent = false;
    }
}
