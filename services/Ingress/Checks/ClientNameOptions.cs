using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Checks;

/// <summary>What is thought of the name that a client greets with. Section "Ingress:Checks:ClientName".</summary>
public sealed class ClientNameOptions
{
    /// <summary>
    /// The listeners on which it is asked. Default Mx: the programs of our users greet with whatever their machines are called, and log in.
    /// </summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>Of a stranger that greets with a name or an address of ours. Default Accept.</summary>
    public NamePolicy Forged { get; set; }

    /// <summary>
    /// Of a client whose name is no domain name of at least two parts and no address literal: "friend", "192.0.2.1". Default Accept: many an
    /// honest client is not set up well.
    /// </summary>
    public NamePolicy Unqualified { get; set; }

    /// <summary>Names and address literals of ours, beside Ingress:HostName and the address that the client came to; only where Forged is not Accept. Default: none.</summary>
    public IList<string> OwnNames { get; init; } = [];

    internal ListenerSet AskedOn => Forged == NamePolicy.Accept && Unqualified == NamePolicy.Accept ? ListenerKinds.None : Listeners;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        Require($"{setting}:Forged", Forged);
        Require($"{setting}:Unqualified", Unqualified);
        for (var i = 0; i < OwnNames.Count; i++)
        {
            if (!SmtpAddress.TryParse($"x@{OwnNames[i]}", out _))
                failures.Add($"{setting}:OwnNames:{i} is '{OwnNames[i]}'; it must be a domain name such as mx.example.org, or an address in brackets");
        }

        if (OwnNames.Count > 0 && Forged == NamePolicy.Accept)
            failures.Add($"{setting}:OwnNames has entries, and {setting}:Forged is Accept, so that nobody is asked about them");

        void Require(string name, NamePolicy value)
        {
            if (!Enum.IsDefined(value))
                failures.Add($"{name} is {value}; it must be one of {string.Join(", ", Enum.GetNames<NamePolicy>())}");
        }
    }
}

/// <summary>What becomes of a client with such a name.</summary>
public enum NamePolicy
{
    /// <summary>It is served like any other.</summary>
    Accept,

    /// <summary>Its messages are accepted, with a tag.</summary>
    Tag,

    /// <summary>550 5.7.1 to EHLO and HELO.</summary>
    Refuse,
}
