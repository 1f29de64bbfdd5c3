namespace MailPipeline.Queue.Domains;

/// <summary>
/// Asks storage which overdue batches somebody holds a claim for: one question for all domains of the process that ask within a moment.
/// </summary>
/// <param name="ask">Of these batches the ones that somebody holds a claim for.</param>
internal sealed class OverdueBatches(Func<IReadOnlyCollection<long>, Task<IReadOnlySet<long>>> ask, TimeProvider time)
{
    private const int Most = 1000;

    private static readonly TimeSpan s_moment = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private List<long> _asked = [];
    private Task<IReadOnlySet<long>>? _answer;

    /// <returns>Those that somebody holds, and perhaps others that were not asked for.</returns>
    public Task<IReadOnlySet<long>> FindHeldAsync(IEnumerable<long> batchIds)
    {
        lock (_lock)
        {
            _asked.AddRange(batchIds);
            // Not on the scheduler of the grain that happens to ask first.
            return _answer ??= Task.Run(AskAsync);
        }
    }

    private async Task<IReadOnlySet<long>> AskAsync()
    {
        await Task.Delay(s_moment, time);
        List<long> asked;
        lock (_lock)
        {
            (asked, _asked) = (_asked, []);
            _answer = null;
        }
        var held = new HashSet<long>();
        foreach (var batchIds in asked.Chunk(Most))
            held.UnionWith(await ask(batchIds));
        return held;
    }
}
