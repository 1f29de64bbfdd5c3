using System.Net;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Tests;

/// <summary>TXT records in memory. A name that is not there does not exist.</summary>
internal sealed class FakeKeys : IDnsLookup
{
    private readonly Dictionary<string, string[]> _texts = new(StringComparer.Ordinal);

    /// <summary>Names about which nothing is ever said.</summary>
    public HashSet<string> Silent { get; } = [];

    /// <summary>Names about which there is no usable answer.</summary>
    public HashSet<string> Failing { get; } = [];

    public List<string> Asked { get; } = [];

    public FakeKeys With(string name, params string[] texts)
    {
        _texts[name] = texts;
        return this;
    }

    public async Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken)
    {
        Asked.Add(name);
        if (Silent.Contains(name))
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellationToken);
        if (Failing.Contains(name))
            return DnsAnswer.Failure<TxtRecord>("no answer");
        return _texts.TryGetValue(name, out var texts)
            ? new(DnsStatus.Found, [.. texts.Select(text => new TxtRecord(text))], TimeSpan.FromMinutes(1))
            : new(DnsStatus.NoSuchName, [], TimeSpan.FromMinutes(1));
    }

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => throw new NotSupportedException();

    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => throw new NotSupportedException();
}
