using System.Runtime.InteropServices;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Storage;

/// <summary>
/// The only way into the store. Callers await; one thread takes all that are waiting and carries them in one transaction,
/// so that a sync of the disk is shared by everybody who came while the last one was under way. A caller whose statements
/// fail does not spoil the others: the batch is rolled back and everybody runs alone.
/// </summary>
internal sealed partial class GroupCommitWriter : IDisposable
{
    private readonly StorageEngine _engine;
    private readonly int _maxBatch;
    private readonly StorageTelemetry _telemetry;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _arrived = new(0);
    private readonly Thread _thread;
    private List<WriteWork> _waiting = [];
    private List<WriteWork> _taken = [];
    private bool _signalled;
    private bool _closed;

    // Of the writing thread alone.
    private Outage? _outage;

    public GroupCommitWriter(
        StorageEngine engine, int maxBatch, StorageTelemetry telemetry, TimeProvider time, ILogger log)
    {
        _engine = engine;
        _maxBatch = maxBatch;
        _telemetry = telemetry;
        _time = time;
        _log = log;
        _thread = new Thread(Loop) { IsBackground = true, Name = "mail storage writer" };
        _thread.Start();
    }

    /// <exception cref="StorageUnavailableException">Nothing was written, or it is unknown whether it was.</exception>
    public Task<T> WriteAsync<T>(Func<IWriteTransaction, ValueTask<T>> run)
    {
        var work = new WriteWork<T>(run);
        lock (_gate)
        {
            if (_closed)
                return Task.FromException<T>(new StorageUnavailableException(StorageFault.Unavailable, "The store is closed."));
            _waiting.Add(work);
            if (_signalled)
                return work.Task;
            _signalled = true;
        }
        _arrived.Release();
        return work.Task;
    }

    /// <summary>Writes what waits, then ends.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_closed)
                return;
            _closed = true;
        }
        _arrived.Release();
        _thread.Join();
        _arrived.Dispose();
    }

    private void Loop()
    {
        while (true)
        {
            _arrived.Wait();
            bool closed;
            lock (_gate)
            {
                (_waiting, _taken) = (_taken, _waiting);
                _signalled = false;
                closed = _closed;
            }
            var works = CollectionsMarshal.AsSpan(_taken);
            for (var start = 0; start < works.Length; start += _maxBatch)
                Commit(works.Slice(start, Math.Min(_maxBatch, works.Length - start)));
            _taken.Clear();
            if (closed)
                return;
        }
    }

    private void Commit(ReadOnlySpan<WriteWork> works)
    {
        var started = _time.GetTimestamp();
        try
        {
            _engine.RunTransaction(works);
        }
        catch (Exception exception) when (works.Length > 1 && _engine.IsOfOneCaller(exception))
        {
            LogBatchSplit(_log, works.Length, exception);
            foreach (var work in works)
                Commit([work]);
            return;
        }
        catch (Exception exception)
        {
            var fault = _engine.Classify(exception);
            _telemetry.CommitFailed(fault?.Fault);
            NoteFailed(works.Length, fault?.Fault, exception);
            foreach (var work in works)
                work.Fail(fault is null ? exception : fault);
            return;
        }
        _telemetry.Committed(works.Length, _time.GetElapsedTime(started));
        NoteCommitted();
        foreach (var work in works)
            work.Complete();
    }

    /// <summary>While the store is away every transaction fails the same way: the first is written, and what follows counted.</summary>
    private void NoteFailed(int callers, StorageFault? fault, Exception exception)
    {
        if (fault is null or StorageFault.Refused)
        {
            LogCommitFailed(_log, callers, exception);
            return;
        }
        if (_outage?.Fault != fault)
            LogCommitFailed(_log, callers, exception);
        _outage = _outage is { } outage
            ? outage with { Fault = fault.Value, Transactions = outage.Transactions + 1 }
            : new Outage(fault.Value, 1, _time.GetTimestamp());
    }

    private void NoteCommitted()
    {
        if (_outage is not { } outage)
            return;
        _outage = null;
        LogCommitsAgain(_log, outage.Transactions, (long)_time.GetElapsedTime(outage.Since).TotalSeconds);
    }

    /// <param name="Fault">Of the transaction that failed last.</param>
    /// <param name="Transactions">How many failed since the store committed last.</param>
    private readonly record struct Outage(StorageFault Fault, long Transactions, long Since);

    [LoggerMessage(5001, LogLevel.Warning, "A transaction of {Count} callers failed; each runs alone")]
    private static partial void LogBatchSplit(ILogger log, int count, Exception exception);

    [LoggerMessage(5002, LogLevel.Error, "A transaction of {Count} callers failed")]
    private static partial void LogCommitFailed(ILogger log, int count, Exception exception);

    [LoggerMessage(5003, LogLevel.Warning, "The store commits again: {Count} transactions failed within {Seconds} s, of which the first is shown")]
    private static partial void LogCommitsAgain(ILogger log, long count, long seconds);
}
