using MailPipeline.Mail;

namespace MailPipeline.Ingress.Checks;

/// <summary>How much of a sender may wait here. Section "SenderQueues:N" of the policy.</summary>
public sealed class SenderQueueOptions
{
    internal const long LargestBound = 1_000_000_000;

    /// <summary>
    /// An account, "*@example.org" or "example.org" (each account of the domain by itself, and the domain as one sender of those who do not log in),
    /// "*.example.org" (all below it), "&lt;&gt;" (reports) or "*". Of several entries the first that fits counts.
    /// </summary>
    public string From { get; set; } = "";

    /// <summary>So many recipients of each such sender may wait, for whichever domain and whatever reason but that they are held. 0: no bound.</summary>
    public long? MaxRecipients { get; set; }

    internal void Validate(string setting, List<string> failures)
    {
        if (!SenderPattern.IsOne(From))
        {
            failures.Add(
                $"{setting}:{nameof(From)} is '{From}'; it must be an address, a domain, '*@' or '*.' and a domain, '{SenderPattern.NullSender}' for reports, or '*'");
        }
        if (MaxRecipients is not (>= 0 and <= LargestBound))
            failures.Add($"{setting}:{nameof(MaxRecipients)} is {(MaxRecipients is { } most ? most : "not set")}; it must be 1 to {LargestBound}, or 0 for no bound");
    }
}
