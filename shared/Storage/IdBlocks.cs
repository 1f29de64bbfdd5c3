namespace MailPipeline.Storage;

/// <summary>
/// Ids that are unique for ever: each process takes blocks of them from the store and counts within its block. What is
/// left of a block when a process ends is never used.
/// </summary>
internal sealed class IdBlocks(GroupCommitWriter writer, string name, int blockSize)
{
    private static readonly Statement s_take = new("UPDATE id_blocks SET next = next + $2 WHERE name = $1 RETURNING next") { Locks = SharedRows.IdBlocks };

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _taking = new(1);
    private long _next;
    private long _end;

    public ValueTask<long> NextAsync(CancellationToken cancellationToken) =>
        TryNext(out var id) ? ValueTask.FromResult(id) : NextFromNewBlockAsync(cancellationToken);

    private bool TryNext(out long id)
    {
        lock (_gate)
        {
            id = _next;
            if (_next == _end)
                return false;
            _next++;
            return true;
        }
    }

    private async ValueTask<long> NextFromNewBlockAsync(CancellationToken cancellationToken)
    {
        await _taking.WaitAsync(cancellationToken);
        try
        {
            long id;
            while (!TryNext(out id))
            {
                var rows = await writer.WriteAsync(transaction => transaction.QueryAsync(s_take, r => r.GetInt64(0), name, blockSize));
                lock (_gate)
                    (_next, _end) = (rows[0] - blockSize, rows[0]);
            }
            return id;
        }
        finally
        {
            _taking.Release();
        }
    }
}
