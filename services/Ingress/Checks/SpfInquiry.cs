using MailPipeline.Authentication;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// SPF of one transaction, under way since MAIL and beside DATA: of the sender and of the greeting (RFC 7208 §2.3, §2.4). Who begins another
/// transaction ends it.
/// </summary>
/// <param name="dns">For all that is asked about the message.</param>
internal sealed class SpfInquiry(BoundedDns dns, TimeSpan maxTime, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(maxTime, time);
    private readonly SpfCheck _check = new(dns);
    private CancellationTokenSource? _wait;
    private (SpfQuestion Question, Task<SpfResult> Answer) _mailFrom;
    private (SpfQuestion Question, Task<SpfResult> Answer) _helo;

    public BoundedDns Dns => dns;

    /// <summary>The client waits, behind the final dot, for all that is asked about the message: from the first call on, until the bound.</summary>
    public CancellationToken Wait() => (_wait ??= new CancellationTokenSource(maxTime, time)).Token;

    /// <param name="mailFrom">About the sender; without one, about postmaster at the greeting.</param>
    /// <param name="helo">About the greeting.</param>
    /// <param name="hasSender">Else both are the same question.</param>
    public void Begin(SpfQuestion mailFrom, SpfQuestion helo, bool hasSender)
    {
        _helo = (helo, _check.CheckAsync(helo, null, _deadline.Token));
        _mailFrom = (mailFrom, hasSender ? _check.CheckAsync(mailFrom, null, _deadline.Token) : _helo.Answer);
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
