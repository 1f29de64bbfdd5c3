using Orleans.Clustering.Redis;

namespace MailPipeline.Queue;

/// <summary>
/// Looks for this silo's own row where silos find each other. While the table cannot be read the silo works on with those it
/// knows. A Redis that answers and does not have the row has lost it (emptied, or its volume is gone): no other silo would
/// find this one, nor see it die, and Orleans writes the row only as it joins. So the process ends as Orleans ends one that the others
/// have declared dead, at once, and joins when it is started again.
/// </summary>
internal sealed partial class MembershipWatch(
    IMembershipTable table, ILocalSiloDetails silo, QueueTelemetry telemetry, IFatalErrorHandler end, TimeProvider time,
    ILogger<MembershipWatch> log) : BackgroundService
{
    /// <summary>For as long a replica may have answered that is behind, or a table be on its way back.</summary>
    private const int MissesBeforeEnd = 5;

    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(3);

    private enum Row
    {
        Found,
        Missing,
        Unknown,
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var (misses, last) = (0, Row.Found);
        while (!stoppingToken.IsCancellationRequested)
        {
            var (row, failure) = await FindAsync(stoppingToken);
            telemetry.Member(row == Row.Found);
            if (row == Row.Unknown && last != Row.Unknown && !stoppingToken.IsCancellationRequested)
                LogAway(log, failure);
            misses = row == Row.Missing ? misses + 1 : 0;
            if (misses == MissesBeforeEnd)
            {
                // A stop in order would wait for the table.
                end.OnFatalException(this, "Redis has lost the row of this silo: the process ends, to join as a new one when it is started again", failure);
                return;
            }
            last = row;
            await Task.Delay(s_interval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<(Row Row, Exception? Failure)> FindAsync(CancellationToken cancellation)
    {
        try
        {
            var members = (await table.ReadAllAsync(cancellation)).Members;
            return (members.Any(member => member.Item1.SiloAddress.Equals(silo.SiloAddress)) ? Row.Found : Row.Missing, null);
        }
        catch (RedisClusteringException missing)
        {
            // Redis answered, and has no table at all.
            return (Row.Missing, missing);
        }
        catch (Exception away)
        {
            return (Row.Unknown, away);
        }
    }

    [LoggerMessage(2070, LogLevel.Warning, "Redis cannot be read; the queue goes on with the silos it knows")]
    private static partial void LogAway(ILogger log, Exception? exception);
}
