using System.IO.Compression;
using System.Text;
using MailPipeline.Authentication.Dmarc;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>Aggregate reports as others send them, and what strangers send in their place.</summary>
public sealed class DmarcReportFileTests
{
    private const string Row =
        """
        <record><row><source_ip>192.0.2.1</source_ip><count>2</count><policy_evaluated><disposition>reject</disposition><dkim>fail</dkim><spf>pass</spf>
        <reason><type>forwarded</type><comment>by a list</comment></reason></policy_evaluated></row>
        <identifiers><header_from>Example.NET</header_from><envelope_from>list.example</envelope_from></identifiers>
        <auth_results><dkim><domain>example.net</domain><selector>m1</selector><result>fail</result></dkim><spf><domain>list.example</domain><result>pass</result></spf></auth_results></record>
        """;

    private const string Xml =
        $"""
        <?xml version="1.0" encoding="UTF-8"?>
        <feedback><report_metadata><org_name>Example &amp; Sons</org_name><email>reports@example.com</email><report_id>1</report_id>
        <date_range><begin>1893456000</begin><end>1893542399</end></date_range></report_metadata>
        <policy_published><domain>example.net</domain><adkim>r</adkim><aspf>s</aspf><p>reject</p><sp>none</sp><pct>50</pct></policy_published>
        {Row}</feedback>
        """;

    public static TheoryData<string> Forms => ["xml", "bom", "latin", "bracket", "space", "gzip", "zip", "mail", "mail wrong type", "mail zip", "mail alone", "mail second", "namespace"];

    [Theory]
    [MemberData(nameof(Forms))]
    public void A_report_is_read_in_whatever_it_came(string form)
    {
        Assert.True(DmarcReportFile.TryRead(Make(form, Xml), out var report, out var fault), fault);
        Assert.Equal(
            ("Example & Sons", "reports@example.com", "1", 1893456000, 1893542399),
            (report.Head.Organization, report.Head.Email, report.Head.Id, report.Head.Begin.ToUnixTimeSeconds(), report.Head.End.ToUnixTimeSeconds()));
        Assert.Equal(new DmarcReportPolicy("example.net", "r", "s", "reject", "none", 50, "0"), report.Policy);
        var row = Assert.Single(report.Rows);
        Assert.Equal(
            ("192.0.2.1", 2, "reject", false, true, "example.net", "list.example"),
            (row.Source.Address, row.Messages, row.Source.Disposition, row.Source.IsDkimAligned, row.Source.IsSpfAligned, row.Source.HeaderFrom, row.Source.EnvelopeFrom));
        Assert.Equal(new DmarcReportReason("forwarded", "by a list"), Assert.Single(row.Source.Reasons));
        Assert.Equal(new DmarcReportSignature("example.net", "m1", "fail"), Assert.Single(row.Source.Dkim));
        Assert.Equal(new DmarcReportSpf("list.example", "mfrom", "pass"), Assert.Single(row.Source.Spf));
        Assert.Equal(0, report.OmittedMessages);
    }

    [Fact]
    public void What_is_no_mail_and_no_report_is_called_so()
    {
        Assert.False(DmarcReportFile.TryRead("host\n"u8.ToArray(), out _, out var fault));
        Assert.Equal("it is no message, and not XML, gzip or zip", fault);
    }

    [Fact]
    public void What_we_write_is_read_as_it_was()
    {
        var policy = new DmarcReportPolicy("example.net", "s", "r", "none", "reject", 100, "1") { NonexistentPolicy = "reject", Testing = "n", Discovery = "treewalk" };
        var source = new DmarcReportSource("2001:db8::1", "quarantine", true, false, "example.net", "bounces.example.net")
        {
            Reasons = [new("local_policy", "")], Dkim = [new("a.example", "", "pass"), new("b.example", "s", "policy")], Spf = [new("mx.example", "helo", "none")],
        };
        var head = new DmarcReportHead("Example", "reports@example.com", "7", DateTimeOffset.FromUnixTimeSeconds(1893456000), DateTimeOffset.FromUnixTimeSeconds(1893542399)) { Errors = ["a", "b"] };
        Assert.True(DmarcReportFile.TryRead(DmarcReportWriter.Compress(new DmarcReport(head, policy, [new(source, 12)])), out var read, out var fault), fault);
        Assert.Equal((policy, head.Id, head.Begin, head.End), (read.Policy, read.Head.Id, read.Head.Begin, read.Head.End));
        Assert.Equal(head.Errors, read.Head.Errors);
        Assert.Equal(new DmarcJudgement(policy, source).ToText(), new DmarcJudgement(read.Policy, read.Rows[0].Source).ToText());
    }

    [Theory]
    [InlineData("", "it is empty")]
    [InlineData("Subject: x\r\n\r\nHello", "nothing in it is XML, gzip or zip")]
    [InlineData("<html><body/></html>", "it is 'html', and a report is 'feedback'")]
    [InlineData("<feedback/>", "it has no report_metadata")]
    [InlineData("<feedback><report_metadata><date_range><begin>2</begin><end>1</end></date_range></report_metadata></feedback>", "it does not say of which time it is")]
    [InlineData("<feedback><report_metadata><date_range><begin>1</begin><end>99999999999999</end></date_range></report_metadata></feedback>", "it does not say of which time it is")]
    [InlineData("<feedback><report_metadata><date_range><begin>1</begin><end>2</end></date_range></report_metadata></feedback>", "it has no policy_published")]
    [InlineData("<feedback><report_metadata><date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published/></feedback>", "it does not say of which domain it is")]
    [InlineData("<feedback><report_metadata><date_range><begin>1</begin><end>2</end></date_range></report_metadata><policy_published><domain>a.example</domain></policy_published></feedback>", "it has no record of any message")]
    [InlineData("<feedback>", "Unexpected end of file")]
    [InlineData("<feedback></feedback><more/>", "There are multiple root elements")]
    [InlineData("<?xml version=\"1.0\" encoding=\"x-none\"?><feedback/>", "encoding")]
    [InlineData("<!DOCTYPE feedback [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><feedback><report_metadata><org_name>&x;</org_name></report_metadata></feedback>", "DTD is prohibited")]
    [InlineData("<!DOCTYPE feedback SYSTEM \"http://127.0.0.1:1/x.dtd\"><feedback/>", "DTD is prohibited")]
    [InlineData("<!DOCTYPE lolz [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><feedback>&c;</feedback>", "DTD is prohibited")]
    [InlineData("<feedback><report_metadata><org_name>&x;</org_name></report_metadata></feedback>", "undeclared entity")]
    public void What_is_no_report_is_said_so(string text, string fault)
    {
        Assert.False(DmarcReportFile.TryRead(Encoding.UTF8.GetBytes(text), out _, out var said));
        Assert.Contains(fault, said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("utf-16", "has an octet 0")]
    [InlineData("utf-32", "has an octet 0")]
    [InlineData("iso-2022-jp", "its encoding is 'iso-2022-jp'; a report is in one of utf-8,")]
    public void An_encoding_in_which_octets_are_not_what_they_seem_is_refused(string encoding, string fault)
    {
        Encoding.RegisterProvider(CodePagesEncodingProvider.Instance);
        var xml = Xml.Replace("UTF-8", encoding, StringComparison.Ordinal);
        var octets = encoding switch
        {
            "utf-16" => [.. Encoding.Unicode.GetPreamble(), .. Encoding.Unicode.GetBytes(xml)],
            "utf-32" => [.. Encoding.ASCII.GetBytes(xml[..40]), .. Encoding.UTF32.GetBytes(xml[40..])],
            _ => Encoding.ASCII.GetBytes(xml),
        };
        Assert.False(DmarcReportFile.TryRead(octets, out _, out var said));
        Assert.Contains(fault, said, StringComparison.Ordinal);
    }

    [Fact]
    public void Of_several_files_that_are_none_the_first_is_spoken_of()
    {
        Assert.False(DmarcReportFile.TryRead(Mail("image/svg+xml", "<svg/>"u8.ToArray(), ("application/gzip", Gzip("<html/>"u8.ToArray()))), out _, out var said));
        Assert.Equal("it is 'svg', and a report is 'feedback'", said);
    }

    public static TheoryData<string, string> Bombs => new()
    {
        { "gzip spaces", "octets" },
        { "gzip comment", "octets" },
        { "zip spaces", "octets" },
        { "zip many", "and a report is 1 of up to 16" },
        { "text", "a name, attributes or a text of more than" },
        { "name", "a name, attributes or a text of more than" },
        { "attributes", "more than 10000 attributes" },
        { "one tag", "a name, attributes or a text of more than" },
        { "names", "elements of more than" },
        { "depth", "lie more than 16 deep" },
        { "parts", "parts or" },
        { "lines", "parts or" },
        { "large", "it has more than 8388608 octets" },
        { "attached", "what is attached has more than" },
        { "cut gzip", "" },
        { "cut zip", "" },
        { "broken gzip", "" },
    };

    [Theory]
    [MemberData(nameof(Bombs))]
    public void A_bomb_costs_little_and_is_no_report(string kind, string fault)
    {
        var octets = Bomb(kind);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.False(DmarcReportFile.TryRead(octets, out _, out var said));
        Assert.Contains(fault, said, StringComparison.Ordinal);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100_000_000);
    }

    [Fact]
    public void Of_rows_beyond_the_bound_the_messages_are_counted()
    {
        var xml = Xml.Replace(Row, string.Concat(Enumerable.Range(0, 6000).Select(i => Row.Replace("192.0.2.1", $"10.0.{i >> 8}.{i & 255}", StringComparison.Ordinal)))
            + Row.Replace("192.0.2.1", "nowhere", StringComparison.Ordinal) + Row.Replace("<count>2<", "<count>-1<", StringComparison.Ordinal)
            + Row.Replace("<count>2<", "<count>1000000001<", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.True(DmarcReportFile.TryRead(Make("gzip", xml), out var report, out var fault), fault);
        Assert.Equal((5000, 2002L), (report.Rows.Count, report.OmittedMessages));
    }

    [Fact]
    public void What_strangers_write_is_short_and_harmless()
    {
        var xml = Xml.Replace("Example &amp; Sons", $"a&#x9B;[31m\u202E{new string('x', 1000)}<b>no</b>", StringComparison.Ordinal);
        Assert.True(DmarcReportFile.TryRead(Make("xml", xml), out var report, out var fault), fault);
        Assert.StartsWith("a?[31m?xxx", report.Head.Organization, StringComparison.Ordinal);
        Assert.Equal(255, report.Head.Organization.Length);
    }

    [Fact]
    public void Whatever_octets_are_changed_nothing_is_thrown()
    {
        var random = new Random(7);
        foreach (var form in Forms.Select(form => (string)form.Data))
        {
            var whole = Make(form, Xml);
            for (var i = 0; i < 300; i++)
            {
                var octets = whole[..random.Next(1, whole.Length + 1)];
                for (var change = random.Next(4); change > 0; change--)
                    octets[random.Next(octets.Length)] = (byte)random.Next(256);
                if (!DmarcReportFile.TryRead(octets, out _, out var fault))
                    Assert.NotEmpty(fault);
            }
        }
    }

    private static byte[] Make(string form, string xml)
    {
        var octets = Encoding.UTF8.GetBytes(xml);
        return form switch
        {
            "bom" => [.. "\uFEFF"u8, .. octets],
            "latin" => Encoding.UTF8.GetBytes(xml.Replace("UTF-8", "iso-8859-1", StringComparison.Ordinal)),
            "bracket" => Encoding.UTF8.GetBytes(xml.Replace("<feedback>", "<feedback note='a>b'>", StringComparison.Ordinal)),
            "mail second" => Mail("image/svg+xml", "<svg/>"u8.ToArray(), ("application/gzip", Gzip(octets))),
            "space" => Encoding.UTF8.GetBytes($"\r\n {xml[(xml.IndexOf('\n', StringComparison.Ordinal) + 1)..]}"),
            "namespace" => Encoding.UTF8.GetBytes(xml.Replace("<feedback>", "<feedback xmlns=\"urn:ietf:params:xml:ns:dmarc-2.0\"><version>2.0</version><extension><x:y xmlns:x=\"urn:x\"/></extension>", StringComparison.Ordinal)),
            "gzip" => Gzip(octets),
            "zip" => Zip(("readme.txt", "no"u8.ToArray()), ("report.xml", octets)),
            "mail" => Mail("application/gzip; name=x.xml.gz", Gzip(octets)),
            "mail wrong type" => Mail("text/plain; name=report", Gzip(octets)),
            "mail zip" => Mail("application/octet-stream", Zip(("x", octets))),
            "mail alone" => Encoding.ASCII.GetBytes($"From: a@example.com\r\nContent-Type: application/zip\r\nContent-Transfer-Encoding: base64\r\n\r\n{Convert.ToBase64String(Zip(("x", octets)), Base64FormattingOptions.InsertLineBreaks)}\r\n"),
            _ => octets,
        };
    }

    private static byte[] Bomb(string kind)
    {
        const int many = 20_000_000;
        return kind switch
        {
            "gzip spaces" => Gzip(Encoding.ASCII.GetBytes($"<feedback>{string.Concat(Enumerable.Repeat($"<a>{new string(' ', 12_000)}</a>", 10_000))}")),
            "gzip comment" => Gzip(Encoding.ASCII.GetBytes($"<feedback><!--{string.Concat(Enumerable.Repeat($"{new string('x', 12_000)}<", 10_000))}")),
            "zip spaces" => Zip(("a.xml", Encoding.ASCII.GetBytes($"<feedback>{string.Concat(Enumerable.Repeat($"<a>{new string(' ', 12_000)}</a>", 10_000))}"))),
            "zip many" => Zip([.. Enumerable.Range(0, 200).Select(i => ($"{i}.xml", "<feedback/>"u8.ToArray()))]),
            "text" => Gzip(Encoding.ASCII.GetBytes($"<feedback><report_metadata><org_name>{new string('x', many)}")),
            "name" => Gzip(Encoding.ASCII.GetBytes($"<feedback><{new string('x', many)}")),
            "attributes" => Gzip(Encoding.ASCII.GetBytes($"<feedback>{string.Concat(Enumerable.Range(0, 2000).Select(i => $"<a {string.Concat(Enumerable.Range(0, 10).Select(j => $"a{i}b{j}='' "))}/>"))}</feedback>")),
            "one tag" => Gzip(Encoding.ASCII.GetBytes($"<feedback {string.Concat(Enumerable.Range(0, 1_000_000).Select(i => $"a{i}='>' "))}/>")),
            "names" => Gzip(Encoding.ASCII.GetBytes($"<feedback>{string.Concat(Enumerable.Range(0, 300_000).Select(i => $"<a{i}/>"))}</feedback>")),
            "depth" => Gzip(Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("<feedback>", 1_000_000)))),
            "parts" => Encoding.ASCII.GetBytes($"Content-Type: multipart/mixed; boundary=a\r\n\r\n{string.Concat(Enumerable.Repeat("--a\n\nx\n", 500_000))}"),
            "lines" => Encoding.ASCII.GetBytes($"{string.Concat(Enumerable.Repeat("a:b\n", 1_000_000))}\n"),
            "large" => Encoding.ASCII.GetBytes($"Subject: x\r\n\r\n{new string('x', DmarcReportFile.MaxBytes)}"),
            "attached" => [0x1F, 0x8B, .. new byte[5 * 1024 * 1024]],
            "cut gzip" => Gzip(Encoding.UTF8.GetBytes(Xml))[..200],
            "cut zip" => Zip(("a.xml", Encoding.UTF8.GetBytes(Xml)))[..200],
            _ => [0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        };
    }

    private static byte[] Gzip(byte[] octets)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest))
            gzip.Write(octets);
        return compressed.ToArray();
    }

    private static byte[] Zip(params (string Name, byte[] Octets)[] files)
    {
        using var archived = new MemoryStream();
        using (var archive = new ZipArchive(archived, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, octets) in files)
            {
                using var entry = archive.CreateEntry(name, CompressionLevel.Fastest).Open();
                entry.Write(octets);
            }
        }

        return archived.ToArray();
    }

    private static byte[] Mail(string type, byte[] attached, (string Type, byte[] Attached) second) => Encoding.ASCII.GetBytes(
        Encoding.ASCII.GetString(Mail(type, attached)).Replace(
            "\r\n--b--", $"\r\n--b\r\nContent-Type: {second.Type}\r\nContent-Transfer-Encoding: base64\r\n\r\n{Convert.ToBase64String(second.Attached, Base64FormattingOptions.InsertLineBreaks)}\r\n--b--",
            StringComparison.Ordinal));

    private static byte[] Mail(string type, byte[] attached) => Encoding.ASCII.GetBytes(
        $"""
        From: reports@example.com
        Subject: Report Domain: example.net Submitter: example.com Report-ID: <1@example.com>
        MIME-Version: 1.0
        Content-Type: multipart/mixed; boundary="b"

        --b
        Content-Type: text/plain

        <This is for people.
        --b
        Content-Type: {type}
        Content-Disposition: attachment
        Content-Transfer-Encoding: base64

        {Convert.ToBase64String(attached, Base64FormattingOptions.InsertLineBreaks)}
        --b--

        """.ReplaceLineEndings("\r\n"));
}
