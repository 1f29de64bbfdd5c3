using System.Diagnostics;
using System.Diagnostics.CodeAnalysis;
using MailPipeline.Delivery.Claims;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Batches;

/// <summary>What a batch needs of its surroundings.</summary>
internal sealed record BatchContext(
    DeliveryOptions Options, IMessageContent Content, DeliveryTelemetry Telemetry, TimeProvider Time, ILogger Log, StopGrace Grace,
    CancellationToken Stopping);

/// <summary>A far end as far as it matters to what is sent there.</summary>
/// <param name="RemoteHost">Its name and address, e.g. "mx.example.net[192.0.2.1]:25".</param>
/// <param name="IsFinal">It delivers itself, and relays nothing (LMTP).</param>
/// <param name="HearsSubmitter">It is told who submitted a message (AUTH= of MAIL, RFC 4954 §5).</param>
internal readonly record struct FarEnd(EhloCapabilities Capabilities, string RemoteHost, bool IsFinal, bool HearsSubmitter);

/// <summary>
/// The work of one claim: messages still to send, and what became of the others. Each recipient gets exactly one result;
/// those that nothing was tried for are handed back.
/// </summary>
internal sealed partial class DeliveryBatch : IDots
{
    private const string TooManyRecipients = "4.5.3";
    private const int TooManyRecipientsCode = 452;

    private readonly BatchContext _context;
    private readonly BatchCommand _wanted;
    private readonly DeliveredRecorder _recorder;
    private readonly DotNotes _dots;
    private readonly Lock _lock = new();
    private readonly Stack<OutboundMessage> _messages = [];

    /// <summary>Messages that the far end under way may not have, and that another host of the domain may.</summary>
    private readonly List<OutboundMessage> _unsafe = [];
    private readonly HashSet<long> _handedBack = [];
    private readonly Dictionary<long, AttemptResult> _results;
    private readonly long _startedAt;
    private readonly DateTimeOffset _begunAt;

    /// <summary>The message that is announced while the one before it is under way.</summary>
    private OutboundMessage? _ahead;

    public DeliveryBatch(
        BatchContext context, BatchCommand wanted, IReadOnlySet<long> won, ActiveClaim claim, DeliveredRecorder recorder, IClaims claims)
    {
        _context = context;
        _wanted = wanted;
        _recorder = recorder;
        _dots = new DotNotes(this, claims, claim, context.Log);
        _results = new Dictionary<long, AttemptResult>(wanted.Recipients.Length);
        _startedAt = context.Time.GetTimestamp();
        _begunAt = context.Time.GetUtcNow();
        Claim = claim;
        Fill(won);
    }

    public ActiveClaim Claim { get; }

    public string Domain => _wanted.Domain;

    /// <summary>Where it goes, as the resolution of its domain names it; empty while that is not known.</summary>
    public string Site { get; set; } = "";

    /// <summary>A host of the site was ready for MAIL.</summary>
    public bool HasHostAnswered { get; set; }

    /// <summary>Hosts of the site were tried, and none could be connected to, or none greeted.</summary>
    public bool IsSiteUnreachable { get; set; }

    /// <summary>A host of the site has asked for fewer connections, or to be left alone.</summary>
    public bool IsAskedToSlowDown { get; set; }

    public long Id => _wanted.BatchId;

    /// <summary>Its connection is counted, and not kept for whatever batch follows.</summary>
    public bool EndsConnection => _wanted.EndsConnection;

    /// <summary>It may be kept for the batch that has its permit next. Where DNS led the batch elsewhere that is no permit of these hosts.</summary>
    public bool MayKeep => _wanted.MayKeep && _wanted.Site == Site;

    /// <summary>What an operator allows on one connection; 0: he says nothing of it.</summary>
    public int MessagesPerConnection => _wanted.MessagesPerConnection;

    /// <summary>The endpoint of this worker, once its connection is kept; empty: it is not.</summary>
    public string KeptBy { get; set; } = "";

    /// <summary>Timestamp of when the last message had its result: before storage could be told that the batch has ended.</summary>
    public long SettledAt { get; private set; }

    /// <summary>An operator leads it elsewhere than to the hosts of the domain.</summary>
    public bool IsRedirected => _wanted.RedirectTo is not null;

    /// <summary>Who makes its attempts: this process, and the address that it speaks from once it does.</summary>
    public string Worker { get; set; } = Environment.MachineName;

    /// <summary>Under what TLS its far end is spoken to, or could not be; null: it was not spoken to yet.</summary>
    public AttemptTls? Tls { get; set; }

    /// <summary>Its far end is proven to be the right one under TLS and offers REQUIRETLS, or it is on this machine.</summary>
    public bool IsSafe { get; set; }

    /// <summary>Messages are left whose senders would rather have them arrive than go as the domain asks (RFC 8689 §3).</summary>
    public bool HasTlsOptional
    {
        get
        {
            lock (_lock)
                return _messages.Any(message => message.First.Body.HasFlag(BodyType.TlsOptional));
        }
    }

    /// <summary>Recipients that have no result yet.</summary>
    public int Unsettled
    {
        get
        {
            lock (_lock)
                return _messages.Sum(message => message.Recipients.Count);
        }
    }

    /// <summary>No host could be spoken to at all, or none answered for a single message.</summary>
    public bool IsUnreachable { get; set; }

    public bool HasWork
    {
        get
        {
            lock (_lock)
                return _messages.Count > 0;
        }
    }

    /// <summary>Nothing is left but messages that go to no host that is not safe: another host may be.</summary>
    public bool WantsSaferHost
    {
        get
        {
            lock (_lock)
                return _messages.Count == 0 && _unsafe.Count > 0;
        }
    }

    /// <summary>The claim is ours and the process is not asked to stop.</summary>
    public bool IsHeld => Claim.IsValid && !_context.Stopping.IsCancellationRequested;

    /// <summary>
    /// The process lives as long as the reply to a final dot may take. Otherwise nobody would hear it, and a copy would be sent again.
    /// </summary>
    public bool OutlivesReply => _context.Grace.Covers(_context.Options.Timeouts.FinalDot);

    /// <summary>True as long as another message may be begun.</summary>
    public bool MayGoOn => IsHeld && _context.Time.GetElapsedTime(_startedAt) < _context.Options.BatchTime;

    /// <summary>The next message that can be sent to this far end, opened; null when there is none or the batch has to end.</summary>
    public ValueTask<OutboundMessage?> NextAsync(FarEnd farEnd) => NextAsync(farEnd, isAhead: false);

    /// <summary>The next message that can be sent to this far end, to be announced only: it is begun by <see cref="TryBegin"/>, when the one before it has its reply.</summary>
    public ValueTask<OutboundMessage?> NextAheadAsync(FarEnd farEnd) => NextAsync(farEnd, isAhead: true);

    /// <summary>False: it was handed back since it was announced.</summary>
    public bool TryBegin(OutboundMessage message)
    {
        lock (_lock)
        {
            if (message.IsHandedBack)
                return false;
            if (_ahead == message)
                _ahead = null;
            return true;
        }
    }

    /// <summary>The last of the content is about to travel: storage is told meanwhile that its dot may follow.</summary>
    public void ExpectDot(OutboundMessage message) => _dots.Expect(message);

    /// <summary>Ends when storage knows that the dot of the message may be sent, and that of the next one if it is small; false: neither may.</summary>
    public ValueTask<bool> MaySendDotAsync(OutboundMessage message, OutboundMessage? next) =>
        _dots.EnsureAsync(message, next);

    /// <summary>Takes the recipients of all messages that are not begun out of the batch; they are not begun any more.</summary>
    public IReadOnlyList<long> TakeUnbegun()
    {
        lock (_lock)
        {
            List<OutboundMessage> unbegun = [.. _messages, .. _unsafe, .. _later.Select(one => one.Message)];
            _messages.Clear();
            _unsafe.Clear();
            _later.Clear();
            if (_ahead is { } ahead)
                unbegun.Add(ahead);
            _ahead = null;
            foreach (var message in unbegun)
                message.IsHandedBack = true;
            return [.. unbegun.SelectMany(message => message.Recipients, (_, recipient) => recipient.RecipientId)];
        }
    }

    /// <summary>Says of recipients taken out that they are free, while the batch goes on; the report at the end is silent about them.</summary>
    public AttemptReport ReportHandedBack(IReadOnlyList<long> recipientIds)
    {
        lock (_lock)
            _handedBack.UnionWith(recipientIds);
        _context.Telemetry.Attempted(AttemptOutcome.NotAttempted, recipientIds.Count);
        var now = _context.Time.GetUtcNow();
        return new AttemptReport(
            Domain, _wanted.BatchId, Claim.Id, [.. recipientIds.Select(id => NotAttempted(id, now))], Unreachable: false, NothingWon: true, GoesOn: true);
    }

    /// <inheritdoc/>
    public OutboundMessage[] Upcoming(int count)
    {
        lock (_lock)
            return [.. _messages.Take(count)];
    }

    /// <inheritdoc/>
    public bool IsSettled(long recipientId) =>
        _results.TryGetValue(recipientId, out var result)
        && (result.Outcome is AttemptOutcome.Deferred or AttemptOutcome.Failed || _recorder.HasRecorded(recipientId));

    private async ValueTask<OutboundMessage?> NextAsync(FarEnd farEnd, bool isAhead)
    {
        var (capabilities, remoteHost, isFinal, _) = farEnd;
        while (MayGoOn && Allowance is not { IsSpent: true } && TryTake(out var message, isAhead, capabilities.Limits.Recipients))
        {
            (string Status, string Text)? unsendable = null;
            try
            {
                if (Unsendable.WhyByTls(message, IsSafe, Tls) is var (unsafeStatus, why))
                {
                    KeepForSaferHost(message, new UnsafeHost(unsafeStatus, why, remoteHost, Tls));
                    continue;
                }

                await message.ReadTimingAsync(_context.Content);
                unsendable = Unsendable.Why(message, capabilities, isFinal, _context.Time.GetUtcNow());
                // RFC 6152 §3
                if (unsendable is null && _context.Options.EightBitMime == EightBitContent.Return && !capabilities.EightBitMime && await message.HasEightBitOctetsAsync(_context.Content))
                    unsendable = Unsendable.EightBit;
                if (unsendable is null)
                {
                    if (farEnd.HearsSubmitter)
                        await message.ReadSubmitterAsync(_context.Content);
                    await message.OpenAsync(_context.Content, capabilities, isFinal, _context.Time, _context.Telemetry.StartAttempt);
                    Allowance?.Use();
                    return message;
                }
            }
#pragma warning disable CA1031 // Whatever keeps the content away, the message stays queued and the others go on.
            catch (Exception error)
#pragma warning restore CA1031
            {
                if (TryBegin(message))
                    await UnreadableAsync(message, error, remoteHost);
                else
                    await message.CloseAsync();
                continue;
            }

            if (unsendable is var (status, text) && TryBegin(message))
                await SettleAsync(message, status[0] == '4' ? AttemptOutcome.Deferred : AttemptOutcome.Failed, status, text, remoteHost);
        }

        return null;
    }

    private void KeepForSaferHost(OutboundMessage message, UnsafeHost host)
    {
        if (!TryBegin(message))
            return;
        // Of several hosts the one that may be safe another time decides.
        if (message.UnsafeHost is not { Status: ['4', ..] } || host.Status[0] == '4')
            message.UnsafeHost = host;
        lock (_lock)
            _unsafe.Add(message);
    }

    /// <summary>The next host may be safe for what the last one was not (RFC 8689 §4.2.1).</summary>
    public void TakeUpUnsafe()
    {
        lock (_lock)
        {
            for (var i = _unsafe.Count - 1; i >= 0; i--)
                _messages.Push(_unsafe[i]);
            _unsafe.Clear();
        }
    }

    /// <summary>No host is left for the messages that none so far was safe for.</summary>
    /// <param name="mayBeLater">Some host could not be asked: it may be the one.</param>
    public async ValueTask SettleUnsafeAsync(bool mayBeLater)
    {
        TakeUpUnsafe();
        List<OutboundMessage> others = [];
        var tls = Tls;
        while (TryTake(out var message))
        {
            if (message.UnsafeHost is not { } host)
            {
                others.Insert(0, message);
                continue;
            }

            Tls = host.Tls;
            var status = mayBeLater ? $"4{host.Status[1..]}" : host.Status;
            await SettleAsync(message, status[0] == '4' ? AttemptOutcome.Deferred : AttemptOutcome.Failed, status, host.Why, host.Name);
        }

        Tls = tls;
        foreach (var message in others)
            Push(message);
    }

    /// <param name="most">Recipients in one transaction; the others of the message come next.</param>
    private bool TryTake([NotNullWhen(true)] out OutboundMessage? message, bool isAhead = false, int most = int.MaxValue)
    {
        lock (_lock)
        {
            if (!_messages.TryPop(out message))
                return false;
            if (message.Recipients.Count > most)
            {
                (message, var others) = message.Split(most);
                _messages.Push(others);
            }

            if (isAhead)
                _ahead = message;
            return true;
        }
    }

    private void Push(OutboundMessage message)
    {
        lock (_lock)
            _messages.Push(message);
    }

    public ValueTask UnreadableAsync(OutboundMessage message, Exception error, string remoteHost)
    {
        using (_context.Telemetry.TraceOf(message.First.TraceParent, message.Activity))
            _context.Log.ContentUnreadable(error, MessageIds.ToText(message.MessageId));
        return SettleAsync(message, AttemptOutcome.Deferred, "4.3.0", "The content of the message cannot be read now", remoteHost);
    }

    public void Unexpected(Exception error) => _context.Log.BatchFailed(error, Claim.Id, Domain);

    /// <summary>Back to the front of the queue; nothing of it was accepted.</summary>
    public async ValueTask PutBackAsync(OutboundMessage message)
    {
        await message.ResetAsync();
        Allowance?.Refund();
        if (TryBegin(message))
            Push(message);
    }

    /// <summary>The far end's reply to the message decides for all recipients that it had not refused before.</summary>
    public ValueTask SettleAsync(OutboundMessage message, SmtpReply reply, TransactionStep step, string remoteHost, bool fellBackToClear)
    {
        IsAskedToSlowDown |= SlowDown.IsAskedFor(reply, step, isFirst: false)
            || Array.Exists(message.Refusals, refusal => refusal is not null && SlowDown.IsAskedFor(refusal, TransactionStep.Rcpt, isFirst: false));
        var outcome = RemoteReply.Outcome(reply, step, fellBackToClear);
        return SettleAsync(message, outcome, RemoteReply.Status(reply, outcome), RemoteReply.Line(reply), remoteHost, fellBackToClear);
    }

    /// <summary>Gives every recipient of the message its result: its own refusal or reply, or the outcome given here.</summary>
    public async ValueTask SettleAsync(
        OutboundMessage message, AttemptOutcome outcome, string status, string reply, string remoteHost, bool fellBackToClear = false)
    {
        var finishedAt = _context.Time.GetUtcNow();
        SettledAt = _context.Time.GetTimestamp();
        // What never got a connection has been tried since the batch began to look for one.
        var startedAt = message.StartedAt == default ? _begunAt : message.StartedAt;
        List<AttemptResult>? delivered = null;
        List<Recipient>? again = null;
        List<Recipient>? counted = null;
        for (var i = 0; i < message.Recipients.Count; i++)
        {
            var recipient = message.Recipients[i];
            if (message.Replies[i] is { } own)
            {
                var ended = RemoteReply.Outcome(own, message.End, fellBackToClear);
                var result = new AttemptResult(
                    recipient.RecipientId, ended, RemoteReply.Status(own, ended), RemoteReply.Line(own), remoteHost, startedAt, finishedAt,
                    ReportsHandedOn: message.Dsn is not null,
                    // RFC 2033 §1: who speaks LMTP delivers. Nobody is told so who has asked for nothing.
                    IsFinal: message.First.Body.HasFlag(BodyType.Dsn), Tls: Tls, Worker: Worker);
                _results[recipient.RecipientId] = result;
                if (ended == AttemptOutcome.Delivered)
                    (delivered ??= new(message.Recipients.Count)).Add(result);
                LogAttempt(message, [recipient], result);
            }
            else if (message.Refusals[i] is not { } refusal)
            {
                var result = new AttemptResult(
                    recipient.RecipientId, outcome, status, reply, remoteHost, startedAt, finishedAt, ReportsHandedOn: message.Dsn is not null,
                    TellsOfRelay: message.TellsOfRelay, Tls: Tls, Worker: Worker);
                _results[recipient.RecipientId] = result;
                if (outcome == AttemptOutcome.Delivered)
                    (delivered ??= new(message.Recipients.Count)).Add(result);
                (counted ??= new(message.Recipients.Count)).Add(recipient);
            }
            else if (IsTooMany(refusal) && message.Refusals.Contains(null))
            {
                (again ??= []).Add(recipient);
            }
            else
            {
                var refused = RemoteReply.Outcome(refusal, TransactionStep.Rcpt, fellBackToClear);
                var line = RemoteReply.Line(refusal);
                _results[recipient.RecipientId] = new AttemptResult(
                    recipient.RecipientId, refused, RemoteReply.Status(refusal, refused), line, remoteHost, startedAt, finishedAt, Tls: Tls, Worker: Worker);
                LogAttempt(message, [recipient], _results[recipient.RecipientId]);
            }
        }

        if (delivered is { Count: > 0 })
            _recorder.Add(delivered);
        // RFC 5321 §4.5.3.1.10: recipients over the far end's limit go with the next transaction.
        if (again is not null)
            Push(new OutboundMessage(again));
        if (counted is not null)
            LogAttempt(message, counted, _results[counted[0].RecipientId]);
        Trace(message, _results.GetValueOrDefault(message.First.RecipientId)?.Outcome ?? outcome, status, remoteHost);
        message.IsSettled = true;
        await message.CloseAsync();
    }

    /// <summary>What is left gets this outcome without having been tried on its own: no host can be spoken to.</summary>
    /// <param name="keepsTlsOptional">But for messages whose senders would rather have them arrive than go as the domain asks.</param>
    public async ValueTask SettleRestAsync(AttemptOutcome outcome, string status, string reply, string remoteHost, bool keepsTlsOptional = false)
    {
        var now = _context.Time.GetUtcNow();
        List<OutboundMessage> kept = [];
        while (TryTake(out var message))
        {
            if (keepsTlsOptional && message.First.Body.HasFlag(BodyType.TlsOptional))
            {
                kept.Insert(0, message);
                continue;
            }

            await message.CloseAsync();
            foreach (var recipient in message.Recipients)
                _results[recipient.RecipientId] = new AttemptResult(recipient.RecipientId, outcome, status, reply, remoteHost, _begunAt, now, Tls: Tls, Worker: Worker);
        }

        foreach (var message in kept)
            Push(message);
    }

    /// <summary>
    /// No host is left that goes on: who was under way as a connection broke is told so. The others were not tried; returns how many
    /// recipients that are.
    /// </summary>
    public async ValueTask<int> SettleInterruptedAsync()
    {
        var untried = 0;
        while (TryTake(out var message))
        {
            if (message.Interruption is var (status, reply, remoteHost))
                await SettleAsync(message, AttemptOutcome.Deferred, status, reply, remoteHost);
            else
                untried += message.Recipients.Count;
            await message.CloseAsync();
        }

        return untried;
    }

    /// <summary>
    /// One result for each recipient of the wanted that is not handed back yet. <paramref name="unrecorded"/>: delivered, but
    /// storage refused the record. <paramref name="hasEnded"/>: the claim ended with the record of the last.
    /// </summary>
    public AttemptReport Report(IReadOnlySet<long> unrecorded, bool hasEnded)
    {
        var now = _context.Time.GetUtcNow();
        var results = new List<AttemptResult>(_wanted.Recipients.Length);
        foreach (var recipient in _wanted.Recipients)
        {
            var id = recipient.RecipientId;
            if (_handedBack.Contains(id))
                continue;
            var result = _results.GetValueOrDefault(id) ?? NotAttempted(id, now);
            // Perhaps sent again by the next holder of the claim: the same doubt as a lost reply.
            if (unrecorded.Contains(id))
                result = result with { Outcome = AttemptOutcome.Uncertain, Status = "4.4.2" };
            results.Add(result);
            _context.Telemetry.Attempted(result.Outcome, 1);
        }

        return new AttemptReport(
            Domain, _wanted.BatchId, Claim.Id, [.. results], IsUnreachable, HasEnded: hasEnded, Site: Site, SiteState: SiteState, KeptBy: KeptBy, IsRedirected: IsRedirected);
    }

    private SiteState SiteState =>
        Site.Length == 0 ? SiteState.Unsaid
        : IsAskedToSlowDown ? SiteState.SlowDown
        : HasHostAnswered ? SiteState.Answered
        : IsSiteUnreachable ? SiteState.Unreachable
        : SiteState.Unsaid;

    public static AttemptResult NotAttempted(long recipientId, DateTimeOffset now) =>
        new(recipientId, AttemptOutcome.NotAttempted, "4.0.0", "Not attempted", "", now, now);

    private static bool IsTooMany(SmtpReply refusal) =>
        refusal.Code == TooManyRecipientsCode && refusal.Status is null or { Class: 4, Subject: 5, Detail: 3 };

    /// <summary>
    /// Recipients of one message travel together, up to the bound of a transaction; in the order of the command otherwise. Those whose
    /// address needs SMTPUTF8 travel apart from those whose does not: a host without it takes the others. So do those that it was forwarded to under
    /// another sender.
    /// </summary>
    private void Fill(IReadOnlySet<long> won)
    {
        var byMessage = new Dictionary<(long, string, bool), List<Recipient>>(won.Count);
        var groups = new List<List<Recipient>>(won.Count);
        foreach (var recipient in _wanted.Recipients)
        {
            if (!won.Contains(recipient.RecipientId))
                continue;
            var key = (recipient.MessageId, recipient.Sender, OutboundMessage.NeedsUtf8(recipient));
            if (!byMessage.TryGetValue(key, out var group) || group.Count >= _context.Options.MaxRecipients)
            {
                byMessage[key] = group = new List<Recipient>(1);
                groups.Add(group);
            }

            group.Add(recipient);
        }

        for (var i = groups.Count - 1; i >= 0; i--)
            Push(new OutboundMessage(groups[i]));
    }

    private void LogAttempt(OutboundMessage message, IReadOnlyList<Recipient> recipients, AttemptResult result)
    {
        if (!_context.Log.IsEnabled(LogLevel.Information))
            return;
        using var trace = _context.Telemetry.TraceOf(message.First.TraceParent, message.Activity);
        var (id, delay) = (MessageIds.ToText(message.MessageId), (result.FinishedAt - message.First.AcceptedAt).TotalSeconds);
        foreach (var names in MailLogText.Recipients(recipients))
            _context.Log.MessageAttempted(id, names, LogText.OrNone(result.RemoteHost), LogText.OrNone(Site), MailLogText.Word(result.Outcome), result.Status, delay, result.Reply);
    }

    private void Trace(OutboundMessage message, AttemptOutcome outcome, string status, string remoteHost)
    {
        if (message.StartedTimestamp != 0)
            _context.Telemetry.AttemptTook(_context.Time.GetElapsedTime(message.StartedTimestamp));
        if (message.Activity is not { } activity)
            return;
        activity.SetTag("mailpipeline.message_id", MessageIds.ToText(message.MessageId));
        activity.SetTag("mailpipeline.outcome", DeliveryTelemetry.OutcomeTag(outcome));
        activity.SetTag("mailpipeline.status", status);
        activity.SetTag("mailpipeline.site", Site);
        activity.SetTag("server.address", remoteHost);
        if (outcome != AttemptOutcome.Delivered)
            activity.SetStatus(ActivityStatusCode.Error);
    }
}
