using System.Net;
using Microsoft.Extensions.Logging;

namespace MailPipeline.Delivery;

/// <summary>
/// The addresses of a domain's hosts in order, one after the other until one is ready for MAIL (RFC 5321 §5.1). Starts
/// anew after a connection that got something done. One that broke before it did is made again: it may be a single message that
/// it broke on, and that is put aside after its second try.
/// </summary>
internal sealed class HostWalk(
    IReadOnlyList<TargetHost> hosts, TlsPolicy policy, MxResolver resolver, SmtpConnector connector, DeliveryBatch batch, BatchContext context)
{
    /// <summary>Two over the message that broke the first, and one over the next.</summary>
    private const int MaxBreaks = 3;

    private readonly Queue<TargetHost> _hosts = new(hosts);
    private readonly Queue<IPAddress> _addresses = [];
    private TargetHost? _host;
    private IPAddress? _address;
    private int _breaks;
    private int _tries;

    /// <summary>A host was ready for MAIL at some time.</summary>
    public bool HasSpoken { get; private set; }

    /// <summary>Some message of the batch was answered for.</summary>
    public bool HasProgressed { get; private set; }

    public bool HasTried => _tries > 0;

    /// <summary>Why nothing is left to try. A temporary reason stands before a permanent one.</summary>
    public ResolutionFailure Failure { get; private set; } = new(IsPermanent: true, "5.4.4", "The domain has no host");

    public string FailedHost { get; private set; } = "";

    /// <summary>The connection ended in mid-batch; after <see cref="MaxBreaks"/> with nothing done its address counts as tried.</summary>
    public void Broke(SmtpConnectionException error, string remoteHost, bool hasProgressed)
    {
        Note(new ResolutionFailure(IsPermanent: false, error.Status, error.Reply), remoteHost);
        context.Log.ConnectionEnded(batch.Domain, remoteHost, error.Reply);
        if (!hasProgressed)
        {
            _breaks++;
            return;
        }

        HasProgressed = true;
        _breaks = 0;
        _hosts.Clear();
        _addresses.Clear();
        _tries = 0;
        foreach (var host in hosts)
            _hosts.Enqueue(host);
    }

    /// <summary>The next connection; null when no address is left, or the batch's time is over.</summary>
    public async Task<SmtpClientConnection?> NextAsync()
    {
        while (batch.MayGoOn && await NextAddressAsync() is { } address)
        {
            var result = await connector.ConnectAsync(_host!, address, policy, context.Stopping);
            if (result.Connection is { } connection)
            {
                HasSpoken = true;
                context.Log.Connected(batch.Domain, result.RemoteHost, connection.Tls);
                return connection;
            }

            _breaks = 0;
            Note(new ResolutionFailure(IsPermanent: false, result.Status, result.Reply), result.RemoteHost);
            context.Log.HostFailed(batch.Domain, result.RemoteHost, result.Reply);
        }

        return null;
    }

    private async Task<IPAddress?> NextAddressAsync()
    {
        if (_breaks is > 0 and < MaxBreaks && _address is not null)
            return _address;
        _breaks = 0;
        if (_tries >= context.Options.MaxHosts)
            return null;
        while (_addresses.Count == 0)
        {
            if (!_hosts.TryDequeue(out _host))
                return null;
            var found = await resolver.AddressesAsync(_host);
            if (found.Failure is { } failure)
                Note(failure, "");
            foreach (var address in found.Addresses)
                _addresses.Enqueue(address);
        }

        _tries++;
        return _address = _addresses.Dequeue();
    }

    private void Note(ResolutionFailure failure, string remoteHost)
    {
        if (failure.IsPermanent && !Failure.IsPermanent)
            return;
        Failure = failure;
        FailedHost = remoteHost;
    }
}
