using System.Buffers;
using System.Net;
using System.Text;
using MailPipeline.Authentication;
using MailPipeline.Ingress.Checks;
using MailPipeline.Ingress.Filters;
using MailPipeline.Ingress.Headers;
using MailPipeline.Mail;
using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Ingress;

/// <summary>
/// The content of one message on its way into storage. Once something is wrong with it, it is read to its end and thrown
/// away, so that the client sees the reply; storage holds nothing of it then.
/// </summary>
/// <param name="isChunked">It comes by BDAT.</param>
/// <param name="isUtf8">Its MAIL said SMTPUTF8.</param>
/// <param name="filters">They see it as it is kept, behind the fields that it lacked; null: there are none.</param>
/// <param name="observer">Who sees it as it came, and is disposed with it; null: nobody.</param>
/// <param name="signable">Who reads what is kept of it, to sign that, and is disposed with it; null: nobody.</param>
internal sealed class IncomingContent(
    MessageStore store, IngressOptions options, SmtpListener listener, bool isChunked, bool isUtf8, SessionFilters? filters = null,
    IContentObserver? observer = null, SignableContent? signable = null) : IAsyncDisposable
{
    private ContentReader _reader = new() { RepairsLineEnds = listener.RepairsLineEnds, IsCounted = isChunked };
    private HeaderFacts _facts = new();
    private EightBitFields _eightBit = new();
    private readonly HeaderSection? _section = listener.Checks.ReadsHeader ? new() : null;
    // Who comes from outside may not speak in our name.
    private readonly ForgedResults? _results = listener.OwnResults is { } own ? new(own) : null;
    // A user's message says whom it is from, and shows nobody who had a blind copy.
    private readonly SubmittedFields? _fields =
        listener.Kind == ListenerKind.Submission ? new(isEndedByText: listener.AddsMissingFields) : null;
    // Where a filter may change it.
    private readonly HeldHeader? _held = filters?.ChangeHeaders == true ? new() : null;
    private ContentWriter? _writer;

    // Until it is known what the message lacks.
    private SubmittedHeader? _header;
    private byte[] _missing = [];
    private StorageUnavailableException? _fault;
    private bool _isAnnouncedTooLarge;
    private bool _isAuthorUtf8;

    public long MessageId { get; private set; }

    public bool IsEnded => _reader.IsEnded;

    /// <summary>Some octet is beyond ASCII, whatever MAIL said.</summary>
    public bool HasEightBitOctets { get; private set; }

    /// <summary>SMTPUTF8 was said, and fields of its header, that we put in too, or of the header of a part, are not ASCII.</summary>
    public bool HasUtf8Fields => _eightBit.AreFound || _isAuthorUtf8;

    /// <summary>Its header says that it need not go under TLS (RFC 8689 §3).</summary>
    public bool SaysTlsIsOptional => _facts.SaysTlsIsOptional;

    /// <summary>Its Message-ID, whoever wrote it; empty where it has none that could be told.</summary>
    public string HeaderId
    {
        get
        {
            if (_missing.Length == 0 || _facts.MessageId is { Length: > 0 })
                return _facts.MessageId;
            var added = new HeaderFacts();
            added.Read(_missing);
            return added.MessageId;
        }
    }

    /// <summary>The client goes on long after its content can no longer be taken.</summary>
    public bool IsEndless => _reader.WireBytes > options.MaxMessageBytes + options.MaxDiscardedBytes;

    /// <summary>Content for <see cref="MessageStore.AcceptAsync"/>; only when nothing is refused.</summary>
    public ContentWriter Writer => _writer ?? throw new InvalidOperationException("The content was refused.");

    /// <summary>Why the content cannot be accepted; null when it can.</summary>
    public SmtpReply? Refusal => this switch
    {
        // RFC 5321 §2.3.8: they would end the content for some other server (SMTP smuggling).
        { _reader.Faults: ContentFaults.Nul } => Replies.C550Nul,
        { _reader.Faults: not ContentFaults.None } => Replies.C550BareCrLf,
        { IsTooLarge: true } => Replies.C552TooLarge,
        { _fault: { } fault } => ReplyTo(fault),
        _ => null,
    };

    public StorageUnavailableException? Fault => _fault;

    /// <summary>Who has read what is kept of it; null where it is not signed.</summary>
    public SignableContent? Signable => signable;

    /// <summary>Fields of authentication results that were left out because they were forged in our name.</summary>
    public int LeftOutResults => _results?.Count ?? 0;

    /// <summary>What checks may know of it, once it has ended and is not refused.</summary>
    public ReceivedContent Received => new(Writer.SizeBytes, _facts.Hops, _section?.Bytes ?? default, _section?.IsCut ?? false, _fields?.Authors ?? default);

    private bool IsTooLarge => _isAnnouncedTooLarge || _reader.ContentBytes > options.MaxMessageBytes;

    /// <summary>The reply to a fault of storage that left nothing committed.</summary>
    public static SmtpReply ReplyTo(StorageUnavailableException fault) =>
        fault.Fault == StorageFault.Full ? Replies.C452StorageFull : Replies.C451StorageUnavailable;

    private static ReadOnlyMemory<byte> LineEnd { get; } = "\r\n"u8.ToArray();

    /// <summary>Takes an id.</summary>
    public async ValueTask BeginAsync(string hostName, DateTimeOffset now, CancellationToken cancellation)
    {
        try
        {
            MessageId = await store.NextMessageIdAsync(cancellation);
            _writer = store.CreateContent(MessageId);
            if (listener.AddsMissingFields)
                _header = new SubmittedHeader(hostName, MessageId, now);
        }
        catch (StorageUnavailableException fault)
        {
            await AbandonAsync(fault);
        }
    }

    /// <summary>
    /// The fields in front of the content, which has ended: what a submission lacks and, above it, our trace field. What checks say of
    /// the message comes above both.
    /// </summary>
    /// <param name="user">Who has logged in; null is a stranger.</param>
    public MessagePrefix MakePrefix(SmtpSession session, IPAddress? client, string? user, DateTimeOffset now)
    {
        var prefix = new MessagePrefix();
        // It came behind what it lacked.
        if (_held is not null)
            prefix.Add(_held.Bytes.Span);
        prefix.Add(_missing);
        // RFC 6409 §8.1: who sends it is known by MAIL, or where that names nobody by the login.
        if (listener.AddsMissingFields && _fields is { Authors.FromCount: 0 } && (session.Transaction?.Sender?.Text ?? user) is { } author
            && (isUtf8 || Ascii.IsValid(author)))
        {
            prefix.Add("From", author);
            _isAuthorUtf8 = !Ascii.IsValid(author);
        }

        var trace = ArrayPool<byte>.Shared.Rent(TraceHeader.MaxBytes);
        try
        {
            prefix.Add(trace.AsSpan(0, TraceHeader.Write(trace, session, client, MessageId, now, mayBeUtf8: HasUtf8Fields)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(trace);
        }

        return prefix;
    }

    /// <summary>Changes fields that came with it, as far as its header was kept back. Returns fields that are to be put in front of it instead.</summary>
    public IEnumerable<FieldChange> Change(IReadOnlyCollection<FieldChange> changes) =>
        (_held?.Change(changes) ?? changes).Where(change => change is { Value.Length: > 0, IsOnceOnly: false });

    /// <summary>A chunk of so many octets comes: where it is too much, nothing of it is kept.</summary>
    public async ValueTask AnnounceAsync(long bytes)
    {
        if (bytes <= options.MaxMessageBytes - _reader.ContentBytes)
            return;
        _isAnnouncedTooLarge = true;
        await AbandonAsync(null);
    }

    /// <summary>The last chunk has come.</summary>
    public async ValueTask EndAsync(CancellationToken cancellation)
    {
        if (_reader.End() && _writer is not null)
            await KeepAsync(LineEnd, cancellation);
        await EndContentAsync(cancellation);
    }

    /// <summary>Takes octets as they come and says up to where: all of them, or the end of the content.</summary>
    public async ValueTask<SequencePosition> TakeAsync(ReadOnlySequence<byte> buffer, CancellationToken cancellation)
    {
        var consumed = 0L;
        foreach (var segment in buffer)
        {
            for (var memory = segment; !memory.IsEmpty;)
            {
                var slice = _reader.Read(memory.Span);
                consumed += slice.Consumed;
                if (slice.Length > 0 && _writer is not null)
                    await KeepAsync(memory.Slice(slice.Start, slice.Length), cancellation);
                if (slice.IsBareLineEnd && _writer is not null)
                    await KeepAsync(LineEnd, cancellation);
                if (slice.IsEnd)
                {
                    await EndContentAsync(cancellation);
                    return buffer.GetPosition(consumed);
                }

                memory = memory[slice.Consumed..];
            }
        }

        return buffer.End;
    }

    public ValueTask DisposeAsync()
    {
        observer?.Dispose();
        signable?.Dispose();
        return DisposeWriterAsync();
    }

    private async ValueTask EndContentAsync(CancellationToken cancellation)
    {
        observer?.End();
        if (_results is { IsOver: false } results)
            await KeepOwnAsync(results.End(), cancellation);
        if (_fields is { IsOver: false } fields)
            await KeepVisibleAsync(fields.End(), cancellation);
        _header?.End();
        await CompleteAsync(cancellation);
        if (_held?.End() is { IsEmpty: false } rest)
            await StoreAsync(rest, cancellation);
        signable?.End();
    }

    private ValueTask KeepAsync(ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        observer?.Take(content.Span);
        return KeepOwnAsync(_results is { IsOver: false } results ? results.Take(content) : content, cancellation);
    }

    /// <summary>Keeps what is the sender's to say.</summary>
    private ValueTask KeepOwnAsync(ReadOnlyMemory<byte> content, CancellationToken cancellation) =>
        KeepVisibleAsync(_fields is { IsOver: false } fields ? fields.Take(content.Span) : content, cancellation);

    /// <summary>Keeps what recipients may see of the content.</summary>
    private async ValueTask KeepVisibleAsync(ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        if (!HasEightBitOctets)
            HasEightBitOctets = !Ascii.IsValid(content.Span);
        if (_header is { } header)
        {
            content = content[header.Take(content.Span)..];
            if (!header.IsDecided)
                return;
            await CompleteAsync(cancellation);
        }

        await AppendAsync(content, cancellation);
    }

    /// <summary>Lets go what was held back of the content, with what it lacks.</summary>
    private async ValueTask CompleteAsync(CancellationToken cancellation)
    {
        if (_header is not { } header)
            return;
        _header = null;
        _missing = header.Prefix();
        if (filters is not null && _missing.Length > 0)
            await filters.ContentAsync(_missing);
        await AppendAsync(header.Header, cancellation);
        if (header.LacksEmptyLine)
            await AppendAsync(LineEnd, cancellation);
        await AppendAsync(header.Text, cancellation);
    }

    private async ValueTask AppendAsync(ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        if (_writer is null)
            return;
        if (isUtf8)
            _eightBit.Read(content.Span);
        if (!_facts.IsBody)
        {
            _section?.Take(content.Span);
            _facts.Read(content.Span);
        }

        if (_reader.Faults != ContentFaults.None || IsTooLarge)
        {
            await AbandonAsync(null);
            return;
        }

        if (filters is not null)
            await filters.ContentAsync(content);
        await StoreAsync(_held?.Take(content) ?? content, cancellation);
    }

    private async ValueTask StoreAsync(ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        if (_writer is not { } writer)
            return;
        signable?.Take(content.Span);
        try
        {
            await writer.AppendAsync(content, cancellation);
        }
        catch (StorageUnavailableException fault)
        {
            await AbandonAsync(fault);
        }
    }

    private async ValueTask AbandonAsync(StorageUnavailableException? fault)
    {
        _fault ??= fault;
        await DisposeWriterAsync();
    }

    private async ValueTask DisposeWriterAsync()
    {
        if (_writer is { } writer)
            await writer.DisposeAsync();
        _writer = null;
    }
}
