using MailPipeline.LineServer;

namespace MailPipeline.Ingress.Checks;

/// <summary>Whose connections are refused. Section "Ingress:Checks:ClientNetwork".</summary>
public sealed class ClientNetworkOptions
{
    /// <summary>The listeners on which it is asked. Default All.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.All;

    /// <summary>Addresses and networks (CIDR) that are greeted with 554. Default: none.</summary>
    public IList<string> Refused { get; init; } = [];

    /// <summary>Those among them that are let through all the same. Default: none.</summary>
    public IList<string> Except { get; init; } = [];

    internal ListenerSet AskedOn => Refused.Count > 0 ? Listeners : ListenerKinds.None;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        foreach (var (name, networks) in new[] { (nameof(Refused), Refused), (nameof(Except), Except) })
        {
            for (var i = 0; i < networks.Count; i++)
            {
                if (!ClientNetworks.TryParse(networks[i], out _))
                    failures.Add($"{setting}:{name}:{i} is '{networks[i]}'; it must be an IP address or a network such as 192.0.2.0/24");
            }
        }

        if (Except.Count > 0 && Refused.Count == 0)
            failures.Add($"{setting}:Except has entries, and {setting}:Refused has none to make an exception of");
    }
}
