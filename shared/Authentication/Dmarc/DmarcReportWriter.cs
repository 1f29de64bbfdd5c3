using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Net.Sockets;
using System.Text;
using System.Xml;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// A report as XML, in the form and the order of RFC 7489, appendix C. What DMARCbis adds to the policy stands in it where the policy was found by its rules.
/// </summary>
public static class DmarcReportWriter
{
    private static readonly XmlWriterSettings s_settings = new() { Encoding = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), Indent = true };

    /// <summary>In UTF-8, under gzip.</summary>
    public static byte[] Compress(DmarcReport report)
    {
        ArgumentNullException.ThrowIfNull(report);
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Optimal, leaveOpen: true))
            Write(gzip, report);
        return compressed.ToArray();
    }

    private static void Write(Stream to, DmarcReport report)
    {
        using var xml = XmlWriter.Create(to, s_settings);
        xml.WriteStartElement("feedback");
        xml.WriteElementString("version", "1.0");
        Write(xml, report.Head);
        Write(xml, report.Policy);
        foreach (var row in report.Rows)
            Write(xml, row);
        xml.WriteEndElement();
    }

    private static void Write(XmlWriter xml, DmarcReportHead head)
    {
        xml.WriteStartElement("report_metadata");
        xml.WriteElementString("org_name", head.Organization);
        xml.WriteElementString("email", head.Email);
        xml.WriteElementString("report_id", head.Id);
        xml.WriteStartElement("date_range");
        xml.WriteElementString("begin", Text(head.Begin.ToUnixTimeSeconds()));
        xml.WriteElementString("end", Text(head.End.ToUnixTimeSeconds()));
        xml.WriteEndElement();
        foreach (var error in head.Errors)
            xml.WriteElementString("error", error);
        xml.WriteEndElement();
    }

    private static void Write(XmlWriter xml, DmarcReportPolicy policy)
    {
        xml.WriteStartElement("policy_published");
        xml.WriteElementString("domain", policy.Domain);
        WriteUnlessEmpty(xml, "discovery_method", policy.Discovery);
        xml.WriteElementString("adkim", policy.DkimAlignment);
        xml.WriteElementString("aspf", policy.SpfAlignment);
        xml.WriteElementString("p", policy.Policy);
        xml.WriteElementString("sp", policy.SubdomainPolicy);
        WriteUnlessEmpty(xml, "np", policy.NonexistentPolicy);
        xml.WriteElementString("pct", Text(policy.Percent));
        xml.WriteElementString("fo", policy.FailureOptions);
        WriteUnlessEmpty(xml, "testing", policy.Testing);
        xml.WriteEndElement();
    }

    private static void Write(XmlWriter xml, DmarcReportRow row)
    {
        var source = row.Source;
        xml.WriteStartElement("record");
        xml.WriteStartElement("row");
        xml.WriteElementString("source_ip", Full(source.Address));
        xml.WriteElementString("count", Text(row.Messages));
        xml.WriteStartElement("policy_evaluated");
        xml.WriteElementString("disposition", source.Disposition);
        xml.WriteElementString("dkim", source.IsDkimAligned ? "pass" : "fail");
        xml.WriteElementString("spf", source.IsSpfAligned ? "pass" : "fail");
        foreach (var reason in source.Reasons)
        {
            xml.WriteStartElement("reason");
            xml.WriteElementString("type", reason.Type);
            WriteUnlessEmpty(xml, "comment", reason.Comment);
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
        xml.WriteEndElement();
        xml.WriteStartElement("identifiers");
        xml.WriteElementString("envelope_from", source.EnvelopeFrom);
        xml.WriteElementString("header_from", source.HeaderFrom);
        xml.WriteEndElement();
        xml.WriteStartElement("auth_results");
        foreach (var signature in source.Dkim)
        {
            xml.WriteStartElement("dkim");
            xml.WriteElementString("domain", signature.Domain);
            WriteUnlessEmpty(xml, "selector", signature.Selector);
            xml.WriteElementString("result", signature.Result);
            xml.WriteEndElement();
        }

        foreach (var spf in source.Spf)
        {
            xml.WriteStartElement("spf");
            xml.WriteElementString("domain", spf.Domain);
            xml.WriteElementString("scope", spf.Scope);
            xml.WriteElementString("result", spf.Result);
            xml.WriteEndElement();
        }

        xml.WriteEndElement();
        xml.WriteEndElement();
    }

    private static void WriteUnlessEmpty(XmlWriter xml, string name, string value)
    {
        if (value.Length > 0)
            xml.WriteElementString(name, value);
    }

    /// <summary>The schema knows addresses of IPv6 with all of their eight parts alone.</summary>
    private static string Full(string address)
    {
        if (!HostAddress.TryParse(address, out var parsed) || parsed.AddressFamily != AddressFamily.InterNetworkV6)
            return address;
        var octets = parsed.GetAddressBytes();
        return string.Join(':', Enumerable.Range(0, octets.Length / 2).Select(part =>
            BinaryPrimitives.ReadUInt16BigEndian(octets.AsSpan(2 * part)).ToString("x", CultureInfo.InvariantCulture)));
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
