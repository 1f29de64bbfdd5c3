namespace MailPipeline.Ingress.Checks;

/// <summary>Whether the signatures of received messages are verified, and at what cost. Section "Ingress:Checks:Signatures".</summary>
public sealed class SignatureOptions
{
    /// <summary>Where DKIM signatures and ARC seals are verified. Default None: it needs the DNS.</summary>
    public ListenerSet Listeners { get; set; } = ListenerKinds.None;

    /// <summary>DKIM signatures of one message that are judged, from the top down. Default 8.</summary>
    public int MaxSignatures { get; set; } = 8;

    /// <summary>
    /// Longest wait for keys once the content has ended; what has no answer then is a temporary error. Default 5 s: a question is put while
    /// the content comes, and the client waits ten minutes (RFC 5321 §4.5.3.2.6).
    /// </summary>
    public TimeSpan MaxWait { get; set; } = TimeSpan.FromSeconds(5);

    internal ListenerSet AskedOn => Listeners;

    internal void Validate(string setting, IEnumerable<ListenerOptions> listeners, List<string> failures)
    {
        Listeners.Validate($"{setting}:Listeners", listeners, failures);
        if (MaxSignatures is < 1 or > 100)
            failures.Add($"{setting}:MaxSignatures is {MaxSignatures}; it must be 1 to 100");
        if (MaxWait < TimeSpan.FromMilliseconds(100) || MaxWait > TimeSpan.FromMinutes(5))
            failures.Add($"{setting}:MaxWait is {MaxWait}; it must be 100 ms to 5 min");
    }
}
