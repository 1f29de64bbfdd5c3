using System.Buffers.Binary;
using System.Security.Cryptography;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// Counts what becomes of sessions under the TLS policies of domains, and hands the counts to storage every few minutes and at the stop; Queue reports them
/// (RFC 8460). Bounded: of more kinds of sessions than it has room for nothing is counted. Nothing is, where <see cref="DeliveryOptions.TlsReports"/> is off.
/// </summary>
internal sealed class TlsResults(
    IOptions<DeliveryOptions> options, Func<long, IReadOnlyCollection<TlsResultCount>, Task> addAsync, TimeProvider time, ILogger<TlsResults> log) : IHostedService, IDisposable
{
    internal static readonly TimeSpan Interval = TimeSpan.FromMinutes(5);

    private const int MostKinds = 50_000;

    /// <summary>In one transaction.</summary>
    private const int MostAtOnce = 500;

    private readonly long _writer = BinaryPrimitives.ReadInt64LittleEndian(RandomNumberGenerator.GetBytes(sizeof(long))) & long.MaxValue;
    private readonly Lock _lock = new();
    private Dictionary<TlsResultKey, long> _counts = [];
    private ITimer? _timer;
    private readonly SemaphoreSlim _writing = new(1);

    /// <summary>A session with a host of the domain, or an attempt at one.</summary>
    /// <param name="result">Empty for success, else the type of failure (RFC 8460 §4.3).</param>
    public void Note(TlsDemand demand, TlsChoice choice, TlsaSet? tlsa, string host, string address, string result)
    {
        if (!options.Value.TlsReports || demand.Domain.Length == 0 || choice.IsClear)
            return;
        var policy = choice.ReportedType switch
        {
            "sts" => $"sts\n{demand.Sts?.Text}",
            "tlsa" => $"tlsa\n{string.Join('\n', tlsa?.Texts ?? [])}",
            var type => type,
        };
        Add(new TlsResultKey(Today(), demand.Domain, policy, result, host, result.Length == 0 ? "" : address));
    }

    /// <summary>The policy of the domain could not be fetched.</summary>
    public void NotePolicy(string domain, string result)
    {
        if (options.Value.TlsReports)
            Add(new TlsResultKey(Today(), domain, "sts", result, "", ""));
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.TlsReports)
            _timer = time.CreateTimer(_ => _ = FlushAsync(), null, Interval, Interval);
        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
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

    /// <summary>Hands what was counted to storage. While it is away, it is kept and counted on.</summary>
    internal async Task FlushAsync()
    {
        await _writing.WaitAsync();
        try
        {
            Dictionary<TlsResultKey, long> counts;
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

    private async Task WriteAsync(KeyValuePair<TlsResultKey, long>[] counts)
    {
        try
        {
            await addAsync(_writer, [.. counts.Select(count => new TlsResultCount(count.Key, count.Value))]);
        }
        catch (StorageUnavailableException away)
        {
            log.TlsResultsKept(away, counts.Length);
            foreach (var (key, sessions) in counts)
                Add(key, sessions);
        }
    }

    private long Today() => time.GetUtcNow().ToUnixTimeSeconds() / 86_400;

    private void Add(TlsResultKey key, long sessions = 1)
    {
        lock (_lock)
        {
            if (_counts.TryGetValue(key, out var counted))
                _counts[key] = counted + sessions;
            else if (_counts.Count < MostKinds)
                _counts.Add(key, sessions);
        }
    }
}
