using MailPipeline.Mail;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Tls;

/// <summary>
/// Counts what becomes of sessions under the TLS policies of domains, and hands the counts to storage every few minutes and at the stop; Queue reports them
/// (RFC 8460). Bounded: of more kinds of sessions than it has room for nothing is counted. Nothing is, where <see cref="DeliveryOptions.TlsReports"/> is off.
/// </summary>
internal sealed class TlsResults(
    IOptions<DeliveryOptions> options, Func<long, IReadOnlyCollection<TlsResultCount>, Task> addAsync, TimeProvider time, ILogger<TlsResults> log) : IHostedService, IDisposable
{
    private const int MostKinds = 50_000;

    private readonly ResultCounter<TlsResultKey> _counter = new(
        MostKinds, (writer, counts) => addAsync(writer, [.. counts.Select(count => new TlsResultCount(count.Key, count.Value))]), log.TlsResultsKept, time);

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
        _counter.Add(new TlsResultKey(Today(), demand.Domain, policy, result, host, result.Length == 0 ? "" : address));
    }

    /// <summary>The policy of the domain could not be fetched.</summary>
    public void NotePolicy(string domain, string result)
    {
        if (options.Value.TlsReports)
            _counter.Add(new TlsResultKey(Today(), domain, "sts", result, "", ""));
    }

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (options.Value.TlsReports)
            _counter.Start();
        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => _counter.StopAsync();

    public void Dispose() => _counter.Dispose();

    private long Today() => time.GetUtcNow().ToUnixTimeSeconds() / 86_400;
}
