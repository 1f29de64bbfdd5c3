namespace MailPipeline.Mail;

/// <summary>
/// Rows that are read by key at the same time: what comes while a question is under way goes with the next, one question for all of it.
/// Nobody waits for company, and a row that cannot be read fails nobody who asked for another.
/// </summary>
/// <param name="ask">The rows of these keys, each with its key; a key without a row is left out.</param>
internal sealed class JointReads<T>(Func<IEnumerable<long>, Task<List<(long Key, T Row)>>> ask)
    where T : class
{
    /// <summary>Rows of one question.</summary>
    public const int Most = 16;

    /// <summary>Questions under way: while one is answered the next is on its way.</summary>
    public const int AtOnce = 2;

    private readonly Lock _lock = new();
    private readonly Queue<(long Key, TaskCompletionSource<T?> Read)> _waiting = [];
    private int _underWay;

    /// <summary>Null: there is no such row.</summary>
    public Task<T?> ReadAsync(long key)
    {
        var read = new TaskCompletionSource<T?>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_lock)
        {
            _waiting.Enqueue((key, read));
            if (_underWay == AtOnce)
                return read.Task;
            _underWay++;
        }

        // Not on the scheduler of whoever happens to come first.
        _ = Task.Run(AskAsync);
        return read.Task;
    }

    private async Task AskAsync()
    {
        while (Next() is { } reads)
        {
            try
            {
                var rows = (await ask(reads.Keys)).ToDictionary(row => row.Key, row => row.Row);
                foreach (var (key, read) in reads)
                    read.SetResult(rows.GetValueOrDefault(key));
            }
#pragma warning disable CA1031 // Whatever it is, whoever asked is told what became of his own row.
            catch (Exception fault)
#pragma warning restore CA1031
            {
                if (reads.Count == 1)
                    reads.Values.First().SetException(fault);
                else
                    await Task.WhenAll(reads.Select(read => AskAloneAsync(read.Key, read.Value)));
            }
        }
    }

    private async Task AskAloneAsync(long key, TaskCompletionSource<T?> read)
    {
        try
        {
            read.SetResult(await ask([key]) is [var row] ? row.Row : null);
        }
#pragma warning disable CA1031 // Whatever it is, it is told to him who asked.
        catch (Exception fault)
#pragma warning restore CA1031
        {
            read.SetException(fault);
        }
    }

    /// <summary>What the next question is about. Whoever reads what another reads has a question of his own: a row is one reader's.</summary>
    private Dictionary<long, TaskCompletionSource<T?>>? Next()
    {
        lock (_lock)
        {
            if (_waiting.Count == 0)
            {
                _underWay--;
                return null;
            }

            var reads = new Dictionary<long, TaskCompletionSource<T?>>(Math.Min(_waiting.Count, Most));
            while (reads.Count < Most && _waiting.TryPeek(out var next) && reads.TryAdd(next.Key, next.Read))
                _waiting.Dequeue();
            return reads;
        }
    }
}
