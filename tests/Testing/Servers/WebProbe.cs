using System.Globalization;

namespace MailPipeline.Testing;

/// <summary>Asks a service's HTTP listener as probes and Prometheus do.</summary>
public sealed class WebProbe(Uri address)
{
    private static readonly HttpClient Http = new() { Timeout = TimeSpan.FromSeconds(5) };

    /// <summary>Status code of /health/ready or /health/live; 0 when nobody answers.</summary>
    public async Task<int> StatusAsync(string path, CancellationToken cancellation = default)
    {
        try
        {
            using var reply = await Http.GetAsync(new Uri(address, path), cancellation);
            return (int)reply.StatusCode;
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return 0;
        }
    }

    /// <summary>What is there; throws when nobody answers.</summary>
    public Task<string> ReadAsync(string path, CancellationToken cancellation = default) => Http.GetStringAsync(new Uri(address, path), cancellation);

    public async Task<bool> IsReadyAsync(CancellationToken cancellation = default) =>
        await StatusAsync("health/ready", cancellation) is >= 200 and < 300;

    /// <summary>Ready, and lacks nothing: a service that is ready may still be without its bus.</summary>
    public async Task<bool> IsHealthyAsync(CancellationToken cancellation = default)
    {
        try
        {
            return (await ReadAsync("health/ready", cancellation)).StartsWith("Healthy", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
        {
            cancellation.ThrowIfCancellationRequested();
            return false;
        }
    }

    /// <summary>The sum of a metric over all its tags from /metrics, by its Prometheus name; null when it is not there.</summary>
    public Task<double?> ReadMetricAsync(string name, CancellationToken cancellation = default) => ReadMetricAsync(name, "", cancellation);

    /// <param name="tag">As <c>name="value"</c>: only what has it is summed.</param>
    public async Task<double?> ReadMetricAsync(string name, string tag, CancellationToken cancellation)
    {
        var text = await ReadAsync("metrics", cancellation);
        var values = text.Split('\n')
            .Where(line => line.StartsWith(name, StringComparison.Ordinal) && line.Length > name.Length && line[name.Length] is ' ' or '{')
            .Where(line => line.Contains(tag, StringComparison.Ordinal))
            .Select(line => double.Parse(line[(line.LastIndexOf('}') + 1)..].Trim().Split(' ').Last(w => w.Length > 0 && !IsTimestamp(w)), CultureInfo.InvariantCulture))
            .ToList();
        return values.Count == 0 ? null : values.Sum();
    }

    // The text form may end a line with a time in milliseconds.
    private static bool IsTimestamp(string word) => word.Length == 13 && word.All(char.IsAsciiDigit);
}
