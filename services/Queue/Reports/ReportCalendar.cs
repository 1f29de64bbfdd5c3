using System.Security.Cryptography;
using System.Text;
using MailPipeline.Mail;
using MailPipeline.Storage;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// When domains are told of a day: once it is over by UTC, at a time of the next one that is the domain's own, so that reports are not sent by all the world
/// at midnight (RFC 8460 §5). What could not be told for two days more is forgotten. A domain that cannot be told holds up no other.
/// </summary>
internal sealed partial class ReportCalendar(TimeProvider time, ILogger<ReportCalendar> log)
{
    internal const int DomainsOfPage = 500;

    private const int DomainsAtOnce = 16;

    /// <summary>Counts of the last minutes of a day arrive by then from every process, and a day is told once with all of them.</summary>
    internal static readonly TimeSpan LeastPause = 2 * ResultCounter<DmarcResultKey>.Interval;

    private static readonly TimeSpan s_spread = TimeSpan.FromHours(4);

    private static readonly TimeSpan s_patience = TimeSpan.FromDays(2);

    /// <summary>False: nothing was reported.</summary>
    /// <param name="reportAsync">Tells a domain of a day; false: there was nothing to be done now.</param>
    public async Task<bool> ReportDueAsync(DailyResultStore results, Func<long, string, Task<bool>> reportAsync, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var today = now.ToUnixTimeSeconds() / DomainReportHead.SecondsOfDay;
        await results.ForgetBeforeAsync(today - 1 - (long)s_patience.TotalDays);
        var isUseful = false;
        (long Day, string Domain)? last = null;
        List<(long Day, string Domain)> page;
        do
        {
            page = await results.ListBeforeAsync(today, last, DomainsOfPage, cancellationToken);
            // Hosts that do not answer hold up few others.
            foreach (var some in page.Where(one => now >= EndOf(one.Day) + PauseOf(one.Domain)).Chunk(DomainsAtOnce))
                isUseful |= (await Task.WhenAll(some.Select(one => TryAsync(one.Day, one.Domain, reportAsync)))).Contains(true);
            last = page.LastOrDefault();
        }
        while (page.Count == DomainsOfPage);
        return isUseful;
    }

    /// <summary>What DNS does not say of the domain now may be said in a later round; else who can be told is to be told without it.</summary>
    public bool MayWait(long day) => time.GetUtcNow() < EndOf(day) + (s_patience / 2);

    /// <summary>From the end of a day until the domain is told: the same for a domain each day, and spread over all of them.</summary>
    internal static TimeSpan PauseOf(string domain) => LeastPause + (s_spread * (SHA256.HashData(Encoding.UTF8.GetBytes(domain))[0] / 256.0));

    private async Task<bool> TryAsync(long day, string domain, Func<long, string, Task<bool>> reportAsync)
    {
        try
        {
            return await reportAsync(day, domain);
        }
        catch (Exception failure) when (failure is not (OperationCanceledException or StorageUnavailableException { Fault: not StorageFault.Refused }))
        {
            LogNotReported(log, domain, failure);
            return false;
        }
    }

    private static DateTimeOffset EndOf(long day) => DateTimeOffset.FromUnixTimeSeconds((day + 1) * DomainReportHead.SecondsOfDay);

    [LoggerMessage(2117, LogLevel.Error, "{Domain}: its report could not be made; the next round tries again")]
    private static partial void LogNotReported(ILogger log, string domain, Exception exception);
}
