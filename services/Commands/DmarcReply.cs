using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Mail;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>Reports by DMARC, in words and as JSON.</summary>
internal static class DmarcReply
{
    public static Reply Of(DmarcDomainsFound found) => Reply.Show("dmarcDomains", [.. Parts(found)], json =>
    {
        json.WriteAll("domains", found.Domains, domain => Write(json, "domain", domain));
        json.WriteBoolean("more", found.HasMore);
    });

    public static Reply Of(DmarcDomainFound found) => Reply.Show("dmarcDomain", [.. Parts(found)], json =>
    {
        json.WriteString("domain", found.Domain);
        json.WriteAll("sources", found.Sources, source => Write(json, "source", source));
        json.WriteBoolean("moreSources", found.HasMoreSources);
        json.WriteAll("organizations", found.Organizations, organization => Write(json, "organization", organization));
        json.WriteBoolean("moreOrganizations", found.HasMoreOrganizations);
    });

    public static Reply Of(DmarcSentFound found) => Reply.Show("dmarcSent", [.. Parts(found)], json =>
    {
        json.WriteAll("reports", found.Reports, report =>
        {
            json.WriteString("id", MessageIds.ToText(report.MessageId));
            json.WriteString("domain", report.Domain);
            json.WriteString("day", Day(report.Day));
            json.WriteString("recipient", report.Recipient);
            json.WriteString("reportId", report.ReportId);
            json.WriteNumber("rows", report.Rows);
            json.WriteNumber("messages", report.Messages);
            json.WriteTime("sentAt", report.SentAt);
        });
        json.WriteBoolean("more", found.HasMore);
    });

    public static Reply Of(DmarcReport report) => Reply.Show("dmarcReport", [.. Parts(report)], json =>
    {
        json.WriteString("organization", report.Head.Organization);
        json.WriteString("email", report.Head.Email);
        json.WriteString("reportId", report.Head.Id);
        json.WriteTime("begin", report.Head.Begin);
        json.WriteTime("end", report.Head.End);
        json.WriteStrings("errors", report.Head.Errors);
        json.WriteString("domain", report.Policy.Domain);
        json.WriteString("policy", report.Policy.Policy);
        json.WriteString("subdomainPolicy", report.Policy.SubdomainPolicy);
        json.WriteAll("rows", report.Rows, row =>
        {
            var source = row.Source;
            json.WriteString("source", source.Address);
            json.WriteNumber("messages", row.Messages);
            json.WriteString("disposition", source.Disposition);
            json.WriteBoolean("dkim", source.IsDkimAligned);
            json.WriteBoolean("spf", source.IsSpfAligned);
            json.WriteString("headerFrom", source.HeaderFrom);
            json.WriteString("envelopeFrom", source.EnvelopeFrom);
            json.WriteStrings("reasons", [.. source.Reasons.Select(Words)]);
            json.WriteStrings("results", [.. Results(source)]);
        });
        json.WriteNumber("omitted", report.OmittedMessages);
    });

    private static IEnumerable<ReplyPart> Parts(DmarcDomainsFound found)
    {
        if (found.Domains.Count == 0)
        {
            yield return new LinePart("Nothing is reported");
            yield break;
        }

        yield return Table("domain", found.Domains);
        if (found.HasMore)
            yield return new LinePart($"... and more; the {Number(found.Domains.Count)} with most messages are shown");
    }

    private static IEnumerable<ReplyPart> Parts(DmarcDomainFound found)
    {
        if (found.Sources.Count == 0)
        {
            yield return new LinePart($"Nothing is reported of {OneLine(found.Domain)}");
            yield break;
        }

        yield return Table("source", found.Sources);
        if (found.HasMoreSources)
            yield return new LinePart($"... and more; the {Number(found.Sources.Count)} with most messages are shown");
        yield return new LinePart("");
        yield return new TablePart(
            ["reported by", "reports", "proven", "messages", "failed"],
            [.. found.Organizations.Select(sum => (string[])
                [OneLine(sum.Name), Number(sum.Reports), Number(sum.ProvenReports), Number(sum.Messages), Number(sum.Failed)])]);
        if (found.HasMoreOrganizations)
            yield return new LinePart($"... and more; the {Number(found.Organizations.Count)} with most messages are shown");
    }

    private static IEnumerable<ReplyPart> Parts(DmarcSentFound found)
    {
        if (found.Reports.Count == 0)
        {
            yield return new LinePart("No report was sent");
            yield break;
        }

        yield return new TablePart(
            ["message", "domain", "day", "to", "rows", "messages", "sent"],
            [.. found.Reports.Select(report => (string[])
            [
                MessageIds.ToText(report.MessageId), Name(report.Domain), Day(report.Day), OneLine(report.Recipient), Number(report.Rows), Number(report.Messages),
                Second(report.SentAt),
            ])]);
        if (found.HasMore)
            yield return new LinePart($"... and more; the last {Number(found.Reports.Count)} are shown");
    }

    private static IEnumerable<ReplyPart> Parts(DmarcReport report)
    {
        yield return new LinePart(
            $"{OneLine(report.Head.Organization)} reports of {Name(report.Policy.Domain)} (p={OneLine(report.Policy.Policy)}), from {Second(report.Head.Begin)} to {Second(report.Head.End)}");
        foreach (var error in report.Head.Errors)
            yield return new LinePart($"It says: {OneLine(error)}");
        if (report.Rows.Count > 0)
        {
            yield return new TablePart(
                ["source", "messages", "done", "DKIM", "SPF", "From", "sender", "found", "because of"],
                [.. report.Rows.Select(row => (string[])
                [
                    row.Source.Address, Number(row.Messages), row.Source.Disposition, Passed(row.Source.IsDkimAligned), Passed(row.Source.IsSpfAligned),
                    OneLine(row.Source.HeaderFrom), OneLine(row.Source.EnvelopeFrom), OneLine(string.Join("; ", Results(row.Source))),
                    OneLine(string.Join("; ", row.Source.Reasons.Select(Words))),
                ])]);
        }

        if (report.OmittedMessages > 0)
            yield return new LinePart($"... and {Number(report.OmittedMessages)} messages in rows that are not shown");
    }

    private static TablePart Table(string what, IReadOnlyList<DmarcSum> sums) => new(
        [what, "messages", "DKIM", "SPF", "failed", "quarantined", "rejected", "reported by"],
        [.. sums.Select(sum => (string[])
        [
            Name(sum.Name), Number(sum.Messages), Number(sum.Dkim), Number(sum.Spf), Number(sum.Failed), Number(sum.Quarantined), Number(sum.Rejected),
            OneLine(sum.FirstOrganization) + (sum.Organizations > 1 ? $" and {Number(sum.Organizations - 1)} more" : ""),
        ])]);

    private static string Passed(bool isAligned) => isAligned ? "pass" : "fail";

    private static string Words(DmarcReportReason reason) => reason.Comment.Length > 0 ? $"{reason.Type} ({reason.Comment})" : reason.Type;

    private static IEnumerable<string> Results(DmarcReportSource source) =>
        source.Dkim.Select(signature => $"dkim={signature.Result} {signature.Domain}{(signature.Selector.Length > 0 ? $"/{signature.Selector}" : "")}")
            .Concat(source.Spf.Select(spf => $"spf={spf.Result} {spf.Domain} ({spf.Scope})"));

    private static string Day(long day) => $"{DateTimeOffset.FromUnixTimeSeconds(day * 86_400):yyyy-MM-dd}";

    private static void Write(Utf8JsonWriter json, string name, DmarcSum sum)
    {
        json.WriteString(name, sum.Name);
        json.WriteNumber("reports", sum.Reports);
        json.WriteNumber("provenReports", sum.ProvenReports);
        json.WriteNumber("organizations", sum.Organizations);
        json.WriteNumber("messages", sum.Messages);
        json.WriteNumber("dkim", sum.Dkim);
        json.WriteNumber("spf", sum.Spf);
        json.WriteNumber("failed", sum.Failed);
        json.WriteNumber("quarantined", sum.Quarantined);
        json.WriteNumber("rejected", sum.Rejected);
    }
}
