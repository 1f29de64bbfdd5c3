namespace MailPipeline.Ingress.Checks;

/// <summary>Clients that speak before they are greeted, as no mail server does. Section "EarlyTalkers" of the policy.</summary>
public sealed class EarlyTalkerOptions
{
    /// <summary>The listeners on which the greeting waits. Default Mx. Where TLS comes first it never does.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.Mx;

    /// <summary>How long the greeting of a stranger waits for him to speak; 0: it does not. Default 0. Postfix's postscreen waits 6 s.</summary>
    public TimeSpan Wait { get; set; }

    /// <summary>What becomes of who speaks: Refuse (554 5.5.1) or Tag ("early-talker"). Default Refuse.</summary>
    public NamePolicy Verdict { get; set; } = NamePolicy.Refuse;

    internal bool IsOn => Wait > TimeSpan.Zero && !Listeners.IsNone && Verdict != NamePolicy.Accept;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        // RFC 5321 §4.5.3.2.1: a client waits five minutes for the greeting; many wait less.
        PolicyOptions.RequireTime($"{setting}:Wait", Wait, TimeSpan.Zero, TimeSpan.FromSeconds(30), failures);
        if (Verdict is not (NamePolicy.Refuse or NamePolicy.Tag))
            failures.Add($"{setting}:Verdict is {Verdict}; it must be one of {NamePolicy.Tag}, {NamePolicy.Refuse}");
    }
}
