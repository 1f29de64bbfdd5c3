using System.Buffers;
using System.Text.Json;
using System.Threading.Channels;

namespace MailPipeline.Testing;

/// <summary>
/// An append-only file of <see cref="LedgerRecord"/> lines (JSON). <see cref="AppendAsync"/> returns when the line is
/// synced; everybody who waits at the same time shares one sync, so that thousands of messages cost few of them.
/// </summary>
public sealed class LedgerFile : IAsyncDisposable
{
    private readonly Channel<Pending> _queue = Channel.CreateUnbounded<Pending>(new() { SingleReader = true });
    private readonly FileStream _file;
    private readonly Task _writing;

    public LedgerFile(string path)
    {
        Path = path;
        _file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, bufferSize: 0);
        _writing = Task.Run(WriteAsync);
    }

    public string Path { get; }

    /// <summary>Number of syncs so far; for judging how well they are shared.</summary>
    public int Syncs { get; private set; }

    /// <summary>Adds a line; done when it is on disk.</summary>
    public Task AppendAsync(LedgerRecord record)
    {
        var pending = new Pending(
            JsonSerializer.SerializeToUtf8Bytes(record), new(TaskCreationOptions.RunContinuationsAsynchronously));
        ObjectDisposedException.ThrowIf(!_queue.Writer.TryWrite(pending), this);
        return pending.Done.Task;
    }

    /// <summary>All lines of a ledger in the order in which they were synced. A torn last line is left out.</summary>
    public static async Task<IReadOnlyList<LedgerRecord>> ReadAsync(string path, CancellationToken cancellation = default)
    {
        await using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        using var reader = new StreamReader(file);
        var text = await reader.ReadToEndAsync(cancellation);
        var whole = text[..(text.LastIndexOf('\n') + 1)];
        return [.. whole.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<LedgerRecord>(line)!)];
    }

    /// <summary>The records of this ledger so far.</summary>
    public Task<IReadOnlyList<LedgerRecord>> ReadAsync(CancellationToken cancellation = default) => ReadAsync(Path, cancellation);

    public async ValueTask DisposeAsync()
    {
        _queue.Writer.TryComplete();
        await _writing;
        await _file.DisposeAsync();
    }

    private async Task WriteAsync()
    {
        var batch = new List<TaskCompletionSource>();
        var bytes = new ArrayBufferWriter<byte>();
        while (await _queue.Reader.WaitToReadAsync())
        {
            while (_queue.Reader.TryRead(out var pending))
            {
                bytes.Write(pending.Line);
                bytes.Write("\n"u8);
                batch.Add(pending.Done);
            }
            try
            {
                _file.Write(bytes.WrittenSpan);
                _file.Flush(flushToDisk: true);
                Syncs++;
                batch.ForEach(done => done.SetResult());
            }
            catch (IOException e)
            {
                batch.ForEach(done => done.SetException(e));
            }
            batch.Clear();
            bytes.ResetWrittenCount();
        }
    }

    private readonly record struct Pending(byte[] Line, TaskCompletionSource Done);
}
