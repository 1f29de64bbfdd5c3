using Microsoft.Extensions.Options;
using Orleans.Concurrency;

namespace MailPipeline.Queue;

/// <summary>One for the cluster, key 0. Calls come from every silo; those that come too early do nothing.</summary>
internal interface IReporterGrain : IGrainWithIntegerKey
{
    [AlwaysInterleave]
    Task ReportDueAsync();
}

/// <summary>Reports, round by round, what was recorded as failed in whatever process.</summary>
internal sealed class ReporterGrain(FailureReports reports, IOptions<QueueOptions> options, TimeProvider time) : Grain, IReporterGrain
{
    /// <summary>Of the time, for rounds that found nothing.</summary>
    private const double LookingShare = 0.1;

    private readonly Round _round = new(options.Value.ReconcileInterval, time, LookingShare);

    public Task ReportDueAsync() => _round.RunAsync(() => reports.ReportDueAsync(CancellationToken.None));
}
