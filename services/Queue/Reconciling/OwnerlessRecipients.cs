using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Frees recipients that wait under a claim that is not there, says so and counts them. Nothing writes that: where one is found, some part
/// of the pipeline has a fault, and an operator is to learn of it.
/// </summary>
internal sealed partial class OwnerlessRecipients(
    OwnerlessStore store, QueueTelemetry telemetry, TimeProvider time, ILogger<OwnerlessRecipients> log) : IDuty
{
    private const int DomainsAtOnce = 100;

    /// <summary>Of one round; the next one goes on behind them.</summary>
    private const int MostDomains = 2000;

    /// <summary>Lines of one round.</summary>
    private const int MostNamed = 100;

    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    private string _after = "";

    public string Name => "free";

    public DutyPace Pace => new(s_interval);

    public async Task<bool> RoundAsync()
    {
        var found = 0;
        for (var domains = 0; domains < MostDomains; domains += DomainsAtOnce)
        {
            // Whoever has just become due is being handed out.
            var (freed, last) = await store.FreeAsync(_after, DomainsAtOnce, time.GetUtcNow() - s_interval, CancellationToken.None);
            telemetry.Ownerless(freed.Count);
            foreach (var recipient in freed.Take(MostNamed - Math.Min(found, MostNamed)))
                LogFreed(log, MessageIds.ToText(RecipientIds.MessageId(recipient.RecipientId)), LogText.Address(recipient.Address), recipient.ClaimId);
            found += freed.Count;
            _after = last ?? "";
            if (last is null)
                break;
        }
        if (found > MostNamed)
            LogMore(log, found - MostNamed);
        return found > 0;
    }

    [LoggerMessage(2066, LogLevel.Error, "message={MessageId} to=<{Recipient}> waited under claim {ClaimId}, which is not there: a fault; it is due again")]
    private static partial void LogFreed(ILogger log, string messageId, string recipient, long claimId);

    [LoggerMessage(2067, LogLevel.Error, "Under claims that are not there waited {Count} recipients more, not shown one by one; they are due again")]
    private static partial void LogMore(ILogger log, int count);
}
