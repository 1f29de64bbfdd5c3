namespace MailPipeline.Ingress.Checks;

/// <summary>When a message counts as looping. Section "Ingress:Checks:Hops".</summary>
public sealed class HopOptions
{
    private const int Least = 10;
    private const int Most = 10_000;

    /// <summary>Received fields, beyond which a message is refused with 554 5.4.6; 10 to 10,000. Default 100 (RFC 5321 §6.3).</summary>
    public int Max { get; set; } = 100;

    internal void Validate(string setting, List<string> failures)
    {
        if (Max is < Least or > Most)
            failures.Add($"{setting}:Max is {Max}; it must be {Least} to {Most}");
    }
}
