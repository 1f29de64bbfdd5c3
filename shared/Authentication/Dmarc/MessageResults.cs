using System.Globalization;
using System.Text;
using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>All that was found of one message, and the field that says so.</summary>
/// <param name="Sender">As the envelope has it; empty for the null path.</param>
/// <param name="MailFrom">SPF of the sender; null: it was not asked.</param>
/// <param name="Helo">SPF of the greeting; null: it was not asked.</param>
/// <param name="Dkim">Of each signature; null: nobody looked.</param>
/// <param name="Arc">Of its chain; null: nobody looked.</param>
/// <param name="Dmarc">Null: it was not asked.</param>
public sealed record MessageResults(
    string Sender, SpfResult? MailFrom, SpfResult? Helo, IReadOnlyList<DkimResult>? Dkim, ArcResult? Arc, DmarcResult? Dmarc)
{
    /// <summary>
    /// Most octets of the field: it shares with others what may stand in front of a message. Signatures alone can be so long, or so many, that some of
    /// them are left out.
    /// </summary>
    public const int MaxFieldBytes = 8 * 1024;

    /// <summary>What became of what DMARC asks for, where it is not done: in a word of the field's comment; empty otherwise.</summary>
    public string Override { get; init; } = "";

    /// <summary>What each method found, in a word: of several signatures the best one.</summary>
    public IEnumerable<(string Method, AuthenticationStatus Status)> ByMethod
    {
        get
        {
            if ((MailFrom ?? Helo) is { } spf)
                yield return ("spf", spf.Status);
            if (Dkim is not null)
                yield return ("dkim", Best(Dkim));
            // Of what was never forwarded nothing is said.
            if (Arc is { Status: not AuthenticationStatus.None })
                yield return ("arc", Arc.Status);
            if (Dmarc is not null)
                yield return ("dmarc", Dmarc.Status);
        }
    }

    /// <summary>
    /// RFC 8601 §2.7, in <see cref="MaxFieldBytes"/> at most. Why something is an error is for the operator and not in the field: it may name hosts of
    /// ours.
    /// </summary>
    public AuthenticationResults ToField(string authServId)
    {
        var results = new List<MethodResult>();
        // RFC 7208 §2.4: without a sender it is the greeting that was asked about.
        if (MailFrom is not null && Sender.Length > 0)
            results.Add(Of("spf", MailFrom.Status, new ResultProperty("smtp", "mailfrom", Ascii.IsValid(Sender) ? Sender : MailFrom.Domain)));
        if (Helo is not null)
            results.Add(Of("spf", Helo.Status, new ResultProperty("smtp", "helo", Helo.Domain)));
        if (Dkim is { Count: 0 })
            results.Add(Of("dkim", AuthenticationStatus.None));
        var beforeSignatures = results.Count;
        if (Arc is { Status: not AuthenticationStatus.None })
        {
            results.Add(Of("arc", Arc.Status) with
            {
                Comment = Arc.Sets > 0 ? string.Create(CultureInfo.InvariantCulture, $"i={Arc.Sets} sealed by {Arc.Sealer}") : "",
            });
        }

        if (Dmarc is not null)
            results.Add(Of(Dmarc));
        if (Dkim is { Count: > 0 })
            results.InsertRange(beforeSignatures, Of(Dkim, MaxFieldBytes - new AuthenticationResults(authServId, results).ToString().Length));
        return new AuthenticationResults(authServId, results);
    }

    /// <summary>
    /// The results of the signatures in the order of the message, as far as there is room for them: a pass comes before what is none, so that nobody
    /// hides it behind others. One at least is there, and says how many are left out.
    /// </summary>
    private static List<MethodResult> Of(IReadOnlyList<DkimResult> signatures, int room)
    {
        var results = signatures.Select((signature, place) => (Result: Of(signature), Place: place, IsPass: signature is { Status: AuthenticationStatus.Pass, LeavesBodyUncovered: false }))
            .OrderByDescending(one => one.IsPass).ToList();
        var kept = 0;
        // What says that others are left out has room as well.
        room -= LeftOut(results.Count).Length + 4;
        while (kept < results.Count && (room -= AuthenticationResults.LengthOf(results[kept].Result)) >= 0)
            kept++;
        kept = Math.Max(kept, 1);
        var written = results.Take(kept).OrderBy(one => one.Place).Select(one => one.Result).ToList();
        if (kept < results.Count)
            written[^1] = written[^1] with { Comment = $"{(written[^1].Comment is { Length: > 0 } comment ? $"{comment}; " : "")}{LeftOut(results.Count - kept)}" };
        return written;
    }

    private static string LeftOut(int signatures) => string.Create(CultureInfo.InvariantCulture, $"{signatures} more signature{(signatures == 1 ? " is" : "s are")} left out");

    private static AuthenticationStatus Best(IReadOnlyList<DkimResult> signatures)
    {
        ReadOnlySpan<AuthenticationStatus> order =
            [AuthenticationStatus.Pass, AuthenticationStatus.TemporaryError, AuthenticationStatus.Policy, AuthenticationStatus.Fail, AuthenticationStatus.Neutral];
        foreach (var status in order)
        {
            if (signatures.Any(signature => signature.Status == status))
                return status;
        }

        return signatures.Count > 0 ? AuthenticationStatus.PermanentError : AuthenticationStatus.None;
    }

    private static MethodResult Of(string method, AuthenticationStatus status, params ResultProperty[] properties) =>
        new(method, AuthenticationWords.Of(status)) { Properties = properties };

    // RFC 8601 §2.7.1, RFC 6008
    private static MethodResult Of(DkimResult signature) => Of("dkim", signature.Status) with
    {
        Comment = signature is { LeavesBodyUncovered: true, Status: AuthenticationStatus.Pass } ? $"{signature.Reason}, not counted for DMARC" : "",
        Properties =
        [
            .. new ResultProperty[]
            {
                new("header", "d", signature.Domain), new("header", "i", signature.Identity), new("header", "s", signature.Selector),
                new("header", "a", signature.Algorithm), new("header", "b", signature.SignatureStart),
            }.Where(property => property.Value.Length > 0),
        ],
    };

    // RFC 7489 §11.2
    private MethodResult Of(DmarcResult dmarc)
    {
        var result = Of("dmarc", dmarc.Status);
        if (dmarc.Author.Length > 0)
            result = result with { Properties = [new("header", "from", dmarc.Author)] };
        if (dmarc.Record is null)
            return result;
        return result with
        {
            Comment = $"p={Word(dmarc.Published)}{(Override.Length > 0 ? $" override={Override}" : "")}",
            Properties = [.. result.Properties, new("policy", "dmarc", Word(Override.Length > 0 ? DmarcPolicy.None : dmarc.Disposition))],
        };
    }

    private static string Word(DmarcPolicy policy) => policy.ToString().ToLowerInvariant();
}
