namespace MailPipeline.Ingress.Checks;

/// <summary>When a maildrop counts as full. Section "Ingress:Checks:MaildropSpace".</summary>
public sealed class MaildropSpaceOptions
{
    /// <summary>
    /// Octets in a maildrop from which on mail for it is put off with 452 4.2.2 at RCPT. Default 0: no bound. What was accepted before is
    /// delivered all the same.
    /// </summary>
    public long MaxBytes { get; set; }

    /// <summary>Where it is asked.</summary>
    internal ListenerKinds AskedOn => MaxBytes > 0 ? ListenerKinds.All : ListenerKinds.None;

    internal void Validate(string setting, List<string> failures)
    {
        if (MaxBytes < 0)
            failures.Add($"{setting}:MaxBytes is {MaxBytes}; it must be 0 (no bound) or more");
    }
}
