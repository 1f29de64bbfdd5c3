using System.Text;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dmarc;

namespace MailPipeline.Ingress.Checks;

/// <summary>What the domain of a message's author is told of it in a report (RFC 7489 §7.2), where it asks for reports.</summary>
internal static class ReportedJudgement
{
    private const string LocalPolicy = "local_policy";

    /// <param name="refusal">Of the check, by what was found; null: it has none.</param>
    /// <returns>Null: nobody asks, or it is one of the messages that nobody is told of.</returns>
    public static DmarcJudgement? Of(MessageResults results, Verdict? refusal, CheckContext context, AuthenticationOptions options)
    {
        if (results.Dmarc is not { Record.AggregateReports.Count: > 0 } dmarc || IsReport(dmarc, context.Signatures?.Header))
            return null;
        var isEnforced = context.Authentication == AuthenticationPolicy.Enforce;
        var asked = dmarc.Status == AuthenticationStatus.Fail && results.Override.Length == 0 ? dmarc.Disposition : DmarcPolicy.None;
        var done = refusal?.Reply is not null ? DmarcPolicy.Reject : isEnforced ? asked : DmarcPolicy.None;
        return DmarcJudgement.Of(results, context.Client!, options.Dmarc.Discovery, done, Reasons(results, dmarc, done, isEnforced, options.Dmarc.Discovery));
    }

    // RFC 7489, appendix C: why what was done is not what is published.
    private static DmarcReportReason[] Reasons(MessageResults results, DmarcResult dmarc, DmarcPolicy done, bool isEnforced, DmarcDiscoveryMode discovery)
    {
        var published = dmarc.Status == AuthenticationStatus.Pass ? DmarcPolicy.None : dmarc.Published;
        if (done == published)
            return [];
        return
        [
            results.Override switch
            {
                "trusted-sealer" => new(LocalPolicy, ChainOf(results)),
                "network" => new("trusted_forwarder", ""),
                "domain" => new(LocalPolicy, "this domain's policy is not applied here"),
                _ when done > published => new(LocalPolicy, "refused by SPF"),
                _ when !isEnforced => new(LocalPolicy, "policies are not applied here"),
                _ when dmarc.Status != AuthenticationStatus.Fail => new("other", "it may have passed: DNS gave no answer"),
                _ => new(discovery == DmarcDiscoveryMode.TreeWalk ? "policy_test_mode" : "sampled_out", ""),
            },
        ];
    }

    // RFC 8617 §7.2.2
    private static string ChainOf(MessageResults results) =>
        $"arc=pass {string.Join(' ', (results.Arc?.Sealers ?? []).Select((sealer, index) => $"as[{results.Arc!.Sets - index}].d={sealer}"))}";

    /// <summary>
    /// It is a report itself, in the form that RFC 7489 §7.2.1.1 and RFC 8460 §5.3 ask of its subject, from whom it says: two systems would report each other's
    /// reports for ever. What somebody has forged is reported, whatever its subject.
    /// </summary>
    private static bool IsReport(DmarcResult dmarc, MessageHeader? header)
    {
        if (dmarc.Status != AuthenticationStatus.Pass || header?.Named("subject") is not [var field])
            return false;
        var words = Encoding.Latin1.GetString(field.Value.Span).Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        return words is ["Report", _, ..] && words[1].StartsWith("Domain:", StringComparison.OrdinalIgnoreCase)
            && Array.Exists(words, word => word.StartsWith("Submitter:", StringComparison.OrdinalIgnoreCase))
            && Array.Exists(words, word => word.StartsWith("Report-ID:", StringComparison.OrdinalIgnoreCase));
    }
}
