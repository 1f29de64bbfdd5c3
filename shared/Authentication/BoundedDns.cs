using System.Net;
using MailPipeline.Dns;

namespace MailPipeline.Authentication;

/// <summary>
/// DNS for one method that checks one message: so many questions, and no more. What is asked beyond that has no answer, which is a temporary error to
/// whoever asks.
/// </summary>
/// <param name="maxQuestions">All of them, remembered answers included.</param>
public sealed class BoundedDns(IDnsLookup dns, int maxQuestions) : IDnsLookup
{
    private int _questions;

    /// <summary>More was asked than was allowed.</summary>
    public bool IsExhausted => Volatile.Read(ref _questions) > maxQuestions;

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) => AskAsync(dns.MxAsync, name, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) => AskAsync(dns.IPv4Async, name, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) => AskAsync(dns.IPv6Async, name, cancellationToken);

    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) => AskAsync(dns.TxtAsync, name, cancellationToken);

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => AskAsync(dns.TlsaAsync, name, cancellationToken);

    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) => AskAsync(dns.AliasAsync, name, cancellationToken);

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) => AskAsync(dns.PtrAsync, address, cancellationToken);

    private Task<DnsAnswer<T>> AskAsync<TName, T>(
        Func<TName, CancellationToken, Task<DnsAnswer<T>>> askAsync, TName name, CancellationToken cancellationToken) =>
        Interlocked.Increment(ref _questions) <= maxQuestions
            ? askAsync(name, cancellationToken)
            : Task.FromResult(DnsAnswer.Failure<T>($"a check of a message may ask {maxQuestions} questions"));
}
