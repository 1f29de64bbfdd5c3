using System.Security.Cryptography;
using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Queue.Reports;

/// <summary>
/// When domains are told of a day: once it is over by UTC, at a time of the next one that is the domain's own, so that reports are not sent by all the world
/// at midnight (RFC 8460 §5). What could not be told for two days more is forgotten.
/// </summary>
internal sealed class ReportCalendar(TimeProvider time)
{
    private const int MostDomains = 500;

    private const int DomainsAtOnce = 16;

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
        var due = (await results.ListBeforeAsync(today, MostDomains, cancellationToken)).Where(one => now >= EndOf(one.Day) + PauseOf(one.Domain));
        // Hosts that do not answer hold up few others.
        foreach (var some in due.Chunk(DomainsAtOnce))
            isUseful |= (await Task.WhenAll(some.Select(one => reportAsync(one.Day, one.Domain)))).Contains(true);
        return isUseful;
    }

    /// <summary>What DNS does not say of the domain now may be said in a later round; else who can be told is to be told without it.</summary>
    public bool MayWait(long day) => time.GetUtcNow() < EndOf(day) + (s_patience / 2);

    private static DateTimeOffset EndOf(long day) => DateTimeOffset.FromUnixTimeSeconds((day + 1) * DomainReportHead.SecondsOfDay);

    /// <summary>The same for a domain each day, and spread over all of them.</summary>
    private static TimeSpan PauseOf(string domain) => s_spread * (SHA256.HashData(Encoding.UTF8.GetBytes(domain))[0] / 256.0);
}
