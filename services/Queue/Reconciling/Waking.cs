using MailPipeline.Mail;


namespace MailPipeline.Queue.Reconciling;

/// <summary>
/// Wakes the queues of domains that have something due: in rounds that are bounded in time, each of which goes on where the last one
/// stopped, so that queues that take long to wake hold up a round and not the others.
/// </summary>
/// <param name="list">Due domains behind the given one, at most so many.</param>
/// <param name="wake">True: the queue found something to hand out.</param>
internal sealed class Waking(Func<DueDomain, int, Task<IReadOnlyList<DueDomain>>> list, Func<DueDomain, Task<bool>> wake, TimeProvider time)
{
    internal const int Page = 500;

    /// <summary>Grain calls from a grain stay on its scheduler: a bounded number at a time.</summary>
    internal const int AtOnce = 64;

    /// <summary>After this time no further part of a round is begun; each has at least one, however long the list takes.</summary>
    private static readonly TimeSpan s_roundTime = TimeSpan.FromSeconds(3);

    private static readonly DueDomain s_first = new("", DateTimeOffset.UnixEpoch);

    private DueDomain _after = s_first;

    /// <summary>False: nothing that was woken had anything to do, or there was nothing to wake.</summary>
    public async Task<bool> RoundAsync()
    {
        var started = time.GetTimestamp();
        var useful = false;
        while (true)
        {
            var domains = await list(_after, Page);
            foreach (var part in domains.Chunk(AtOnce))
            {
                useful |= (await Task.WhenAll(part.Select(wake))).Contains(true);
                _after = part[^1];
                if (time.GetElapsedTime(started) >= s_roundTime)
                    return useful;
            }
            if (domains.Count < Page)
            {
                _after = s_first;
                return useful;
            }
        }
    }
}
