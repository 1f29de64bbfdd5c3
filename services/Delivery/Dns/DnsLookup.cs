using System.Net;
using System.Net.Sockets;
using DnsClient;
using DnsClient.Protocol;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery;

/// <summary>DNS questions over DnsClient. Remembers nothing itself; <see cref="MxResolver"/> does.</summary>
internal sealed class DnsLookup : IDnsLookup
{
    private const int DnsPort = 53;

    private readonly LookupClient? _client;

    public DnsLookup(IOptions<DeliveryOptions> options)
    {
        var servers = Servers(options.Value.DnsServers);
        if (servers.Count == 0)
            return;
        _client = new LookupClient(new LookupClientOptions([.. servers])
        {
            UseCache = false,
            ThrowDnsErrors = false,
            Timeout = options.Value.DnsTimeout,
            Retries = options.Value.DnsRetries,
            UseTcpFallback = true,
        });
    }

    public static bool TryParseServer(string text, out IPEndPoint? server)
    {
        server = null;
        if (!RouteTable.TryParseHost(text, DnsPort, out var host) || !IPAddress.TryParse(host.Host, out var address))
            return false;
        server = new IPEndPoint(address, host.Port);
        return true;
    }

    public Task<DnsAnswer<MxRecord>> MxAsync(string name, CancellationToken cancellationToken) =>
        AskAsync<MxRecord>(name, QueryType.MX, record => record is DnsClient.Protocol.MxRecord mx
            ? new MxRecord(mx.Preference, mx.Exchange.Value.TrimEnd('.'))
            : null, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv4Async(string name, CancellationToken cancellationToken) =>
        AskAddressAsync(name, QueryType.A, cancellationToken);

    public Task<DnsAnswer<IPAddress>> IPv6Async(string name, CancellationToken cancellationToken) =>
        AskAddressAsync(name, QueryType.AAAA, cancellationToken);

    private static List<NameServer> Servers(TextList configured)
    {
        var servers = new List<NameServer>();
        foreach (var text in configured)
        {
            if (TryParseServer(text, out var server))
                servers.Add(new NameServer(server!));
        }

        // Never a public resolver that nobody chose: who gets mail from here is the operator's secret.
        if (configured.Count == 0)
            servers.AddRange(NameServer.ResolveNameServers(skipIPv6SiteLocal: true, fallbackToGooglePublicDns: false));
        return servers;
    }

    private async Task<DnsAnswer<IPAddress>> AskAddressAsync(string name, QueryType type, CancellationToken cancellationToken)
    {
        var answer = await AskAsync<AddressBox>(
            name, type, record => record is AddressRecord address ? new AddressBox(address.Address) : null, cancellationToken);
        return new DnsAnswer<IPAddress>(answer.Status, [.. answer.Records.Select(box => box.Address)], answer.TimeToLive, answer.Error);
    }

    private async Task<DnsAnswer<T>> AskAsync<T>(
        string name, QueryType type, Func<DnsResourceRecord, T?> select, CancellationToken cancellationToken)
        where T : struct
    {
        if (_client is null)
            return DnsAnswer<T>.Failure("no DNS server is configured on this machine");
        IDnsQueryResponse response;
        try
        {
            response = await _client.QueryAsync(name, type, QueryClass.IN, cancellationToken);
        }
        catch (Exception error) when (error is DnsResponseException or SocketException or TimeoutException
            || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return DnsAnswer<T>.Failure(error is DnsResponseException dns ? dns.DnsError : error.Message);
        }
        catch (ArgumentException error)
        {
            // A name that DNS cannot express (empty label, label over 63 octets) does not exist.
            return new DnsAnswer<T>(DnsStatus.NoSuchName, [], TimeSpan.Zero, error.Message);
        }

        return Read(response, select);
    }

    private static DnsAnswer<T> Read<T>(IDnsQueryResponse response, Func<DnsResourceRecord, T?> select)
        where T : struct
    {
        if (response.Header.ResponseCode == DnsHeaderResponseCode.NotExistentDomain)
            return new DnsAnswer<T>(DnsStatus.NoSuchName, [], NegativeTimeToLive(response));
        if (response.Header.ResponseCode != DnsHeaderResponseCode.NoError)
            return DnsAnswer<T>.Failure(response.Header.ResponseCode.ToString());

        var records = new List<T>();
        var seconds = int.MaxValue;
        foreach (var answer in response.Answers)
        {
            // The TTL of a CNAME on the way bounds the whole answer.
            seconds = Math.Min(seconds, answer.InitialTimeToLive);
            if (select(answer) is { } record)
                records.Add(record);
        }

        return records.Count > 0
            ? new DnsAnswer<T>(DnsStatus.Found, records, TimeSpan.FromSeconds(Math.Max(0, seconds)))
            : new DnsAnswer<T>(DnsStatus.NoData, [], NegativeTimeToLive(response));
    }

    // RFC 2308 §5: the lesser of the SOA's own TTL and its MINIMUM field.
    private static TimeSpan NegativeTimeToLive(IDnsQueryResponse response) =>
        response.Authorities.OfType<SoaRecord>().FirstOrDefault() is { } soa
            ? TimeSpan.FromSeconds(Math.Min(soa.InitialTimeToLive, (long)soa.Minimum))
            : TimeSpan.Zero;

    private readonly record struct AddressBox(IPAddress Address);
}
