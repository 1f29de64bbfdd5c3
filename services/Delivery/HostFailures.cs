using System.Net;

namespace MailPipeline.Delivery;

/// <summary>
/// Hosts and addresses that could not be reached lately. They are tried after the others, so that the next attempt begins elsewhere; one
/// that has failed longest ago comes first among them.
/// </summary>
internal sealed class HostFailures(TimeProvider time)
{
    private const int Remembered = 20_000;

    private static readonly TimeSpan s_lately = TimeSpan.FromHours(1);

    private readonly RecentEvents _events = new(Remembered, s_lately, time);

    /// <summary>No address of it could be found, or none could be reached.</summary>
    public void Note(TargetHost host) => _events.Note(host.Name);

    public void Note(IPAddress address) => _events.Note(address.ToString());

    public void Forget(TargetHost host, IPAddress address)
    {
        _events.Forget(host.Name);
        _events.Forget(address.ToString());
    }

    public IEnumerable<TargetHost> LivingFirst(IEnumerable<TargetHost> hosts) => LivingFirst(hosts, host => host.Name);

    public IEnumerable<IPAddress> LivingFirst(IEnumerable<IPAddress> addresses) => LivingFirst(addresses, address => address.ToString());

    /// <summary>The order stays otherwise: of hosts by preference, of addresses as they are preferred.</summary>
    private IEnumerable<T> LivingFirst<T>(IEnumerable<T> all, Func<T, string> nameOf) =>
        all.OrderByDescending(one => _events.Age(nameOf(one)) ?? TimeSpan.MaxValue);
}
