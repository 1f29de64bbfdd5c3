using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Queue.Reports;

/// <summary>One day's results with the hosts of one domain, as JSON under gzip (RFC 8460 §4).</summary>
internal static class TlsReport
{
    private const string MxField = "mx: ";

    public static byte[] Compress(DomainReportHead head, IReadOnlyList<TlsResultCount> counts)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            gzip.Write(Write(head, counts));
        return compressed.ToArray();
    }

    public static byte[] Write(DomainReportHead head, IReadOnlyList<TlsResultCount> counts)
    {
        using var written = new MemoryStream();
        using (var json = new Utf8JsonWriter(written))
        {
            json.WriteStartObject();
            json.WriteString("organization-name", head.Organization);
            json.WriteStartObject("date-range");
            json.WriteString("start-datetime", Time(head.Start));
            json.WriteString("end-datetime", Time(head.End));
            json.WriteEndObject();
            json.WriteString("contact-info", head.Contact);
            json.WriteString("report-id", head.Id);
            json.WriteStartArray("policies");
            foreach (var policy in counts.GroupBy(count => count.Key.Policy, StringComparer.Ordinal))
                WritePolicy(json, head.Domain, policy.Key, [.. policy]);
            json.WriteEndArray();
            json.WriteEndObject();
        }

        return written.ToArray();
    }

    private static void WritePolicy(Utf8JsonWriter json, string domain, string policy, IReadOnlyList<TlsResultCount> counts)
    {
        var lines = policy.Split('\n');
        json.WriteStartObject();
        json.WriteStartObject("policy");
        json.WriteString("policy-type", lines[0]);
        if (lines.Length > 1)
        {
            json.WriteStartArray("policy-string");
            foreach (var line in lines[1..])
                json.WriteStringValue(line);
            json.WriteEndArray();
        }

        json.WriteString("policy-domain", domain);
        if (Array.FindAll(lines, line => line.StartsWith(MxField, StringComparison.Ordinal)) is { Length: > 0 } hosts)
        {
            json.WriteStartArray("mx-host");
            foreach (var host in hosts)
                json.WriteStringValue(host[MxField.Length..]);
            json.WriteEndArray();
        }

        json.WriteEndObject();
        json.WriteStartObject("summary");
        json.WriteNumber("total-successful-session-count", counts.Where(count => count.Key.Result.Length == 0).Sum(count => count.Sessions));
        json.WriteNumber("total-failure-session-count", counts.Where(count => count.Key.Result.Length > 0).Sum(count => count.Sessions));
        json.WriteEndObject();
        json.WriteStartArray("failure-details");
        foreach (var (key, sessions) in counts.Where(count => count.Key.Result.Length > 0))
        {
            json.WriteStartObject();
            json.WriteString("result-type", key.Result);
            if (key.Address.Length > 0)
                json.WriteString("receiving-ip", key.Address);
            if (key.Host.Length > 0)
                json.WriteString("receiving-mx-hostname", key.Host);
            json.WriteNumber("failed-session-count", sessions);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    // RFC 3339, by UTC.
    private static string Time(DateTimeOffset time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}

/// <summary>Where a domain wants reports (RFC 8460 §3): the TXT record at "_smtp._tls".</summary>
/// <param name="Mailboxes">Of mailto:.</param>
/// <param name="Pages">Of https:.</param>
internal sealed record TlsReportTargets(IReadOnlyList<string> Mailboxes, IReadOnlyList<Uri> Pages)
{
    public static readonly TlsReportTargets None = new([], []);

    private const string Version = "v=TLSRPTv1";

    /// <summary>What is named beyond these is left out.</summary>
    private const int MostOfEach = 3;

    public bool IsEmpty => Mailboxes.Count == 0 && Pages.Count == 0;

    /// <summary>Those of the one record that there is.</summary>
    public static TlsReportTargets Parse(IEnumerable<string> texts)
    {
        var records = texts.Where(text => text.StartsWith(Version, StringComparison.Ordinal) && text[Version.Length..].TrimStart(' ', '\t') is [';', ..]).Take(2).ToList();
        if (records is not [var record])
            return None;
        List<string> mailboxes = [];
        List<Uri> pages = [];
        foreach (var field in record[Version.Length..].Split(';', StringSplitOptions.TrimEntries))
        {
            var equals = field.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || field[..equals].TrimEnd() != "rua")
                continue;
            foreach (var target in field[(equals + 1)..].Split(',', StringSplitOptions.TrimEntries))
                Add(target, mailboxes, pages);
        }

        return new TlsReportTargets(mailboxes, pages);
    }

    private static void Add(string target, List<string> mailboxes, List<Uri> pages)
    {
        const string mailto = "mailto:";
        if (target.StartsWith(mailto, StringComparison.OrdinalIgnoreCase))
        {
            // RFC 6068 §2: what stands behind the address is of no use here.
            var mailbox = Uri.UnescapeDataString(target[mailto.Length..].Split('?')[0]);
            if (mailboxes.Count < MostOfEach && SmtpAddress.TryParse(mailbox, out var address) && address!.HasDomain)
                mailboxes.Add(address.Text);
        }
        else if (pages.Count < MostOfEach && Uri.TryCreate(target, UriKind.Absolute, out var page) && page.Scheme == Uri.UriSchemeHttps)
        {
            pages.Add(page);
        }
    }
}
