using System.Buffers.Binary;
using System.Security.Cryptography;
using MailPipeline.Storage;

namespace MailPipeline.Mail;

/// <summary>
/// Counts things in memory and hands the counts to storage at an interval and at the stop, a bounded number in one transaction. What was counted since the last
/// time is lost with the process. While storage is away it is kept and counted on.
/// </summary>
/// <param name="mostKinds">Different things between two times; of more nothing is counted.</param>
/// <param name="addAsync">Adds counts to storage, in the name of a number that no other process has.</param>
/// <param name="kept">So many could not be handed over now.</param>
public sealed class ResultCounter<TKey>(
    int mostKinds, Func<long, IReadOnlyList<KeyValuePair<TKey, long>>, Task> addAsync, Action<StorageUnavailableException, int> kept, TimeProvider time)
    : IDisposable
    where TKey : notnull
{
    public static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);

    private const int MostAtOnce = 500;

    private readonly long _writer = BinaryPrimitives.ReadInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(long))) & long.MaxValue;
    private readonly Lock _lock = new();
    private readonly SemaphoreSlim _writing = new(1);
    private Dictionary<TKey, long> _counts = [];
    private ITimer? _timer;

    /// <summary>From now on counts leave at the interval.</summary>
    public void Start() => _timer = time.CreateTimer(_ => _ = FlushAsync(), null, Interval, Interval);

    /// <summary>False: there is no room for it.</summary>
    public bool Add(TKey key, long count = 1)
    {
        lock (_lock)
        {
            if (_counts.TryGetValue(key, out var counted))
                _counts[key] = counted + count;
            else if (_counts.Count < mostKinds)
                _counts.Add(key, count);
            else
                return false;
            return true;
        }
    }

    public async Task FlushAsync()
    {
        await _writing.WaitAsync();
        try
        {
            Dictionary<TKey, long> counts;
            lock (_lock)
                (counts, _counts) = (_counts, []);
            foreach (var some in counts.Chunk(MostAtOnce))
                await WriteAsync(some);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Hands over what there is, and nothing more at an interval.</summary>
    public async Task StopAsync()
    {
        if (_timer is not null)
            await _timer.DisposeAsync();
        await FlushAsync();
    }

    public void Dispose()
    {
        _timer?.Dispose();
        _writing.Dispose();
    }

    private async Task WriteAsync(KeyValuePair<TKey, long>[] counts)
    {
        try
        {
            await addAsync(_writer, counts);
        }
        catch (StorageUnavailableException away)
        {
            kept(away, counts.Length);
            foreach (var (key, count) in counts)
                Add(key, count);
        }
    }
}
