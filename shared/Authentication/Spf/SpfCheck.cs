using System.Text;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Spf;

/// <summary>
/// Asks whether a client may use a name (RFC 7208 §4, check_host). What it costs is bounded by <see cref="SpfLimits"/>, and by whoever
/// cancels it: what is not known by then is a temporary error. It never throws, whatever is published.
/// </summary>
public sealed class SpfCheck(IDnsLookup dns, SpfLimits? limits = null)
{
    private const int MaxLabelChars = 63;
    private const int MaxNameChars = 253;

    private readonly SpfLimits _limits = limits ?? SpfLimits.Default;

    /// <param name="question">Who asks to be judged.</param>
    /// <param name="steps">Gets the steps on the way, where somebody wants to see them.</param>
    /// <param name="deadline">The time is up.</param>
    public async Task<SpfResult> CheckAsync(SpfQuestion question, ICollection<SpfStep>? steps, CancellationToken deadline)
    {
        ArgumentNullException.ThrowIfNull(question);
        var result = new SpfResult(AuthenticationStatus.None, question.Identity, question.Domain);
        if (!IsName(question.Domain))
            return result with { Reason = "not a domain name of two parts or more" };
        var run = new SpfRun(dns, _limits, question, steps, deadline);
        try
        {
            var found = await run.CheckHostAsync(question.Domain, depth: 0);
            return result with
            {
                Status = found.Status, Mechanism = found.Mechanism, Reason = found.Reason, Limit = found.Limit, LookUps = run.LookUps,
                Explanation = found.Status == AuthenticationStatus.Fail ? await run.ExplainAsync(found) : "",
            };
        }
        catch (OperationCanceledException)
        {
            return result with
            {
                Status = AuthenticationStatus.TemporaryError, Reason = "not found out in time", Limit = SpfLimit.Time, LookUps = run.LookUps,
            };
        }
    }

    /// <summary>RFC 7208 §4.3: of two labels at least, each of them of 1 to 63 octets. An address literal is none.</summary>
    internal static bool IsName(string domain)
    {
        if (domain.Length is 0 or > MaxNameChars || domain[0] == '[' || !Ascii.IsValid(domain))
            return false;
        var labels = 0;
        foreach (var range in domain.AsSpan().Split('.'))
        {
            var (_, length) = range.GetOffsetAndLength(domain.Length);
            if (length is 0 or > MaxLabelChars)
                return false;
            labels++;
        }

        return labels > 1;
    }
}
