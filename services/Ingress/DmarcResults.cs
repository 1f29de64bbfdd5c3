using System.Security.Cryptography;
using System.Text;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// Counts how DMARC judged messages, and hands the counts to storage every few minutes and at the stop; Queue reports them (RFC 7489 §7.2). A message waits for
/// none of it. Bounded for each day: of kinds of messages beyond <see cref="MostRows"/> of a domain only their number is kept, and of domains beyond
/// <see cref="MostDomains"/>, or kinds beyond <see cref="MostKinds"/> of all, nothing is.
/// </summary>
internal sealed partial class DmarcResults(DmarcResultStore store, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<DmarcResults> log)
    : IHostedService, IDisposable
{
    internal const int MostRows = 1000;

    internal const int MostDomains = 5000;

    internal const int MostKinds = 50_000;

    private readonly ResultCounter<DmarcResultKey> _counter = new(
        MostKinds + MostDomains, (writer, counts) => store.AddAsync(writer, [.. counts.Select(count => new DmarcResultCount(count.Key, count.Value))]),
        (away, count) => LogKept(log, count, away), time);

    private readonly Lock _lock = new();

    // By domain the kinds of today that there is room for, by a hash.
    private Dictionary<string, HashSet<UInt128>> _kinds = new(StringComparer.Ordinal);
    private int _kindCount;
    private long _day;

    /// <summary>A message has been accepted, or refused for good, that was judged like this.</summary>
    public void Note(DmarcJudgement judgement)
    {
        var day = time.GetUtcNow().ToUnixTimeSeconds() / 86_400;
        var text = judgement.ToText();
        var domain = judgement.Policy.Domain;
        var isCounted = Admit(day, domain, text) is { } kept && _counter.Add(new DmarcResultKey(day, domain, kept));
        telemetry.DmarcCounted(isCounted);
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.Checks.Authentication.Dmarc.Reports)
            _counter.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => _counter.StopAsync();

    public void Dispose() => _counter.Dispose();

    /// <summary>What is kept of a judgement: its text, nothing but that there was one, or (null) nothing.</summary>
    private string? Admit(long day, string domain, string text)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
        var kind = BitConverter.ToUInt128(hash);
        lock (_lock)
        {
            if (day != _day)
                (_day, _kinds, _kindCount) = (day, new(StringComparer.Ordinal), 0);
            if (!_kinds.TryGetValue(domain, out var kinds))
            {
                if (_kinds.Count >= MostDomains)
                    return null;
                _kinds.Add(domain, kinds = []);
            }

            if (kinds.Contains(kind))
                return text;
            if (kinds.Count >= MostRows || _kindCount >= MostKinds)
                return "";
            kinds.Add(kind);
            _kindCount++;
            return text;
        }
    }

    [LoggerMessage(1080, LogLevel.Warning, "{Count} count(s) of judgements by DMARC could not be kept yet")]
    private static partial void LogKept(ILogger log, int count, StorageUnavailableException exception);
}
