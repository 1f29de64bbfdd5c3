using System.Globalization;
using System.Net;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Tests;

/// <summary>
/// DNS out of a text: a record in a line, "name TYPE data", as in a zone file without quotes. "!" in the place of the data is a question that
/// has no answer, "?" one whose answer never comes. Names that do not stand there, and have none below them, do not exist.
/// </summary>
internal sealed class ZoneDns : IDnsLookup
{
    private static readonly TimeSpan s_life = TimeSpan.FromMinutes(1);

    private readonly Dictionary<(string Type, string Name), List<string>> _records = [];
    private readonly HashSet<string> _names = new(StringComparer.OrdinalIgnoreCase);

    public ZoneDns(string zone)
    {
        foreach (var line in zone.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (line.StartsWith('#'))
                continue;
            var words = line.Split(' ', 3);
            var name = words[0].ToLowerInvariant();
            Add(words[1], name, words.Length > 2 ? words[2] : "");
        }
    }

    /// <summary>All that was asked: "TXT example.org".</summary>
    public List<string> Questions { get; } = [];

    public void Add(string type, string name, string data)
    {
        if (!_records.TryGetValue((type, name), out var records))
            _records[(type, name)] = records = [];
        records.Add(data);
        for (var above = name; above.Length > 0; above = above.Contains('.', StringComparison.Ordinal) ? above[(above.IndexOf('.', StringComparison.Ordinal) + 1)..] : "")
            _names.Add(above);
    }

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => AskAsync(
        "MX", name, data => new MxRecord(int.Parse(data.Split(' ')[0], CultureInfo.InvariantCulture), data.Split(' ')[1].TrimEnd('.')), cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => AskAsync("A", name, IPAddress.Parse, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => AskAsync("AAAA", name, IPAddress.Parse, cancellationToken);

    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) => AskAsync("TXT", name, data => new TxtRecord(data), cancellationToken);

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => AskAsync("PTR", ReversedName.Of(address), data => data, cancellationToken);

    private async Task<DnsAnswer<T>> AskAsync<T>(string type, string name, Func<string, T> read, CancellationToken cancellationToken)
    {
        lock (Questions)
            Questions.Add($"{type} {name}");
        cancellationToken.ThrowIfCancellationRequested();
        name = name.ToLowerInvariant();
        if (_records.TryGetValue((type, name), out var records))
        {
            if (records.Contains("?"))
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
            return records.Contains("!")
                ? DnsAnswer.Failure<T>("SERVFAIL")
                : new DnsAnswer<T>(DnsStatus.Found, [.. records.Select(read)], s_life);
        }

        if (_records.TryGetValue(("CNAME", name), out var alias))
            return await AskAsync(type, alias[0], read, cancellationToken);
        return new DnsAnswer<T>(_names.Contains(name) ? DnsStatus.NoData : DnsStatus.NoSuchName, [], s_life);
    }
}
