using System.Diagnostics;
using System.Text.Json;
using MailPipeline.Administration;
using MailPipeline.Authentication;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Spf;
using static MailPipeline.Commands.MailText;

namespace MailPipeline.Commands;

/// <summary>What DNS says of a sender, a message or a domain, in words and as JSON.</summary>
internal static class CheckReply
{
    public static Reply Of(CheckResult result) => result switch
    {
        SenderChecked found => Reply.Show("senderChecked", [.. Parts(found)], json => Write(json, found)),
        MessageChecked found => Reply.Show("messageChecked", [.. Parts(found)], json => Write(json, found)),
        DomainChecked found => Reply.Show("domainChecked", [.. Parts(found)], json => Write(json, found)),
        SuffixListFound found => Reply.Say(found.Status, "suffixList",
            $"{(found.File.Length > 0 ? OneLine(found.File) : "The Public Suffix List that is built in")} is of {found.Of:yyyy-MM-dd} and has {Number(found.Rules)} rules",
            json => WriteList(json, found.File, found.Rules, ("of", $"{found.Of:yyyy-MM-dd}"))),
        SuffixListRenewed renewed => Reply.Say(renewed.Status, "suffixListRenewed",
            $"{OneLine(renewed.File)} has the newest list, with {Number(renewed.Rules)} rules; servers with it as Ingress:Checks:Authentication:Dmarc:PublicSuffixFile read it within a minute",
            json => WriteList(json, renewed.File, renewed.Rules, ("from", renewed.From))),
        SuffixListNotRenewed kept => Reply.Say(kept.Status, "suffixListNotRenewed",
            $"{OneLine(kept.File)} is as it was: from {OneLine(kept.From)} no list came, {OneLine(Reason(kept))}", json => WriteReason(json, kept.File, Reason(kept))),
        QueuePolicyChecked found => QueuePolicyReply.Of(found),
        QueuePolicyFaulty faulty => QueuePolicyReply.Of(faulty),
        DmarcReportShown { Report: var report } => DmarcReply.Of(report),
        FileUnusable unusable => Reply.Say(unusable.Status, "fileUnusable",
            $"'{OneLine(unusable.File)}' cannot be used: {OneLine(unusable.Reason)}", json => WriteReason(json, unusable.File, unusable.Reason)),
        CheckMistyped { Thing: CheckedThing.Client, Typed: var typed } => Reply.Say(result.Status, "notAnIpAddress", $"'{typed}' is not an IP address", static _ => { }),
        CheckMistyped { Thing: CheckedThing.Sender, Typed: var typed } => Reply.Say(result.Status, "notASender", $"'{typed}' is not a mail address with a domain, nor <>", static _ => { }),
        CheckMistyped { Thing: CheckedThing.Source, Typed: var typed } => Reply.Say(result.Status, "notASource", $"'{typed}' is not an https address", static _ => { }),
        CheckMistyped { Typed: var typed } => Reply.Say(result.Status, "notADomain", $"'{typed}' is not a domain name", static _ => { }),
        _ => throw new UnreachableException($"{result.GetType().Name} has no words"),
    };

    private static string Reason(SuffixListNotRenewed kept) => kept.Cause switch
    {
        NotRenewedCause.NoAnswer => $"no answer within {kept.Detail} s",
        NotRenewedCause.Status => $"the server answered {kept.Detail}",
        _ => kept.Detail,
    };

    private static IEnumerable<ReplyPart> Parts(SenderChecked found)
    {
        foreach (var line in Steps(found.Steps))
            yield return line;
        yield return new LinePart(Sentence(found.MailFrom));
        if (ReferenceEquals(found.MailFrom, found.Helo))
            yield break;
        yield return new LinePart("");
        foreach (var line in Steps(found.HeloSteps))
            yield return line;
        yield return new LinePart(Sentence(found.Helo));
    }

    private static IEnumerable<LinePart> Steps(IReadOnlyList<SpfStep> steps) =>
        steps.Select(step => new LinePart($"{new string(' ', 2 * step.Depth)}{OneLine(step.Domain)}: {OneLine(step.Text)}"));

    private static string Sentence(SpfResult spf) =>
        $"spf={AuthenticationWords.Of(spf.Status)} {(spf.Identity == SpfIdentity.MailFrom ? "smtp.mailfrom" : "smtp.helo")}={OneLine(spf.Domain)}"
        + (spf.Mechanism.Length > 0 ? $" by {OneLine(spf.Mechanism)}" : "") + (spf.Reason.Length > 0 ? $" ({OneLine(spf.Reason)})" : "")
        + (spf.Explanation.Length > 0 ? $"; the domain explains: {spf.Explanation}" : "");

    private static IEnumerable<ReplyPart> Parts(MessageChecked found)
    {
        foreach (var (method, text) in Steps(found))
            yield return new LinePart($"{method}: {OneLine(text)}");
        yield return new LinePart("");
        foreach (var line in found.Field.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries))
            yield return new LinePart(line.Replace("\t", "    ", StringComparison.Ordinal));
    }

    /// <summary>All that was asked on the way, and what was found, by method.</summary>
    private static IEnumerable<(string Method, string Text)> Steps(MessageChecked found)
    {
        foreach (var step in found.Sender.Steps.Concat(found.Sender.HeloSteps))
            yield return ("spf", $"{new string(' ', 2 * step.Depth)}{step.Domain}: {step.Text}");
        var signatures = found.Results.Dkim ?? [];
        if (signatures.Count == 0)
            yield return ("dkim", "no signature");
        foreach (var signature in signatures)
            yield return ("dkim", Sentence(signature));
        if (found.UnjudgedSignatures > 0)
            yield return ("dkim", $"{Number(found.UnjudgedSignatures)} more signatures are not judged");
        if (found.Results.Arc is { } arc)
            yield return ("arc", arc.Status == AuthenticationStatus.None ? "no sets" : $"{Number(arc.Sets)} sets, sealed by {arc.Sealer}: {AuthenticationWords.Of(arc.Status)}{Because(arc.Reason)}");
        var authors = found.Authors;
        yield return ("dmarc", $"From names {(authors.Domains.Count > 0 ? string.Join(", ", authors.Domains) : "no domain")}"
            + (authors.IsWellFormed ? "" : $"; there are {Number(authors.Fields)} From fields, or one that is no list of addresses"));
        foreach (var step in found.DmarcSteps)
            yield return ("dmarc", step);
        if (found.Results.Dmarc is { Reason.Length: > 0 } dmarc)
            yield return ("dmarc", dmarc.Reason);
    }

    private static string Sentence(DkimResult signature) =>
        (signature.Domain.Length > 0 ? signature.Domain : "a signature") + (signature.Selector.Length > 0 ? $" by {signature.Selector}._domainkey.{signature.Domain}" : "")
        + $" ({signature.Algorithm}): {AuthenticationWords.Of(signature.Status)}{Because(signature.Reason)}";

    private static string Because(string reason) => reason.Length > 0 ? $", {reason}" : "";

    private static IEnumerable<ReplyPart> Parts(DomainChecked found)
    {
        yield return new TablePart(
            ["what", "state", "name", "found", "remark"],
            [.. found.Items.Select(item => (string[])
            [
                Words(item.Kind), item.State == PublishedState.Unknown ? "unknown" : Word(item.State), Name(item.Name), OneLine(string.Join("; ", item.Found)), OneLine(RemarkWords.Of(item.Remarks)),
            ])]);
        var publish = found.Items.SelectMany(item => item.Publish).Distinct().ToList();
        if (publish.Count == 0)
            yield break;
        yield return new LinePart("");
        yield return new LinePart("To be published:");
        foreach (var record in publish)
            yield return new LinePart($"  {record}");
        if (found.Items.Any(item => item is { Kind: PublishedKind.MtaStsPolicy, Publish.Count: > 0 }))
            yield return new LinePart("The policy is text/plain, and a change of it needs a new id in the TXT record.");
    }

    private static string Words(PublishedKind kind) => kind switch
    {
        PublishedKind.Mx => "MX",
        PublishedKind.Address => "address",
        PublishedKind.ReverseName => "PTR",
        PublishedKind.Spf => "SPF",
        PublishedKind.SpfOfHost => "SPF of host",
        PublishedKind.Dkim => "DKIM key",
        PublishedKind.Dmarc => "DMARC",
        PublishedKind.DmarcReports => "DMARC reports",
        PublishedKind.MtaSts => "MTA-STS",
        PublishedKind.MtaStsPolicy => "MTA-STS policy",
        PublishedKind.TlsReports => "TLS-RPT",
        PublishedKind.Tlsa => "TLSA",
        PublishedKind.ForwardedMx => "MX for SRS",
        PublishedKind.ForwardedSpf => "SPF for SRS",
        _ => throw new UnreachableException($"{kind} has no word"),
    };

    private static void Write(Utf8JsonWriter json, SenderChecked found)
    {
        json.WriteStartObject("mailFrom");
        Write(json, found.MailFrom, found.Steps);
        json.WriteEndObject();
        json.WriteStartObject("helo");
        Write(json, found.Helo, ReferenceEquals(found.MailFrom, found.Helo) ? found.Steps : found.HeloSteps);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, SpfResult spf, IReadOnlyList<SpfStep> steps)
    {
        json.WriteString("result", AuthenticationWords.Of(spf.Status));
        json.WriteString("domain", spf.Domain);
        json.WriteString("mechanism", spf.Mechanism);
        json.WriteString("reason", spf.Reason);
        json.WriteString("explanation", spf.Explanation);
        json.WriteNumber("lookUps", spf.LookUps);
        json.WriteAll("steps", steps, step =>
        {
            json.WriteNumber("depth", step.Depth);
            json.WriteString("domain", step.Domain);
            json.WriteString("text", step.Text);
        });
    }

    private static void Write(Utf8JsonWriter json, MessageChecked found)
    {
        json.WriteString("field", found.Field.ToValue());
        json.WriteString("authServId", found.Field.AuthServId);
        json.WriteAll("methods", found.Field.Results, method =>
        {
            json.WriteString("method", method.Method);
            json.WriteString("result", method.Result);
            json.WriteAll("properties", method.Properties, property =>
            {
                json.WriteString("name", $"{property.Type}.{property.Name}");
                json.WriteString("value", property.Value);
            });
        });
        json.WriteString("policy", found.Results.Dmarc is { Record: not null } dmarc ? Word(dmarc.Disposition) : "none");
        json.WriteAll("steps", [.. Steps(found)], step =>
        {
            json.WriteString("method", step.Method);
            json.WriteString("text", step.Text);
        });
    }

    private static void Write(Utf8JsonWriter json, DomainChecked found)
    {
        json.WriteString("domain", found.Domain);
        json.WriteAll("items", found.Items, item =>
        {
            json.WriteString("kind", Json.Name(item.Kind));
            json.WriteString("state", Json.Name(item.State));
            json.WriteString("name", item.Name);
            json.WriteStrings("found", item.Found);
            json.WriteString("remark", RemarkWords.Of(item.Remarks));
            json.WriteAll("remarks", item.Remarks, remark =>
            {
                json.WriteString("kind", Json.Name(remark.Kind));
                json.WriteStrings("values", remark.Values);
            });
            json.WriteStrings("publish", item.Publish);
        });
    }

    private static void WriteList(Utf8JsonWriter json, string file, int rules, (string Name, string Value) more)
    {
        json.WriteString("file", file);
        json.WriteNumber("rules", rules);
        json.WriteString(more.Name, more.Value);
    }

    private static void WriteReason(Utf8JsonWriter json, string file, string reason)
    {
        json.WriteString("file", file);
        json.WriteString("reason", reason);
    }
}
