using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Queue.Reconciling;

/// <summary>Forgets finished messages that are older than operators want to see, and gives their space back.</summary>
internal sealed class Housekeeping(MessageHistory history, IOptions<QueueOptions> options, TimeProvider time) : IDuty
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMinutes(1);

    public string Name => "clean_up";

    public DutyPace Pace => new(s_interval);

    public async Task<bool> RoundAsync()
    {
        await history.ForgetAsync(time.GetUtcNow() - options.Value.HistoryRetention, CancellationToken.None);
        await history.ReclaimSpaceAsync(CancellationToken.None);
        return true;
    }
}
