using System.Diagnostics;
using System.Diagnostics.Metrics;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Spf;
using MailPipeline.LineServer;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress;

/// <summary>Metrics and traces of the door: sessions, refusals, accepted messages, how long an acceptance takes.</summary>
internal sealed class IngressTelemetry : IDisposable
{
    public const string SourceName = "MailPipeline.Ingress";

    // In the order of Measured.
    private static readonly string[] s_bounds = ["unrouted", "queued", "commit_time", "space"];

    private readonly ActivitySource _source = new(SourceName);
    private readonly UpDownCounter<long> _sessions;
    private readonly Counter<long> _turnedAway;
    private readonly Counter<long> _refused;
    private readonly Counter<long> _accepted;
    private readonly Counter<long> _acceptedBytes;
    private readonly Histogram<double> _acceptDuration;
    private readonly Counter<long> _broken;
    private readonly Counter<long> _hintsLost;
    private readonly Counter<long> _heldBack;
    private readonly Gauge<double> _pressure;
    private readonly Counter<long> _verdicts;
    private readonly Counter<long> _recipientQuestions;
    private readonly Counter<long> _dnsLists;
    private readonly Counter<long> _policyReads;
    private readonly Counter<long> _greylist;
    private readonly Counter<long> _limitsReached;
    private readonly Counter<long> _limitsAway;
    private readonly Counter<long> _bans;
    private readonly Counter<long> _filterAnswers;
    private readonly Counter<long> _filtersAway;
    private readonly Counter<long> _authentication;
    private readonly Counter<long> _authenticationBounds;
    private readonly Histogram<double> _authenticationDuration;
    private readonly Counter<long> _signatures;
    private readonly Counter<long> _arcChains;
    private readonly Counter<long> _forgedResults;
    private readonly Counter<long> _dmarcResults;

    public IngressTelemetry(IMeterFactory meters)
    {
        var meter = meters.Create(SourceName);
        _sessions = meter.CreateUpDownCounter<long>("mailpipeline.ingress.sessions", "{session}", "Sessions under way, by listener kind");
        _turnedAway = meter.CreateCounter<long>("mailpipeline.ingress.sessions_refused", "{session}", "Connections turned away, by limit");
        _refused = meter.CreateCounter<long>("mailpipeline.ingress.refusals", "{command}", "Commands and contents refused, by command and class of the reply");
        _accepted = meter.CreateCounter<long>("mailpipeline.ingress.accepted", "{message}", "Messages committed and answered 250, by listener kind");
        _acceptedBytes = meter.CreateCounter<long>("mailpipeline.ingress.accepted_bytes", "By", "Octets of accepted messages");
        _acceptDuration = meter.CreateHistogram<double>("mailpipeline.ingress.accept.duration", "s", "Time from the end of data to the commit");
        _broken = meter.CreateCounter<long>("mailpipeline.ingress.sessions_broken", "{session}", "Sessions that did not end by QUIT, by reason");
        _hintsLost = meter.CreateCounter<long>("mailpipeline.ingress.hints_lost", "{message}", "Accepted messages the bus was not told of; the reconciler finds them");
        _heldBack = meter.CreateCounter<long>("mailpipeline.ingress.held_back", "{command}", "MAIL put off with 4xx, by the bound that was reached");
        _verdicts = meter.CreateCounter<long>("mailpipeline.ingress.check_verdicts", "{verdict}", "What checks said other than to go on, by check and verdict");
        _recipientQuestions = meter.CreateCounter<long>("mailpipeline.ingress.recipient_questions", "{question}", "Questions to next hops about recipients, by answer");
        _dnsLists = meter.CreateCounter<long>("mailpipeline.ingress.dns_list_questions", "{question}", "Questions to lists of addresses in DNS, by list and answer");
        _policyReads = meter.CreateCounter<long>("mailpipeline.ingress.policy_reads", "{read}", "Changed states of the policy's file, by whether they were taken");
        _greylist = meter.CreateCounter<long>("mailpipeline.ingress.greylist", "{recipient}", "Recipients that greylisting was asked about, by result");
        _limitsReached = meter.CreateCounter<long>("mailpipeline.ingress.limits_reached", "{event}", "What was over a limit of the policy, by rule");
        _limitsAway = meter.CreateCounter<long>("mailpipeline.ingress.limits_away", "{event}", "What could not be counted for limits because Redis was away");
        _bans = meter.CreateCounter<long>("mailpipeline.ingress.bans", "{ban}", "Client networks that a limit has banned, by rule");
        _filterAnswers = meter.CreateCounter<long>("mailpipeline.ingress.filter_answers", "{answer}", "What filters said of messages, and otherwise than to go on, by filter and answer");
        _filtersAway = meter.CreateCounter<long>("mailpipeline.ingress.filters_away", "{event}", "Sessions and messages that a filter did not judge, by filter and reason");
        _authentication = meter.CreateCounter<long>("mailpipeline.ingress.authentication", "{result}", "What was found of who sent a message, by method and result");
        _authenticationBounds = meter.CreateCounter<long>("mailpipeline.ingress.authentication_bounds", "{message}", "Messages whose authentication reached a bound, by bound");
        _authenticationDuration = meter.CreateHistogram<double>("mailpipeline.ingress.authentication.duration", "s", "Time that a message waits for its authentication behind the final dot");
        _signatures = meter.CreateCounter<long>("mailpipeline.ingress.signatures", "{signature}", "DKIM signatures of received messages, by what was found");
        _arcChains = meter.CreateCounter<long>("mailpipeline.ingress.arc_chains", "{message}", "Received messages with ARC sets, by what was found of them");
        _forgedResults = meter.CreateCounter<long>("mailpipeline.ingress.forged_results", "{field}", "Authentication-Results fields in our name that were left out");
        _dmarcResults = meter.CreateCounter<long>("mailpipeline.ingress.dmarc_results", "{message}", "Messages judged by DMARC that domains are to be told of, by whether there was room to count them");
        _pressure = meter.CreateGauge<double>("mailpipeline.ingress.pressure", "1", "Share of a bound that is used up; from 1 on MAIL is put off");
    }

    /// <summary>A counter that is not there before its first event shows no increase by it.</summary>
    public void CountFromZero()
    {
        foreach (var bound in s_bounds)
            _heldBack.Add(0, new KeyValuePair<string, object?>("bound", bound));
        _refused.Add(0, new KeyValuePair<string, object?>("command", "AUTH"), new KeyValuePair<string, object?>("class", "5xx"));
    }

    /// <param name="bound">unrouted, queued, commit_time or space.</param>
    public void HeldBack(string bound) => _heldBack.Add(1, new KeyValuePair<string, object?>("bound", bound));

    public void Measured(double unrouted, double queued, double commitTime, double space)
    {
        foreach (var (bound, used) in s_bounds.Zip([unrouted, queued, commitTime, space]))
            _pressure.Record(used, new KeyValuePair<string, object?>("bound", bound));
    }

    /// <param name="check">By its row in the table: a closed set.</param>
    /// <param name="verdict">reply, redirect, hold, tag or field.</param>
    /// <param name="rule">Which rule of a check that has many; the operator names it, as he does a tag, in his settings.</param>
    public void Checked(string check, string verdict, string? rule = null, string? tag = null)
    {
        var tags = new TagList { { "check", check }, { "verdict", verdict } };
        if (rule is not null)
            tags.Add("rule", rule);
        if (tag is not null)
            tags.Add("tag", tag);
        _verdicts.Add(1, tags);
    }

    public void SessionStarted(ListenerKind kind) => _sessions.Add(1, Kind(kind));

    public void SessionEnded(ListenerKind kind) => _sessions.Add(-1, Kind(kind));

    public void SessionTurnedAway(string limit) => _turnedAway.Add(1, new KeyValuePair<string, object?>("limit", limit));

    public void SessionBroken(SessionEnd end) => _broken.Add(1, new KeyValuePair<string, object?>("reason", Name(end)));

    /// <param name="command">From the command table: a closed set.</param>
    public void Refused(string command, SmtpReply reply) => _refused.Add(
        1,
        new KeyValuePair<string, object?>("command", command.Length == 0 ? "unknown" : command),
        new KeyValuePair<string, object?>("class", reply.IsTemporaryFailure ? "4xx" : "5xx"));

    public void Accepted(ListenerKind kind, long sizeBytes, TimeSpan duration)
    {
        _accepted.Add(1, Kind(kind));
        _acceptedBytes.Add(sizeBytes);
        _acceptDuration.Record(duration.TotalSeconds);
    }

    /// <param name="answer">taken, refused, put_off, none, or not_asked where a bound was reached.</param>
    public void RecipientAsked(string answer) => _recipientQuestions.Add(1, new KeyValuePair<string, object?>("answer", answer));

    /// <param name="list">A zone of the operator's settings.</param>
    /// <param name="answer">listed, not_listed, failed, or error where the list says what does not count.</param>
    public void DnsListAsked(string list, string answer) =>
        _dnsLists.Add(1, new KeyValuePair<string, object?>("list", list), new KeyValuePair<string, object?>("answer", answer));

    /// <param name="result">deferred, passed, known or excepted.</param>
    public void Greylisted(string result) => _greylist.Add(1, new KeyValuePair<string, object?>("result", result));

    /// <param name="rule">A name of the operator's settings.</param>
    public void LimitReached(string rule) => _limitsReached.Add(1, new KeyValuePair<string, object?>("rule", rule));

    public void LimitsAway() => _limitsAway.Add(1);

    /// <inheritdoc cref="LimitReached"/>
    public void Banned(string rule) => _bans.Add(1, new KeyValuePair<string, object?>("rule", rule));

    /// <param name="filter">A name of the operator's settings.</param>
    /// <param name="answer">go_on, accept, defer, refuse or discard.</param>
    public void FilterAnswered(string filter, string answer) =>
        _filterAnswers.Add(1, new KeyValuePair<string, object?>("filter", filter), new KeyValuePair<string, object?>("answer", answer));

    /// <param name="filter">A name of the operator's settings.</param>
    /// <param name="reason">away, timed_out, or garbage where it says what is none of its protocol.</param>
    public void FilterAway(string filter, string reason) =>
        _filtersAway.Add(1, new KeyValuePair<string, object?>("filter", filter), new KeyValuePair<string, object?>("reason", reason));

    public void PolicyRead(bool isTaken) => _policyReads.Add(1, new KeyValuePair<string, object?>("result", isTaken ? "taken" : "refused"));

    /// <param name="method">spf, dkim, arc or dmarc.</param>
    public void Authenticated(string method, AuthenticationStatus status) =>
        _authentication.Add(1, new("method", method), new("result", AuthenticationWords.Of(status)));

    public void DmarcCounted(bool isCounted) => _dmarcResults.Add(1, new KeyValuePair<string, object?>("outcome", isCounted ? "counted" : "no_room"));

    public void AuthenticationBounded(SpfLimit limit) => _authenticationBounds.Add(1, new KeyValuePair<string, object?>("bound", limit switch
    {
        SpfLimit.LookUps => "look_ups",
        SpfLimit.VoidLookUps => "void_look_ups",
        SpfLimit.MxHosts => "mx_hosts",
        SpfLimit.RecordSize => "record_size",
        _ => "time",
    }));

    public void AuthenticationQuestionsSpent() => _authenticationBounds.Add(1, new KeyValuePair<string, object?>("bound", "questions"));

    public void AuthenticationWaited(TimeSpan duration) => _authenticationDuration.Record(duration.TotalSeconds);

    /// <summary>What was found of a DKIM signature, by the words of an Authentication-Results field, a closed set.</summary>
    public void SignatureJudged(AuthenticationStatus status) => _signatures.Add(1, new KeyValuePair<string, object?>("result", AuthenticationWords.Of(status)));

    /// <summary>Signatures beyond the bound.</summary>
    public void SignaturesNotJudged(int signatures)
    {
        if (signatures > 0)
            _signatures.Add(signatures, new KeyValuePair<string, object?>("result", "not_judged"));
    }

    /// <summary>What was found of a chain of ARC sets; none where there is none.</summary>
    public void ChainJudged(AuthenticationStatus status)
    {
        if (status != AuthenticationStatus.None)
            _arcChains.Add(1, new KeyValuePair<string, object?>("result", AuthenticationWords.Of(status)));
    }

    public void ForgedResultsLeftOut(int fields)
    {
        if (fields > 0)
            _forgedResults.Add(fields);
    }

    public void HintsLost(int messages) => _hintsLost.Add(messages);

    /// <summary>The receipt of one message; null when nobody listens.</summary>
    public Activity? StartReceive(ListenerKind kind)
    {
        // A session is the root of its messages' traces, whatever ran before on this thread.
        if (!_source.HasListeners())
            return null;
        Activity.Current = null;
        return _source.StartActivity("smtp receive", ActivityKind.Server)?.SetTag("mailpipeline.listener", Kind(kind).Value);
    }

    public void Dispose() => _source.Dispose();

    private static KeyValuePair<string, object?> Kind(ListenerKind kind) => new("listener", kind switch { ListenerKind.Mx => "mx", ListenerKind.Lmtp => "lmtp", _ => "submission" });

    private static string Name(SessionEnd end) => end switch
    {
        SessionEnd.Disconnected => "disconnected",
        SessionEnd.TimedOut => "timed_out",
        SessionEnd.Stopped => "stopped",
        SessionEnd.TlsFailed => "tls_failed",
        SessionEnd.OutcomeUnknown => "outcome_unknown",
        SessionEnd.Refused => "refused",
        _ => "bug",
    };
}
