using MailPipeline.Authentication;
using MailPipeline.Authentication.Spf;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// SPF of one transaction, under way since MAIL and beside DATA: of the sender and of the greeting (RFC 7208 §2.3, §2.4). Who begins another
/// transaction ends it.
/// </summary>
/// <param name="dns">For all that is asked about the message.</param>
internal sealed class SpfInquiry(BoundedDns dns, TimeSpan maxTime, TimeProvider time) : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(maxTime, time);

    public BoundedDns Dns => dns;

    /// <summary>Of the sender; without one, of postmaster at the greeting.</summary>
    public Task<SpfResult> MailFrom { get; private set; } = null!;

    public Task<SpfResult> Helo { get; private set; } = null!;

    public void Begin(SpfQuestion mailFrom, SpfQuestion helo, SmtpAddress? sender)
    {
        var check = new SpfCheck(dns);
        Helo = check.CheckAsync(helo, null, _deadline.Token);
        // Both are the same question then.
        MailFrom = sender is null ? Helo : check.CheckAsync(mailFrom, null, _deadline.Token);
    }

    public void Dispose()
    {
        _deadline.Cancel();
        _deadline.Dispose();
    }
}
