using System.Net;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns;

/// <summary>
/// Answers, remembered for as long as they live, absence included, in so many octets altogether. A question is asked once for all who ask it
/// at the same time, and one without an answer is left alone for a while (<see cref="UnansweredQuestions"/>). As an
/// <see cref="IDnsLookup"/> it is waited for no longer than its asker wants, and the answer is remembered all the same.
/// </summary>
public sealed class DnsCache(IDnsLookup dns, UnansweredQuestions unanswered, IOptions<DnsOptions> options, TimeProvider time) : IDnsLookup
{
    /// <summary>An array's element, and the head of the object that it names.</summary>
    private const int RecordBytes = 48;

    private const int AddressBytes = 40;

    /// <summary>By type and name, so that all types share one bound; each value is the answer of its key's type.</summary>
    private readonly TtlCache<object> _answers = new(options.Value.CacheBytes, time);

    public Task<DnsAnswer<MxRecord>> MxAsync(string name) =>
        AskAsync("MX", name, dns.MxAsync, record => record.Host.Length * sizeof(char));

    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name) =>
        AskAsync("TXT", name, dns.TxtAsync, record => record.Text.Length * sizeof(char));

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name) =>
        AskAsync("TLSA", name, dns.TlsaAsync, record => record.Data.Length);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name) => AskAsync("A", name, dns.IPv4Async, _ => AddressBytes);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name) => AskAsync("AAAA", name, dns.IPv6Async, _ => AddressBytes);

    public Task<DnsAnswer<string>> AliasAsync(string name) => AskAsync("CNAME", name, dns.AliasAsync, target => target.Length * sizeof(char));

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address) =>
        AskAsync("PTR", ReversedName.Of(address), (_, cancellation) => dns.PtrAsync(address, cancellation), host => host.Length * sizeof(char));

    Task<DnsAnswer<MxRecord>> IDnsLookup.MxAsync(string name, CancellationToken cancellationToken) => MxAsync(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<IPAddress>> IDnsLookup.IPv4Async(string name, CancellationToken cancellationToken) => IPv4Async(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<IPAddress>> IDnsLookup.IPv6Async(string name, CancellationToken cancellationToken) => IPv6Async(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<TxtRecord>> IDnsLookup.TxtAsync(string name, CancellationToken cancellationToken) => TxtAsync(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<TlsaRecord>> IDnsLookup.TlsaAsync(string name, CancellationToken cancellationToken) => TlsaAsync(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<string>> IDnsLookup.AliasAsync(string name, CancellationToken cancellationToken) => AliasAsync(name).WaitAsync(cancellationToken);

    Task<DnsAnswer<string>> IDnsLookup.PtrAsync(IPAddress address, CancellationToken cancellationToken) => PtrAsync(address).WaitAsync(cancellationToken);

    private async Task<DnsAnswer<T>> AskAsync<T>(
        string type, string name, Func<string, CancellationToken, Task<DnsAnswer<T>>> askAsync, Func<T, int> bytesOf) =>
        (DnsAnswer<T>)await _answers.GetAsync($"{type} {name}", async question =>
        {
            // Others may wait for it too: nobody's giving up ends it.
            var answer = await askAsync(name, CancellationToken.None);
            return new Remembered<object>(answer, LifeOf(question, answer), answer.Records.Sum(record => RecordBytes + bytesOf(record)) + (answer.Alias.Length * sizeof(char)));
        });

    private TimeSpan LifeOf<T>(string question, DnsAnswer<T> answer)
    {
        if (answer.IsOurFault)
            return TimeSpan.Zero;
        if (answer.Status == DnsStatus.Failed)
            return unanswered.Note(question);
        unanswered.Forget(question);
        return options.Value.Bounded(answer.TimeToLive);
    }
}
