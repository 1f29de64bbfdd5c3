using MailPipeline.Authentication;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// SPF of one transaction, under way since MAIL and beside DATA: of the sender and of the greeting (RFC 7208 §2.3, §2.4). Who begins another
/// transaction ends it.
/// </summary>
/// <param name="dns">For all that is asked about the message.</param>
internal sealed class SpfInquiry(QuestionBudgets dns, TimeSpan maxTime, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(maxTime, time);
    private CancellationTokenSource? _wait;
    private (SpfQuestion Question, Task<SpfResult> Answer) _mailFrom;
    private (SpfQuestion Question, Task<SpfResult> Answer) _helo;

    public QuestionBudgets Dns => dns;

    /// <summary>The client waits, behind the final dot, for all that is asked about the message: from the first call on, until the bound.</summary>
    public CancellationToken Wait() => (_wait ??= new CancellationTokenSource(maxTime, time)).Token;

    /// <param name="mailFrom">About the sender; without one, about postmaster at the greeting.</param>
    /// <param name="helo">About the greeting.</param>
    /// <param name="hasSender">Else both are the same question.</param>
    public void Begin(SpfQuestion mailFrom, SpfQuestion helo, bool hasSender)
    {
        _helo = (helo, new SpfCheck(dns.Helo).CheckAsync(helo, null, _deadline.Token));
        _mailFrom = (mailFrom, hasSender ? new SpfCheck(dns.MailFrom).CheckAsync(mailFrom, null, _deadline.Token) : _helo.Answer);
    }

    public Task<SpfResult> MailFromAsync() => EndAsync(_mailFrom);

    public Task<SpfResult> HeloAsync() => EndAsync(_helo);

    private async Task<SpfResult> EndAsync((SpfQuestion Question, Task<SpfResult> Answer) asked)
    {
        try
        {
            return await asked.Answer.WaitAsync(Wait());
        }
        catch (OperationCanceledException)
        {
            return new SpfResult(AuthenticationStatus.TemporaryError, asked.Question.Identity, asked.Question.Domain) { Reason = "not found out in time", Limit = SpfLimit.Time };
        }
    }

    public void Dispose()
    {
        _deadline.Cancel();
        _deadline.Dispose();
        _wait?.Dispose();
    }
}

/// <summary>
/// DNS for one message, so many questions for each method: what a stranger's records or signatures cost is theirs, and never leaves too little for what
/// the author's domain asks for.
/// </summary>
internal sealed class QuestionBudgets(IDnsLookup dns, int maxQuestions)
{
    public BoundedDns MailFrom { get; } = new(dns, maxQuestions);

    public BoundedDns Helo { get; } = new(dns, maxQuestions);

    /// <summary>Keys of DKIM and ARC.</summary>
    public BoundedDns Keys { get; } = new(dns, maxQuestions);

    public BoundedDns Dmarc { get; } = new(dns, maxQuestions);

    /// <summary>One of them wanted to ask more: what is not known may be so by the message's own doing.</summary>
    public bool IsExhausted => MailFrom.IsExhausted || Helo.IsExhausted || Keys.IsExhausted || Dmarc.IsExhausted;
}
