using System.Security.Cryptography;
using System.Text;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using MailPipeline.Storage;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress;

/// <summary>
/// Counts how DMARC judged messages, and hands the counts to storage every few minutes and at the stop; Queue reports them (RFC 7489 §7.2). A message waits for
/// none of it. Bounded for each day: of kinds of messages beyond <see cref="MostRows"/> of a domain, or <see cref="MostKinds"/> of all, coarse ones are kept, as many
/// again at most; beyond these only the number of messages is. Of domains beyond <see cref="MostDomains"/>, or <see cref="MostDomainsOfOne"/> of one organisation, nothing is.
/// </summary>
internal sealed partial class DmarcResults(DmarcResultStore store, IOptions<IngressOptions> options, IngressTelemetry telemetry, TimeProvider time, ILogger<DmarcResults> log)
    : IHostedService, IDisposable
{
    internal const int MostRows = 1000;

    internal const int MostDomains = 5000;

    /// <summary>With records of their own below one organisational domain, who may make as many as it likes.</summary>
    internal const int MostDomainsOfOne = 50;

    internal const int MostKinds = 50_000;

    private readonly ResultCounter<DmarcResultKey> _counter = new(
        (2 * MostKinds) + MostDomains, (writer, counts) => store.AddAsync(writer, [.. counts.Select(count => new DmarcResultCount(count.Key, count.Value))]),
        (away, count) => LogKept(log, count, away), time);

    private readonly Lock _lock = new();

    private Today _today = new(0);

    /// <summary>A message has been accepted, or refused for good, that was judged like this.</summary>
    public void Note(DmarcJudgement judgement)
    {
        var day = time.GetUtcNow().ToUnixTimeSeconds() / 86_400;
        var domain = judgement.Policy.Domain;
        var isCounted = Admit(day, judgement) is { } kept && _counter.Add(new DmarcResultKey(day, domain, kept));
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

    /// <summary>What is kept of a judgement: its text, that of a coarse one, nothing but that there was one, or (null) nothing.</summary>
    private string? Admit(long day, DmarcJudgement judgement)
    {
        var text = judgement.ToText();
        lock (_lock)
        {
            if (day != _today.Day)
                _today = new(day);
            if (_today.KindsOf(judgement.Policy.Domain) is not { } kinds)
                return null;
            if (_today.Single.Admit(kinds.Single, text))
                return text;
            var coarse = judgement.ToCoarse().ToText();
            return _today.Coarse.Admit(kinds.Coarse, coarse) ? coarse : "";
        }
    }

    [LoggerMessage(1080, LogLevel.Warning, "{Count} count(s) of judgements by DMARC could not be kept yet")]
    private static partial void LogKept(ILogger log, int count, StorageUnavailableException exception);

    /// <summary>Kinds that there was room for on a day.</summary>
    private sealed class Today(long day)
    {
        private readonly Dictionary<string, (HashSet<UInt128> Single, HashSet<UInt128> Coarse)> _kinds = new(StringComparer.Ordinal);
        private readonly Dictionary<string, int> _domains = new(StringComparer.Ordinal);

        public long Day => day;

        public KindCount Single { get; } = new();

        public KindCount Coarse { get; } = new();

        /// <summary>Null: there is no room for the domain.</summary>
        public (HashSet<UInt128> Single, HashSet<UInt128> Coarse)? KindsOf(string domain)
        {
            if (_kinds.TryGetValue(domain, out var kinds))
                return kinds;
            var organization = PublicSuffixList.BuiltIn.OrganizationOf(domain);
            var domains = _domains.GetValueOrDefault(organization);
            if (_kinds.Count >= MostDomains || domains >= MostDomainsOfOne)
                return null;
            _domains[organization] = domains + 1;
            return _kinds[domain] = ([], []);
        }
    }

    private sealed class KindCount
    {
        private int _count;

        /// <param name="kinds">Of one domain, by a hash.</param>
        public bool Admit(HashSet<UInt128> kinds, string text)
        {
            Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
            SHA256.HashData(Encoding.UTF8.GetBytes(text), hash);
            var kind = BitConverter.ToUInt128(hash);
            if (kinds.Contains(kind))
                return true;
            if (kinds.Count >= MostRows || _count >= MostKinds)
                return false;
            kinds.Add(kind);
            _count++;
            return true;
        }
    }
}
