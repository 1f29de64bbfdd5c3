using System.Collections.Concurrent;
using System.Net;
using MailPipeline.Contracts;
using MailPipeline.LineServer;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.NextHops;

/// <summary>What is known of a recipient of a domain that we relay for.</summary>
/// <param name="Refusal">Of one that is refused.</param>
internal readonly record struct KnownRecipient(NextHopAnswer Answer, SmtpReply? Refusal = null);

/// <summary>What a next hop says of a recipient.</summary>
internal enum NextHopAnswer
{
    /// <summary>Nothing: it could not be asked, or had no answer about anybody.</summary>
    Away,
    Taken,

    /// <summary>For good.</summary>
    Refused,

    /// <summary>It may take him another time.</summary>
    PutOff,
}

/// <summary>
/// Asks Delivery over the bus whether the next hop of a domain takes a recipient, and remembers what it said: in memory, since all that is lost
/// with it is a question more. Who asks for the same address shares a question; there are bounds of questions at once, and of those about
/// one domain in a minute. A hop that says nothing is left alone for some seconds, so that nobody waits for each recipient of a long list; one that is late
/// with a single name may only be slow with names that it does not know, and is left alone when it is late several times in a row.
/// </summary>
internal sealed partial class RecipientQuestions(
    MailBus bus, BusAnswers answers, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<RecipientQuestions> log)
{
    /// <summary>A question that nobody has answered by then is lost. Delivery takes less.</summary>
    internal static readonly TimeSpan LongestQuestion = TimeSpan.FromSeconds(30);

    /// <summary>So long nobody is asked about a domain whose next hop has said nothing.</summary>
    internal static readonly TimeSpan LeftAlone = TimeSpan.FromSeconds(15);

    /// <summary>Answers that clients waited for in vain, with none between them, that make a hop one that says nothing.</summary>
    internal const int LateInARow = 3;

    /// <summary>Questions about a domain in a minute that any network has.</summary>
    private const int LeastShare = 20;

    private static readonly TimeSpan s_minute = TimeSpan.FromMinutes(1);

    private readonly RelayRecipientOptions _options = options.Value.Checks.RelayRecipient;
    private readonly ConcurrentDictionary<string, AskedDomain> _domains = new(StringComparer.OrdinalIgnoreCase);
    private readonly ConcurrentDictionary<string, Question> _open = new(StringComparer.OrdinalIgnoreCase);
    private readonly KnownRecipients<bool> _taken = new(
        options.Value.Checks.RelayRecipient.MaxRemembered, options.Value.Checks.RelayRecipient.KeepTaken, time);

    private readonly KnownRecipients<SmtpReply> _refused = new(
        options.Value.Checks.RelayRecipient.MaxRemembered, options.Value.Checks.RelayRecipient.KeepRefused, time);

    private readonly Lock _listenLock = new();
    private Task<string>? _endpoint;

    private SemaphoreSlim Places { get; } = new(options.Value.Checks.RelayRecipient.MaxQuestions);

    /// <summary>What is known, or is known within the time that a client is kept waiting.</summary>
    /// <param name="domain">Its own: one that we relay for.</param>
    /// <param name="client">For whom: one network does not use up what may be asked about the domain. Null: nobody knows.</param>
    public async ValueTask<KnownRecipient> FindAsync(string address, string domain, IPAddress? client)
    {
        if (_taken.TryFind(address, out _, out var age))
        {
            if (age >= _options.RefreshTaken)
                Ask(address, domain, client);
            return new KnownRecipient(NextHopAnswer.Taken);
        }

        if (_refused.TryFind(address, out var refusal, out _))
            return new KnownRecipient(NextHopAnswer.Refused, refusal);
        if (Ask(address, domain, client) is not { } question)
            return new KnownRecipient(NextHopAnswer.Away);
        using var patience = new CancellationTokenSource(_options.MaxWait, time);
        try
        {
            return await question.Ended.Task.WaitAsync(patience.Token);
        }
        catch (OperationCanceledException)
        {
            // One that waits for its turn says nothing of the hop.
            if (question.IsSent && question.IsFirstLate())
                DomainOf(domain).WasLate(time);
            return new KnownRecipient(NextHopAnswer.Away);
        }
    }

    /// <summary>The question about the address that is under way, or a new one; null where none may be asked now.</summary>
    private Question? Ask(string address, string domain, IPAddress? client)
    {
        if (_open.TryGetValue(address, out var open))
            return open;
        var asked = DomainOf(domain);
        var network = client is null ? default : ClientNetworks.NetworkOf(client, options.Value.PrefixIPv6);
        if (!asked.MayBegin(_options.MaxQuestionsPerMinute, network, time))
        {
            telemetry.RecipientAsked("not_asked");
            return null;
        }

        var question = new Question();
        if (!_open.TryAdd(address, question))
            return _open.GetValueOrDefault(address);
        _ = RunAsync(address, asked, question);
        return question;
    }

    private AskedDomain DomainOf(string domain) => _domains.GetOrAdd(domain, _ => new AskedDomain(_options.MaxQuestionsPerDomain));

    /// <summary>From its turn to its answer, or its end. Never throws.</summary>
    private async Task RunAsync(string address, AskedDomain domain, Question question)
    {
        var (answer, status) = (NextHopAnswer.Away, "");
        try
        {
            using var end = new CancellationTokenSource(LongestQuestion, time);
            await domain.Places.WaitAsync(end.Token);
            try
            {
                await Places.WaitAsync(end.Token);
                try
                {
                    // The hop may have fallen silent since it was asked to wait: its questions leave the place to those of others.
                    if (domain.IsLeftAlone(time))
                        throw new OperationCanceledException();
                    var endpoint = await ListenAsync().WaitAsync(end.Token);
                    question.IsSent = true;
                    await bus.SendAsync(BusEndpoints.VerifyRecipient, new VerifyRecipient(address, endpoint), LongestQuestion, end.Token);
                    (answer, status) = await question.Answered.Task.WaitAsync(end.Token);
                }
                finally
                {
                    Places.Release();
                }
            }
            finally
            {
                domain.Places.Release();
            }
        }
        catch (OperationCanceledException)
        {
            // Nobody has answered.
        }
        catch (BusUnavailableException away)
        {
            LogNotAsked(log, LogText.Address(address), away);
        }
#pragma warning disable CA1031 // The boundary of a question: whoever waits hears that nothing is known.
        catch (Exception bug)
#pragma warning restore CA1031
        {
            LogNotAsked(log, LogText.Address(address), bug);
        }

        var known = question.IsSent ? Note(address, domain, question, answer, status) : new KnownRecipient(NextHopAnswer.Away);
        _open.TryRemove(address, out _);
        question.Ended.TrySetResult(known);
    }

    /// <param name="status">Of a refusal, as it was said: text of another host's.</param>
    private KnownRecipient Note(string address, AskedDomain domain, Question question, NextHopAnswer answer, string status)
    {
        telemetry.RecipientAsked(answer switch
        {
            NextHopAnswer.Taken => "taken",
            NextHopAnswer.Refused => "refused",
            NextHopAnswer.PutOff => "put_off",
            _ => "none",
        });
        if (answer == NextHopAnswer.Away)
        {
            // One that a client has waited for in vain is counted already.
            if (!question.IsLate)
                domain.LeaveAlone(time);
            return new KnownRecipient(NextHopAnswer.Away);
        }

        domain.HasAnswered();
        if (answer == NextHopAnswer.Taken)
        {
            _refused.Remove(address);
            _taken.Add(address, true);
            return new KnownRecipient(NextHopAnswer.Taken);
        }

        // It may take him another time: what it said before stands as long as it would have.
        if (answer != NextHopAnswer.Refused)
            return new KnownRecipient(NextHopAnswer.PutOff);
        var refusal = EnhancedStatus.TryParse(status, out var enhanced) && enhanced is { Class: 5, Subject: not 0 }
            ? new SmtpReply(550, enhanced, Replies.C550NextHopRefuses.Lines) : Replies.C550NextHopRefuses;
        _taken.Remove(address);
        _refused.Add(address, refusal);
        return new KnownRecipient(NextHopAnswer.Refused, refusal);
    }

    /// <summary>The endpoint for answers: there from the first question on, so that who asks nothing has none.</summary>
    private Task<string> ListenAsync()
    {
        lock (_listenLock)
        {
            if (_endpoint is not { IsFaulted: false, IsCanceled: false })
                _endpoint = answers.ListenAsync<RecipientVerified>(Take);
            return _endpoint;
        }
    }

    private void Take(RecipientVerified answer)
    {
        if (_open.TryGetValue(answer.Address, out var question))
            question.Answered.TrySetResult((AnswerOf(answer.Answer), answer.Status));
    }

    /// <summary>What a later version says and this one does not know is an answer that decides nothing.</summary>
    private static NextHopAnswer AnswerOf(RecipientAnswer answer) => answer switch
    {
        RecipientAnswer.Away => NextHopAnswer.Away,
        RecipientAnswer.Taken => NextHopAnswer.Taken,
        RecipientAnswer.Refused => NextHopAnswer.Refused,
        _ => NextHopAnswer.PutOff,
    };

    private sealed class Question
    {
        private int _isLate;

        public TaskCompletionSource<(NextHopAnswer Answer, string Status)> Answered { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        /// <summary>It has had its turn.</summary>
        public bool IsSent { get; set; }

        /// <summary>A client has waited for its answer in vain.</summary>
        public bool IsLate => Volatile.Read(ref _isLate) != 0;

        /// <summary>True once, however many wait for it in vain.</summary>
        public bool IsFirstLate() => Interlocked.Exchange(ref _isLate, 1) == 0;

        public TaskCompletionSource<KnownRecipient> Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>A domain that is asked about: its places, and how much it was asked lately.</summary>
    private sealed class AskedDomain(int places)
    {
        private readonly Lock _lock = new();
        private readonly Dictionary<IPNetwork, int> _ofNetworks = [];
        private long? _minuteBegan;
        private int _questions;
        private long? _leftAloneSince;
        private int _late;

        public SemaphoreSlim Places { get; } = new(places);

        /// <param name="network">Of whoever wants to know.</param>
        public bool MayBegin(int mostPerMinute, IPNetwork network, TimeProvider time)
        {
            lock (_lock)
            {
                if (IsLeftAlone(time))
                    return false;
                if (_minuteBegan is not { } began || time.GetElapsedTime(began) >= s_minute)
                {
                    (_minuteBegan, _questions) = (time.GetTimestamp(), 0);
                    _ofNetworks.Clear();
                }

                // As many networks as questions, at most.
                var ofNetwork = _ofNetworks.GetValueOrDefault(network);
                if (_questions >= mostPerMinute || ofNetwork >= Math.Max(LeastShare, mostPerMinute / 4))
                    return false;
                _ofNetworks[network] = ofNetwork + 1;
                _questions++;
                return true;
            }
        }

        public bool IsLeftAlone(TimeProvider time)
        {
            lock (_lock)
                return _leftAloneSince is { } since && time.GetElapsedTime(since) < LeftAlone;
        }

        public void LeaveAlone(TimeProvider time)
        {
            lock (_lock)
                _leftAloneSince = time.GetTimestamp();
        }

        /// <summary>A client has waited in vain for an answer, which may come yet.</summary>
        public void WasLate(TimeProvider time)
        {
            lock (_lock)
            {
                // Once it says nothing, the next one that is late is enough.
                if (++_late >= LateInARow)
                    _leftAloneSince = time.GetTimestamp();
            }
        }

        public void HasAnswered()
        {
            lock (_lock)
                (_leftAloneSince, _late) = (null, 0);
        }
    }

    [LoggerMessage(1034, LogLevel.Warning, "verify=<{Recipient}> could not be asked about")]
    private static partial void LogNotAsked(ILogger log, string recipient, Exception exception);
}
