using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Text;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns;

/// <summary>
/// Puts questions to the configured resolvers, one after the other until one answers. Remembers no answers;
/// <see cref="DnsCache"/> does.
/// </summary>
internal sealed class DnsLookup : IDnsLookup, IDisposable
{
    private const int DnsPort = 53;

    private readonly IPEndPoint[] _servers;
    private readonly int _repetitions;
    private readonly DnsExchange _exchange;

    /// <summary>The server that is asked first: one that was silent has the others go before it.</summary>
    private int _first;

    public DnsLookup(IOptions<DnsOptions> options, TimeProvider time)
    {
        _servers = Servers(options.Value.Servers);
        _repetitions = options.Value.Retries;
        _exchange = new DnsExchange(options.Value.Timeout, options.Value.MaxQuestions, time);
    }

    public static bool TryParseServer(string text, out IPEndPoint? server)
    {
        server = HostAddress.TrySplitPort(text, DnsPort, out var host, out var port) && HostAddress.TryParse(host, out var address)
            ? new IPEndPoint(address, port)
            : null;
        return server is not null;
    }

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) =>
        AskAsync(name, DnsRecordType.Mx, record => new MxRecord((int)record.Number, record.Target), cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) =>
        AskAsync(name, DnsRecordType.A, record => record.Address!, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) =>
        AskAsync(name, DnsRecordType.Aaaa, record => record.Address!, cancellationToken);

    public Task<DnsAnswer<TxtRecord>> TxtAsync(string name, CancellationToken cancellationToken) =>
        AskAsync(name, DnsRecordType.Txt, record => new TxtRecord(Encoding.Latin1.GetString(record.Data.Span)), cancellationToken);

    public Task<DnsAnswer<TlsaRecord>> TlsaAsync(string name, CancellationToken cancellationToken) => AskAsync(
        name, DnsRecordType.Tlsa,
        record => new TlsaRecord(record.Data.Span[0], record.Data.Span[1], record.Data.Span[2], record.Data[DnsReply.TlsaHeadBytes..]),
        cancellationToken);

    public Task<DnsAnswer<string>> AliasAsync(string name, CancellationToken cancellationToken) =>
        AskAsync(name, DnsRecordType.CName, record => record.Target, cancellationToken);

    public Task<DnsAnswer<string>> PtrAsync(IPAddress address, CancellationToken cancellationToken) =>
        AskAsync(ReversedName.Of(address), DnsRecordType.Ptr, record => record.Target, cancellationToken);

    public void Dispose() => _exchange.Dispose();

    // Never a public resolver that nobody chose: who gets mail from here is the operator's secret.
    private static IPEndPoint[] Servers(TextList configured) => configured.Count > 0
        ? [.. configured.Select(text => TryParseServer(text, out var server) ? server : null).OfType<IPEndPoint>()]
        : [.. NetworkInterface.GetAllNetworkInterfaces()
            .SelectMany(adapter => adapter.GetIPProperties().DnsAddresses)
            .Where(address => !address.IsIPv6SiteLocal)
            .Distinct()
            .Select(address => new IPEndPoint(address, DnsPort))];

    private async Task<DnsAnswer<T>> AskAsync<T>(
        string name, DnsRecordType type, Func<DnsRecord, T> select, CancellationToken cancellationToken)
    {
        if (_servers.Length == 0)
            return DnsAnswer.Failure<T>("no DNS server is configured on this machine");
        if (DnsQuery.Create(name, type) is not { } query)
            return new DnsAnswer<T>(DnsStatus.NoSuchName, [], TimeSpan.Zero, "not a name that DNS can express");

        var first = Volatile.Read(ref _first);
        var error = "";
        var unable = new bool[_servers.Length];
        for (var i = 0; i < _servers.Length * (1 + _repetitions); i++)
        {
            var index = (first + i) % _servers.Length;
            if (unable[index])
                continue;
            DnsReply? reply;
            string failure;
            try
            {
                (reply, failure) = await _exchange.AskAsync(_servers[index], query, cancellationToken);
            }
            catch (SocketException fault) when (DnsExchange.IsOurs(fault))
            {
                return DnsAnswer.Failure<T>($"{_servers[index]} cannot be asked: {fault.SocketErrorCode}") with { IsOurFault = true };
            }

            if (reply is null)
                Interlocked.CompareExchange(ref _first, (index + 1) % _servers.Length, index);
            else if (Unable(reply, _servers[index]) is { } reason)
                (failure, unable[index]) = (reason, true);
            else
                return Answer(reply, select);
            error = failure;
        }

        return DnsAnswer.Failure<T>(error);
    }

    /// <summary>Why this server could not say what the name has; null when it did. It would not be able to a second time either.</summary>
    private static string? Unable(DnsReply reply, IPEndPoint server) => reply switch
    {
        { IsCutShort: true } => $"{server} cut its answer short over TCP too",
        { Code: not (DnsResponseCode.NoError or DnsResponseCode.NoSuchName) } => $"{server} answered {reply.Code}",
        { Records.Count: 0, IsConclusive: false } => $"{server} answered about other names; a resolver is needed there",
        _ => null,
    };

    private static DnsAnswer<T> Answer<T>(DnsReply reply, Func<DnsRecord, T> select)
    {
        var answer = reply switch
        {
            { Code: DnsResponseCode.NoSuchName } => new DnsAnswer<T>(DnsStatus.NoSuchName, [], TimeSpan.FromSeconds(reply.NegativeSeconds)),
            { Records.Count: 0 } => new DnsAnswer<T>(DnsStatus.NoData, [], TimeSpan.FromSeconds(reply.NegativeSeconds)),
            _ => new DnsAnswer<T>(DnsStatus.Found, [.. reply.Records.Select(select)], TimeSpan.FromSeconds(reply.Seconds)),
        };
        return answer with { IsAuthenticated = reply.IsAuthenticated, Alias = reply.Alias };
    }
}
