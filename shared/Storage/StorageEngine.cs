using System.Data.Common;

namespace MailPipeline.Storage;

/// <summary>
/// One of the two databases. It runs statements; what they say and in which order they run is decided by the stores, the
/// same for both.
/// </summary>
internal abstract class StorageEngine : IAsyncDisposable
{
    public abstract SqlDialect Dialect { get; }

    /// <summary>True when only this process may work on the data, so that claims found at start belong to the dead.</summary>
    public abstract bool SingleProcess { get; }

    /// <summary>Content of a message up to this size travels with the transaction that accepts it; larger content is spilled before.</summary>
    public abstract int MaxInlineBytes { get; }

    /// <summary>Connects and applies migrations under a lock.</summary>
    public abstract Task OpenAsync(Migrations migrations, CancellationToken cancellationToken);

    /// <summary>Runs the works in one transaction and commits. Called by one thread at a time.</summary>
    /// <exception cref="Exception">Nothing was committed, unless <see cref="Classify"/> says that it is unknown.</exception>
    public abstract void RunTransaction(ReadOnlySpan<WriteWork> works);

    /// <summary>Reads rows outside of any transaction of the writer.</summary>
    public abstract Task<List<T>> QueryAsync<T>(
        Statement statement, Func<DbDataReader, T> map, SqlValue[] values, CancellationToken cancellationToken);

    /// <summary>Announces that bytes of one message will be spilled; what is spilled stays until <see cref="EndSpill"/>.</summary>
    public virtual long BeginSpill() => 0;

    /// <summary>The message is accepted or discarded.</summary>
    public virtual void EndSpill(long spill)
    {
    }

    /// <summary>Keeps bytes of a message that is not accepted yet, out of memory.</summary>
    public abstract ValueTask<ContentChunk> SpillAsync(long chunkId, byte[] bytes, int length, CancellationToken cancellationToken);

    /// <summary>Takes back chunks of a message that will not be accepted.</summary>
    public abstract ValueTask DiscardAsync(IReadOnlyList<ContentChunk> chunks);

    /// <summary>Reads a chunk whose row names a place outside of the database into the front of the buffer.</summary>
    public abstract ValueTask ReadSegmentAsync(ContentChunk chunk, Memory<byte> buffer, CancellationToken cancellationToken);

    /// <summary>
    /// Looks how much of the room for mail is used up, for engines that would otherwise have to ask another machine for every message.
    /// </summary>
    /// <returns>1 or more: there is none left. 0 where no bound is set or nothing is measured.</returns>
    public virtual Task<double> MeasureRoomAsync(CancellationToken cancellationToken) => Task.FromResult(0.0);

    /// <summary>Throws when there is no room for new mail.</summary>
    public virtual void EnsureRoom()
    {
    }

    /// <summary>Gives back space of removed content. Returns the bytes given back.</summary>
    public virtual Task<long> ReclaimAsync(GroupCommitWriter writer, CancellationToken cancellationToken) => Task.FromResult(0L);

    /// <summary>What an exception of the driver means to the callers; null when it is a bug, not the store's state.</summary>
    public abstract StorageUnavailableException? Classify(Exception exception);

    /// <summary>
    /// The fault lies in what one of the callers asked for, so that the others of a shared transaction get it done without him. A store that
    /// is away is nobody's fault, and is not asked again for each of them.
    /// </summary>
    public virtual bool IsOfOneCaller(Exception exception) => Classify(exception) is null or { Fault: StorageFault.Refused };

    public abstract ValueTask DisposeAsync();
}

/// <summary>
/// The statements of one transaction. On SQLite every call completes at once; on PostgreSQL the calls of all works that
/// wait are sent together in one round trip. So a work must await nothing but these calls.
/// </summary>
internal interface IWriteTransaction
{
    /// <summary>Returns the number of rows changed.</summary>
    ValueTask<int> ExecuteAsync(Statement statement, params ReadOnlySpan<SqlValue> values);

    ValueTask<List<T>> QueryAsync<T>(Statement statement, Func<DbDataReader, T> map, params ReadOnlySpan<SqlValue> values);

    /// <summary>
    /// A statement whose answer nobody needs. On PostgreSQL it runs when all works have ended, in the order of <see cref="SharedRows"/>, and
    /// travels with the commit. So no other statement of the transaction may need what it changes.
    /// </summary>
    void ExecuteLast(Statement statement, params ReadOnlySpan<SqlValue> values);

    /// <summary>Makes bytes that lie outside of the database durable before the transaction that names them.</summary>
    void RequireDurable(ContentChunk chunk);
}

/// <summary>One caller's share of a transaction.</summary>
internal abstract class WriteWork
{
    /// <summary>May run again from the start when the shared transaction failed because of another caller.</summary>
    public abstract ValueTask RunAsync(IWriteTransaction transaction);

    public abstract void Complete();

    public abstract void Fail(Exception exception);
}

internal sealed class WriteWork<T>(Func<IWriteTransaction, ValueTask<T>> run) : WriteWork
{
    private readonly TaskCompletionSource<T> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private T? _result;

    public Task<T> Task => _done.Task;

    public override async ValueTask RunAsync(IWriteTransaction transaction) => _result = await run(transaction);

    public override void Complete() => _done.TrySetResult(_result!);

    public override void Fail(Exception exception) => _done.TrySetException(exception);
}
