using System.Net;
using System.Net.Sockets;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Sources;

/// <summary>
/// Which of the file's addresses this process can send from: those that a socket can be bound to here, and those of an egress; of these, where
/// <see cref="DeliveryOptions.SourceAddresses"/> names some, only those. Not safe for threads: the lock is its owner's.
/// </summary>
internal sealed class HostSources
{
    /// <summary>Addresses come and go while a process runs: another node takes one over.</summary>
    private static readonly TimeSpan s_known = TimeSpan.FromSeconds(30);

    private readonly TimeProvider _time;
    private readonly HashSet<IPAddress> _only;
    private readonly Dictionary<IPAddress, (bool IsHere, long At)> _bound = [];

    public HostSources(IOptions<DeliveryOptions> options, TimeProvider time)
    {
        _time = time;
        _only = [.. options.Value.SourceAddresses.Select(text => HostAddress.TryParse(text, out var address) ? address : IPAddress.None)];
    }

    public bool Has(Source source) =>
        (_only.Count == 0 || _only.Contains(source.Address)) && (source.Egress is not null || CanBind(source.Local));

    /// <summary>It could not be bound after all: it is looked at again.</summary>
    public void Forget(Source source) => _bound.Remove(source.Local);

    private bool CanBind(IPAddress address)
    {
        if (_bound.TryGetValue(address, out var known) && _time.GetElapsedTime(known.At) < s_known)
            return known.IsHere;
        bool isHere;
        try
        {
            using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(address, 0));
            isHere = true;
        }
        catch (SocketException)
        {
            isHere = false;
        }

        _bound[address] = (isHere, _time.GetTimestamp());
        return isHere;
    }
}
