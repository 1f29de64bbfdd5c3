using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// What a report tells of one message. Two messages that a report need not tell apart have the same one, with the same text, by which they are counted.
/// What strangers wrote is in it as plain text of a bounded length.
/// </summary>
public sealed record DmarcJudgement(DmarcReportPolicy Policy, DmarcReportSource Source)
{
    /// <summary>Of a name or a comment, in UTF-16 units.</summary>
    private const int MaxText = 255;

    /// <summary>Of one message; who signs more often is not told of the rest.</summary>
    private const int MostSignatures = 4;

    /// <param name="results">With DMARC, and a record that was found.</param>
    /// <param name="done">What became of the message.</param>
    /// <param name="reasons">Why, where that is not what the record asks for.</param>
    public static DmarcJudgement Of(MessageResults results, IPAddress client, DmarcDiscoveryMode discovery, DmarcPolicy done, IReadOnlyList<DmarcReportReason> reasons)
    {
        ArgumentNullException.ThrowIfNull(results);
        ArgumentNullException.ThrowIfNull(client);
        if (results.Dmarc is not { Record: not null } dmarc)
            throw new ArgumentException("No record was found.", nameof(results));
        // RFC 7489 §7.2: SPF of the identity that counts, which at a null path is the greeting.
        var spf = results.MailFrom ?? results.Helo;
        var source = new DmarcReportSource(
            (client.IsIPv4MappedToIPv6 ? client.MapToIPv4() : client).ToString(), Word(done), dmarc.IsDkimAligned, dmarc.IsSpfAligned, Plain(dmarc.Author), Plain(results.Sender[(results.Sender.LastIndexOf('@') + 1)..]))
        {
            Reasons = [.. reasons.Select(reason => reason with { Comment = Plain(reason.Comment) })],
            Dkim = [.. (results.Dkim ?? []).OrderBy(signature => Rank(signature, dmarc.Author)).Take(MostSignatures)
                .Select(signature => new DmarcReportSignature(Plain(signature.Domain), Plain(signature.Selector), AuthenticationWords.Of(signature.Status)))],
            Spf = spf is null ? [] : [new(Plain(spf.Domain), spf.Identity == SpfIdentity.Helo ? "helo" : "mfrom", AuthenticationWords.Of(spf.Status))],
        };
        return new DmarcJudgement(PolicyOf(dmarc.RecordDomain, dmarc.Record, discovery), source);
    }

    /// <summary>Reads what <see cref="ToText"/> wrote; null: it is none of that.</summary>
    public static DmarcJudgement? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize(text, DmarcJson.Default.DmarcJudgement);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The judgement with what a stranger can vary least alone, for messages of a domain whose kinds there is no more room for.</summary>
    public DmarcJudgement ToCoarse() => this with
    {
        Source = new DmarcReportSource(Source.Address, Source.Disposition, Source.IsDkimAligned, Source.IsSpfAligned, Source.HeaderFrom, "")
        {
            Reasons = [new("other", "single results are left out: there were too many kinds")],
            // RFC 7489, appendix C: there is one at least.
            Spf = [new(Source.HeaderFrom, "mfrom", AuthenticationWords.Of(Source.IsSpfAligned ? AuthenticationStatus.Pass : AuthenticationStatus.None))],
        },
    };

    public string ToText() => JsonSerializer.Serialize(this, DmarcJson.Default.DmarcJudgement);

    /// <summary>Those that decide come first, and others in the order of the message.</summary>
    private static int Rank(DkimResult signature, string author)
    {
        var isAligned = PublicSuffixList.BuiltIn.OrganizationOf(signature.Domain) == PublicSuffixList.BuiltIn.OrganizationOf(author);
        return (signature.Status == AuthenticationStatus.Pass ? 0 : 2) + (isAligned ? 0 : 1);
    }

    private static DmarcReportPolicy PolicyOf(string domain, DmarcRecord record, DmarcDiscoveryMode discovery)
    {
        var policy = new DmarcReportPolicy(
            Plain(domain), record.IsDkimStrict ? "s" : "r", record.IsSpfStrict ? "s" : "r", Word(record.Policy), Word(record.SubdomainPolicy ?? record.Policy),
            record.Percent, Plain(record.FailureOptions));
        return discovery != DmarcDiscoveryMode.TreeWalk ? policy : policy with
        {
            NonexistentPolicy = record.NonexistentPolicy is { } nonexistent ? Word(nonexistent) : "",
            Testing = record.IsTesting ? "y" : "n",
            Discovery = "treewalk",
        };
    }

    private static string Word(DmarcPolicy policy) => policy.ToString().ToLowerInvariant();

    // Two characters that are none are no part of XML either.
    private static string Plain(string text) => PlainText.Of(PlainText.Cut(text, MaxText)).Replace('\uFFFE', '?').Replace('\uFFFF', '?');
}

[JsonSourceGenerationOptions(DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingDefault)]
[JsonSerializable(typeof(DmarcJudgement))]
internal sealed partial class DmarcJson : JsonSerializerContext;
