using System.Globalization;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MailPipeline.Storage.Sqlite;

/// <summary>
/// Append-only segment files for content that is too large for a row. Bytes are written as they arrive and synced once
/// for all messages of a commit, before the transaction that names them. A row in `chunks` is the only owner: what no row
/// names is garbage and goes with its segment, or when the segment is rewritten.
/// </summary>
internal sealed class ContentLog(string folder, long segmentBytes) : IDisposable
{
    /// <summary>A closed segment of which less than this share is still needed is rewritten.</summary>
    private const double WorthKeeping = 0.5;

    /// <summary>EINVAL: a file system that has nothing to sync for a folder.</summary>
    private const int CannotBeSynced = 22;

    /// <summary>Segments looked at in one round; the next round goes on behind them.</summary>
    private const int MostSegments = 256;

    // "segment > 0" is what the index says of its rows: SQLite does not conclude it from a parameter.
    internal static readonly Statement s_live = new(
        """
        SELECT segment, SUM(size_bytes) FROM chunks
        WHERE segment > 0 AND segment BETWEEN $1 AND $2 GROUP BY segment
        """);

    internal static readonly Statement s_chunksOf = new(
        "SELECT id, size_bytes, segment, position FROM chunks WHERE segment > 0 AND segment = $1 ORDER BY position LIMIT 64");

    private static readonly Statement s_move = new(
        "UPDATE chunks SET segment = $3, position = $4 WHERE id = $1 AND segment = $2");

    private readonly Lock _gate = new();
    private readonly Dictionary<long, Segment> _segments = [];
    private readonly SortedDictionary<long, int> _pins = [];
    private Segment? _current;
    private long _lastNumber;
    private long _lookedAt;
    private bool _opened;

    /// <summary>Writes the bytes to a place of their own. Durable only after <see cref="Sync"/>.</summary>
    public (long Segment, long Position) Append(ReadOnlySpan<byte> bytes)
    {
        Segment segment;
        long position;
        lock (_gate)
        {
            if (_current is null || _current.Broken || _current.End + bytes.Length > segmentBytes)
                _current = Create();
            segment = _current;
            position = segment.End;
            segment.End += bytes.Length;
        }
        try
        {
            RandomAccess.Write(segment.Handle, bytes, position);
        }
        finally
        {
            lock (_gate)
                segment.Dirty = true;
        }
        return (segment.Number, position);
    }

    /// <summary>Makes everything appended to the segment so far durable.</summary>
    /// <exception cref="StorageUnavailableException">
    /// The sync failed, now or earlier: the segment is given up, because the kernel may have dropped the pages that it
    /// could not write and a second sync would not tell.
    /// </exception>
    public void Sync(long number)
    {
        Segment segment;
        lock (_gate)
        {
            if (!_segments.TryGetValue(number, out segment!) || segment.Broken)
                throw new StorageUnavailableException(StorageFault.Unavailable, "The content's segment could not be synced.");
            if (!segment.Dirty)
                return;
            segment.Dirty = false;
        }
        try
        {
            RandomAccess.FlushToDisk(segment.Handle);
        }
        catch (IOException exception)
        {
            lock (_gate)
                segment.Broken = true;
            throw new StorageUnavailableException(StorageFault.Unavailable, "The content could not be synced to disk.", exception);
        }
    }

    /// <summary>Reads the chunk's bytes into the front of the buffer.</summary>
    public void Read(ContentChunk chunk, Span<byte> buffer)
    {
        SafeFileHandle handle;
        lock (_gate)
        {
            if (!_segments.TryGetValue(chunk.Segment, out var segment))
            {
                segment = new Segment(chunk.Segment, File.OpenHandle(PathOf(chunk.Segment), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete));
                _segments.Add(chunk.Segment, segment);
            }
            handle = segment.Handle;
        }
        var bytes = buffer[..chunk.SizeBytes];
        for (var done = 0; done < bytes.Length;)
        {
            var read = RandomAccess.Read(handle, bytes[done..], chunk.Position + done);
            if (read == 0)
                throw new EndOfStreamException($"Segment {chunk.Segment} ends before position {chunk.Position + chunk.SizeBytes}.");
            done += read;
        }
    }

    /// <summary>
    /// Deletes closed segments that no row names and moves what is left in those that are mostly garbage, as far as a round goes.
    /// Returns the bytes given back.
    /// </summary>
    public async Task<long> ReclaimAsync(StorageEngine engine, GroupCommitWriter writer, CancellationToken cancellationToken)
    {
        var closed = NextSegments();
        if (closed.Count == 0)
            return 0;
        var live = (await engine.QueryAsync(
            s_live, r => (Segment: r.GetInt64(0), Bytes: r.GetInt64(1)), [closed[0].Number, closed[^1].Number], cancellationToken))
            .ToDictionary(row => row.Segment, row => row.Bytes);
        var freed = 0L;
        foreach (var (number, size) in closed)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var needed = live.GetValueOrDefault(number);
            if (needed > size * WorthKeeping)
                continue;
            if (needed > 0)
                await MoveAsync(engine, writer, number, cancellationToken);
            Delete(number);
            freed += size - needed;
        }
        return freed;
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var segment in _segments.Values)
                segment.Handle.Dispose();
            _segments.Clear();
        }
    }

    private List<(long Number, long Size)> NextSegments()
    {
        var closed = ClosedSegments();
        var next = closed.FindAll(segment => segment.Number > _lookedAt);
        if (next.Count == 0)
            next = closed;
        if (next.Count > MostSegments)
            next.RemoveRange(MostSegments, next.Count - MostSegments);
        _lookedAt = next.Count > 0 && next[^1].Number < closed[^1].Number ? next[^1].Number : 0;
        return next;
    }

    private async Task MoveAsync(StorageEngine engine, GroupCommitWriter writer, long number, CancellationToken cancellationToken)
    {
        while (true)
        {
            var chunks = await engine.QueryAsync(
                s_chunksOf, r => new ContentChunk(r.GetInt64(0), r.GetInt32(1), null, r.GetInt64(2), r.GetInt64(3)), [number],
                cancellationToken);
            if (chunks.Count == 0)
                return;
            var moved = chunks.ConvertAll(chunk =>
            {
                var bytes = GC.AllocateUninitializedArray<byte>(chunk.SizeBytes);
                Read(chunk, bytes);
                var (segment, position) = Append(bytes);
                return chunk with { Segment = segment, Position = position };
            });
            await writer.WriteAsync(async transaction =>
            {
                foreach (var chunk in moved)
                {
                    transaction.RequireDurable(chunk);
                    await transaction.ExecuteAsync(s_move, chunk.Id, number, chunk.Segment, chunk.Position);
                }
                return true;
            });
        }
    }

    /// <summary>
    /// Segments nobody appends to any more. Those that hold bytes of a message still being received stay: their number is
    /// not below that of the oldest segment which such a message has begun in.
    /// </summary>
    private List<(long Number, long Size)> ClosedSegments()
    {
        lock (_gate)
        {
            if (!Directory.Exists(folder))
                return [];
            var pinned = _pins.Count == 0 ? long.MaxValue : _pins.First().Key;
            return Directory.EnumerateFiles(folder, "*.seg")
                .Select(path => (Number: long.Parse(Path.GetFileNameWithoutExtension(path), CultureInfo.InvariantCulture), Size: new FileInfo(path).Length))
                .Where(file => file.Number != _current?.Number && file.Number < pinned)
                .OrderBy(file => file.Number)
                .ToList();
        }
    }

    /// <summary>Keeps every segment from the current one on until <see cref="Unpin"/>: a message is being received into them.</summary>
    public long Pin()
    {
        lock (_gate)
        {
            _current ??= Create();
            _pins[_current.Number] = _pins.GetValueOrDefault(_current.Number) + 1;
            return _current.Number;
        }
    }

    public void Unpin(long number)
    {
        lock (_gate)
        {
            if (--_pins[number] == 0)
                _pins.Remove(number);
        }
    }

    private void Delete(long number)
    {
        lock (_gate)
        {
            if (_segments.Remove(number, out var segment))
                segment.Handle.Dispose();
            File.Delete(PathOf(number));
        }
    }

    private Segment Create()
    {
        if (!_opened)
        {
            if (OperatingSystem.IsWindows())
                Directory.CreateDirectory(folder);
            else
                Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            SyncFolder(Path.GetDirectoryName(folder)!);
            _lastNumber = Directory.EnumerateFiles(folder, "*.seg")
                .Select(path => long.Parse(Path.GetFileNameWithoutExtension(path), CultureInfo.InvariantCulture))
                .DefaultIfEmpty(0).Max();
            _opened = true;
        }
        var number = ++_lastNumber;
        var handle = File.OpenHandle(
            PathOf(number), FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite | FileShare.Delete);
        try
        {
            SyncFolder(folder);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
        var segment = new Segment(number, handle);
        _segments.Add(number, segment);
        return segment;
    }

    private string PathOf(long number) => Path.Combine(folder, number.ToString("D10", CultureInfo.InvariantCulture) + ".seg");

    /// <summary>A new file survives a power cut only once its folder is synced as well (fsync(2)).</summary>
    /// <exception cref="IOException">It could not be: nothing may be kept in the file.</exception>
    private static void SyncFolder(string path)
    {
        if (OperatingSystem.IsWindows())
            return;
        using var handle = OpenFolder(path, 0);
        if (handle.IsInvalid || (FSync(handle) != 0 && Marshal.GetLastPInvokeError() != CannotBeSynced))
            throw new IOException($"The folder {path} could not be synced to disk.");
    }

    [DllImport("libc", EntryPoint = "open", SetLastError = true, CharSet = CharSet.Ansi, BestFitMapping = false, ThrowOnUnmappableChar = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern SafeFileHandle OpenFolder(string path, int flags);

    [DllImport("libc", EntryPoint = "fsync", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int FSync(SafeFileHandle handle);

    private sealed class Segment(long number, SafeFileHandle handle)
    {
        public long Number { get; } = number;

        public SafeFileHandle Handle { get; } = handle;

        public long End { get; set; }

        public bool Dirty { get; set; }

        public bool Broken { get; set; }
    }
}
