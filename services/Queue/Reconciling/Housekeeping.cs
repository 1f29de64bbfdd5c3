using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Forgets finished messages that are older than operators want to see, failed logins, and what the door no longer knows, and gives their space back.
/// </summary>
internal sealed class Housekeeping(
    MessageHistory history, ReportStore reports, LoginFailureStore failures, GreylistStore greylist, BanStore bans, SuppressionStore suppressions, DmarcResultStore sent, DmarcReportStore received,
    IOptions<QueueOptions> options, TimeProvider time) : IDuty
{
    /// <summary>Reports of the last hour are counted for each sender; a clock that is wrong by as much does no harm.</summary>
    private static readonly TimeSpan s_reportsCount = TimeSpan.FromHours(2);

    /// <summary>
    /// Pieces of what the door no longer knows that are forgotten in one round, as many as greylisting keeps unless it is told otherwise: strangers
    /// add to it as fast as they like. The next round goes on.
    /// </summary>
    private const int MostPieces = 2000;

    /// <summary>Received reports that are forgotten in one round.</summary>
    private const int MostReports = 100;

    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    public string Name => "clean_up";

    public DutyPace Pace => new(s_interval);

    public async Task<bool> RoundAsync()
    {
        await history.ForgetAsync(time.GetUtcNow() - options.Value.HistoryRetention, CancellationToken.None);
        await reports.ForgetAsync(time.GetUtcNow() - s_reportsCount);
        await failures.ForgetOldAsync();
        await bans.ForgetAsync(CancellationToken.None);
        for (var piece = 0; piece < MostPieces && await suppressions.ForgetAsync(CancellationToken.None) == SuppressionStore.MostAtOnce; piece++)
        {
        }

        await sent.ForgetSentAsync(time.GetUtcNow() - options.Value.DmarcReports.Retention);
        await received.ForgetAsync(time.GetUtcNow() - options.Value.DmarcReports.Retention, MostReports, CancellationToken.None);
        for (var piece = 0; piece < MostPieces && GreylistStore.MayHaveMore(await greylist.ForgetAsync(CancellationToken.None)); piece++)
        {
        }

        await history.ReclaimSpaceAsync(CancellationToken.None);
        return true;
    }
}
