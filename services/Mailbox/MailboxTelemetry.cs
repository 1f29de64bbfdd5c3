using System.Diagnostics;
using System.Diagnostics.Metrics;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Mailbox;

/// <summary>What Mailbox measures and traces, under the name <see cref="SourceName"/>. Tags come from closed sets.</summary>
internal sealed class MailboxTelemetry : IDisposable
{
    internal const string SourceName = "MailPipeline.Mailbox";

    private readonly ActivitySource _source = new(SourceName);
    private readonly Counter<long> _stored;
    private readonly Histogram<double> _storeDuration;
    private readonly UpDownCounter<long> _connections;
    private readonly Counter<long> _connectionsRefused;
    private readonly Counter<long> _handshakesFailed;
    private readonly Counter<long> _logins;
    private readonly Counter<long> _messagesSent;
    private readonly Counter<long> _octetsSent;
    private readonly Counter<long> _messagesDeleted;
    private readonly Counter<long> _commits;
    private readonly Counter<long> _leasesLost;
    private readonly TimeProvider _time;

    public MailboxTelemetry(IMeterFactory meters, TimeProvider time)
    {
        _time = time;
        var meter = meters.Create(SourceName);
        _stored = meter.CreateCounter<long>(
            "mailpipeline.mailbox.stored", "{recipient}", "Recipients of local deliveries, by outcome");
        _storeDuration = meter.CreateHistogram<double>(
            "mailpipeline.mailbox.store.duration", "s", "Time to store one batch of messages",
            advice: new() { HistogramBucketBoundaries = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] });
        _connections = meter.CreateUpDownCounter<long>("mailpipeline.mailbox.connections", "{connection}", "POP3 connections, by TLS mode");
        _connectionsRefused = meter.CreateCounter<long>(
            "mailpipeline.mailbox.connections.refused", "{connection}", "POP3 connections over a limit");
        _handshakesFailed = meter.CreateCounter<long>(
            "mailpipeline.mailbox.handshakes.failed", "{handshake}", "TLS handshakes that failed or took too long");
        _logins = meter.CreateCounter<long>("mailpipeline.mailbox.logins", "{login}", "POP3 logins, by result");
        _messagesSent = meter.CreateCounter<long>("mailpipeline.mailbox.messages.sent", "{message}", "Messages fetched by RETR");
        _octetsSent = meter.CreateCounter<long>("mailpipeline.mailbox.octets.sent", "By", "Octets of messages sent by RETR and TOP");
        _messagesDeleted = meter.CreateCounter<long>("mailpipeline.mailbox.messages.deleted", "{message}", "Messages deleted at QUIT");
        _commits = meter.CreateCounter<long>("mailpipeline.mailbox.commits", "{commit}", "Deletions asked for at QUIT, by result");
        _leasesLost = meter.CreateCounter<long>("mailpipeline.mailbox.leases.lost", "{lease}", "Sessions ended because their hold on the maildrop was lost");
    }

    public void Dispose() => _source.Dispose();

    /// <summary>
    /// The activity of one message stored, a child of the SMTP transaction that brought it: they travel together, but each
    /// has a way of its own. Null when nobody listens.
    /// </summary>
    internal Activity? StartStored(Recipient recipient, AttemptOutcome outcome, DateTimeOffset startedAt) =>
        _source.HasListeners() && ActivityContext.TryParse(recipient.TraceParent, null, isRemote: true, out var parent)
            ? _source.StartActivity("store", ActivityKind.Consumer, parent, startTime: startedAt)?.SetTag("mailpipeline.outcome", Tag(outcome))
            : null;

    /// <summary>Until it is disposed, log lines carry the trace of the message.</summary>
    internal MessageTrace TraceOf(Recipient recipient, Activity? stored) => MessageTrace.Enter(_source, recipient.TraceParent, stored);

    internal long StoreStarted() => _time.GetTimestamp();

    internal void StoreEnded(long started, IReadOnlyList<AttemptResult> results)
    {
        _storeDuration.Record(_time.GetElapsedTime(started).TotalSeconds);
        foreach (var group in results.GroupBy(result => result.Outcome))
            _stored.Add(group.Count(), new KeyValuePair<string, object?>("outcome", Tag(group.Key)));
    }

    internal void ConnectionOpened(ListenerTls tls) => _connections.Add(1, new KeyValuePair<string, object?>("tls", Tag(tls)));

    internal void ConnectionClosed(ListenerTls tls) => _connections.Add(-1, new KeyValuePair<string, object?>("tls", Tag(tls)));

    internal void ConnectionRefused() => _connectionsRefused.Add(1);

    internal void HandshakeFailed() => _handshakesFailed.Add(1);

    internal void Login(LoginResult result) => _logins.Add(1, new KeyValuePair<string, object?>("result", Tag(result)));

    internal void Sent(long octets, bool isWhole)
    {
        _octetsSent.Add(octets);
        if (isWhole)
            _messagesSent.Add(1);
    }

    internal void Committed(CommitResult result, int deleted)
    {
        _commits.Add(1, new KeyValuePair<string, object?>("result", Tag(result)));
        // Zero too: a counter that is not there before its first event shows no increase by it.
        _messagesDeleted.Add(deleted);
    }

    internal void LeaseLost() => _leasesLost.Add(1);

    private static string Tag(AttemptOutcome outcome) => outcome switch
    {
        AttemptOutcome.Delivered => "delivered",
        AttemptOutcome.Deferred => "deferred",
        AttemptOutcome.Failed => "failed",
        AttemptOutcome.Uncertain => "uncertain",
        _ => "not_attempted",
    };

    private static string Tag(ListenerTls tls) => tls switch
    {
        ListenerTls.Implicit => "implicit",
        ListenerTls.StartTls => "starttls",
        _ => "none",
    };

    private static string Tag(LoginResult result) => result switch
    {
        LoginResult.Accepted => "accepted",
        LoginResult.Refused => "refused",
        LoginResult.InUse => "in_use",
        _ => "unavailable",
    };

    private static string Tag(CommitResult result) => result switch
    {
        CommitResult.Done => "done",
        CommitResult.LeaseLost => "lease_lost",
        CommitResult.Unavailable => "unavailable",
        _ => "unknown",
    };
}

/// <summary>How a POP3 login ended.</summary>
internal enum LoginResult
{
    Accepted,
    Refused,
    InUse,
    Unavailable,
}

/// <summary>What became of the deletions asked for at QUIT.</summary>
internal enum CommitResult
{
    Done,
    LeaseLost,
    Unavailable,

    /// <summary>Contact with the store was lost: done or not.</summary>
    Unknown,
}
