using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Asks the domain that a message says it is from whether it is (RFC 7489 §6.6): it is where SPF passed, or a signature is valid, for a domain
/// that is aligned with it. Of several authors the one decides whose policy asks for most.
/// </summary>
public sealed class DmarcCheck(IDnsLookup dns, DmarcDiscoveryMode mode, Func<PublicSuffixList> suffixes, Random random)
{
    /// <param name="authors">Of whom the message says that it is.</param>
    /// <param name="spf">Of the sender of its envelope (RFC 7489 §4.1), not of the greeting; null: it was not asked.</param>
    /// <param name="dkim">Of its signatures.</param>
    /// <param name="steps">Gets the steps on the way, where somebody wants to see them.</param>
    /// <param name="deadline">The time is up.</param>
    public Task<DmarcResult> CheckAsync(
        AuthorDomains authors, SpfResult? spf, IReadOnlyList<DkimResult> dkim, ICollection<string>? steps, CancellationToken deadline) =>
        Begin(authors, steps, deadline).EndAsync(spf, dkim);

    /// <summary>The check in two steps: policies are asked for at once, and what other methods found may come later.</summary>
    /// <inheritdoc cref="CheckAsync"/>
    public DmarcInquiry Begin(AuthorDomains authors, ICollection<string>? steps, CancellationToken deadline)
    {
        ArgumentNullException.ThrowIfNull(authors);
        return new DmarcInquiry(
            new DmarcDiscovery(dns, mode, mode == DmarcDiscoveryMode.PublicSuffixList ? suffixes() : PublicSuffixList.None, steps, deadline), authors, mode, random, steps);
    }
}
