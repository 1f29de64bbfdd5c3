namespace MailPipeline.Ingress.Checks;

/// <summary>
/// What is thought of a client by the names that its address has in DNS and by the name that it greets with. Section "ClientHost" of the policy.
/// RFC 5321 §4.1.4 wants nobody refused for the name that he greets with; an operator may.
/// </summary>
public sealed class ClientHostOptions
{
    /// <summary>The listeners on which it is asked. Default Mx.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>Of a client whose address has no name. Default Accept.</summary>
    public NamePolicy NoName { get; set; }

    /// <summary>Of a client whose address has names, none of which has that address. Default Accept.</summary>
    public NamePolicy Unconfirmed { get; set; }

    /// <summary>Of a client that greets with a domain name that has neither addresses nor MX. Default Accept.</summary>
    public NamePolicy GreetingUnknown { get; set; }

    /// <summary>Of a client that greets with a name, or an address, whose address is another one than its own. Default Accept.</summary>
    public NamePolicy GreetingElsewhere { get; set; }

    /// <summary>How long a client waits at RCPT for the answers; without them it goes on. Default 5 s.</summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(5);

    internal bool AsksAddress => NoName != NamePolicy.Accept || Unconfirmed != NamePolicy.Accept;

    internal bool AsksGreeting => GreetingUnknown != NamePolicy.Accept || GreetingElsewhere != NamePolicy.Accept;

    internal bool IsOn => !Listeners.IsNone && (AsksAddress || AsksGreeting);

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        PolicyOptions.RequireTime($"{setting}:MaxWait", MaxWait, TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(30), failures);
        foreach (var (name, value) in new[]
        {
            (nameof(NoName), NoName), (nameof(Unconfirmed), Unconfirmed), (nameof(GreetingUnknown), GreetingUnknown), (nameof(GreetingElsewhere), GreetingElsewhere),
        })
        {
            if (!Enum.IsDefined(value))
                failures.Add($"{setting}:{name} is {value}; it must be one of {string.Join(", ", Enum.GetNames<NamePolicy>())}");
        }
    }
}
