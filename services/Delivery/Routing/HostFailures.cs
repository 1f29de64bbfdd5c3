using System.Net;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Options;

namespace MailPipeline.Delivery.Routing;

/// <summary>
/// Hosts and addresses that could not be reached lately. They are tried after the others, so that the next attempt begins elsewhere; one
/// that has failed longest ago comes first among them.
/// </summary>
internal sealed class HostFailures(IOptions<DeliveryOptions> options, TimeProvider time)
{
    private const int Remembered = 20_000;

    private static readonly TimeSpan s_lately = TimeSpan.FromHours(1);

    private readonly TimeSpan _deadTime = options.Value.DeadHostTime;

    private readonly RecentEvents _events = new(Remembered, s_lately, time);

    /// <summary>No address of it could be found.</summary>
    public void Note(TargetHost host) => _events.Note(host.Name);

    public void Note(IPAddress address) => _events.Note(address.ToString());

    /// <summary>It has an address again.</summary>
    public void Forget(TargetHost host) => _events.Forget(host.Name);

    /// <summary>It could be reached.</summary>
    public void Forget(IPAddress address) => _events.Forget(address.ToString());

    /// <summary>It could not be reached a short while ago (<see cref="DeliveryOptions.DeadHostTime"/>), by whichever batch: it is tried when nothing else is left, whatever its host's preference.</summary>
    public bool IsDead(IPAddress address) => _events.Age(address.ToString()) < _deadTime;

    /// <summary>
    /// It is about to be tried. True: it could not be reached, and its time is over: whoever else comes meanwhile takes it for dead until this one knows, so
    /// that one connection waits for an answer and not all of them.
    /// </summary>
    public bool TryProbe(IPAddress address)
    {
        if (_deadTime == TimeSpan.Zero || _events.Age(address.ToString()) is not { } age || age < _deadTime)
            return false;
        _events.Note(address.ToString());
        return true;
    }

    /// <summary>No address of it could be found when it was looked up last.</summary>
    public bool Has(TargetHost host) => _events.Has(host.Name);

    public IEnumerable<TargetHost> LivingFirst(IEnumerable<TargetHost> hosts) => LivingFirst(hosts, host => host.Name);

    public IEnumerable<IPAddress> LivingFirst(IEnumerable<IPAddress> addresses) => LivingFirst(addresses, address => address.ToString());

    /// <summary>The order stays otherwise: of hosts by preference, of addresses as they are preferred.</summary>
    private IEnumerable<T> LivingFirst<T>(IEnumerable<T> all, Func<T, string> nameOf) =>
        all.OrderByDescending(one => _events.Age(nameOf(one)) ?? TimeSpan.MaxValue);
}
