using System.IO.Compression;
using System.Net;
using System.Text;
using System.Xml.Linq;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Authentication.Dmarc;
using MailPipeline.Authentication.Spf;
using MailPipeline.Testing;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>Aggregate reports as they are written (RFC 7489, appendix C).</summary>
public sealed class DmarcReportWriterTests
{
    private static readonly DateTimeOffset s_begin = new(2030, 1, 2, 0, 0, 0, TimeSpan.Zero);

    private static readonly MessageResults s_results = new(
        "ann@bounces.example.net", new SpfResult(AuthenticationStatus.SoftFail, SpfIdentity.MailFrom, "bounces.example.net"),
        new SpfResult(AuthenticationStatus.Pass, SpfIdentity.Helo, "mx.example.net"),
        [
            new DkimResult(AuthenticationStatus.Pass, "example.net", "m1", "@example.net", "rsa-sha256", "abc", ""),
            new DkimResult(AuthenticationStatus.TemporaryError, "list.example", "", "@list.example", "rsa-sha256", "def", ""),
        ],
        null,
        new DmarcResult(AuthenticationStatus.Pass, "news.example.net")
        {
            Record = DmarcRecord.Parse("v=DMARC1; p=reject; sp=quarantine; np=reject; t=y; adkim=s; pct=40; fo=1:d; rua=mailto:a@example.net"), RecordDomain = "example.net",
            Published = DmarcPolicy.Quarantine, IsDkimAligned = true,
        });

    [Fact]
    public void A_report_is_as_the_schema_of_the_RFC_has_it()
    {
        var judgements = new[]
        {
            DmarcJudgement.Of(s_results, IPAddress.Parse("192.0.2.1"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []),
            DmarcJudgement.Of(
                s_results with { Sender = "", MailFrom = s_results.Helo, Dkim = null }, IPAddress.Parse("2001:db8::1"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.Reject,
                [new("local_policy", "a < b & \uFFFE\u0001"), new("sampled_out", "")]),
            DmarcJudgement.Of(
                s_results with { Sender = "x@Grüße.example", Helo = null }, IPAddress.Parse("::ffff:192.0.2.2"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.Quarantine, []),
        };
        var report = Report([.. judgements.Select((judgement, index) => new DmarcReportRow(DmarcJudgement.Parse(judgement.ToText())!.Source, index + 1))], judgements[0].Policy) with
        {
            Head = new("Example & Sons", "reports@example.com", "1.2", s_begin, s_begin.AddSeconds(86_399)) { Errors = ["3 further messages", "and more"] },
        };
        using var gzip = new GZipStream(new MemoryStream(DmarcReportWriter.Compress(report)), CompressionMode.Decompress);
        var xml = new MemoryStream();
        gzip.CopyTo(xml);
        xml.Position = 0;
        Assert.Empty(DmarcSchema.Check(xml));

        var feedback = XElement.Parse(Encoding.UTF8.GetString(xml.ToArray()));
        Assert.Equal("1893542400", feedback.Element("report_metadata")!.Element("date_range")!.Element("begin")!.Value);
        Assert.Equal(
            ["example.net", "s", "r", "reject", "quarantine", "40", "1:d"], feedback.Element("policy_published")!.Elements().Select(element => element.Value));
        var rows = feedback.Elements("record").ToList();
        Assert.Equal(["192.0.2.1", "2001:db8:0:0:0:0:0:1", "192.0.2.2"], rows.Select(row => row.Element("row")!.Element("source_ip")!.Value));
        Assert.Equal(["none", "pass", "fail"], rows[0].Element("row")!.Element("policy_evaluated")!.Elements().Select(element => element.Value));
        Assert.Equal(["bounces.example.net", "news.example.net"], rows[0].Element("identifiers")!.Elements().Select(element => element.Value));
        Assert.Equal(
            ["example.net m1 pass", "list.example temperror", "bounces.example.net mfrom softfail"],
            rows[0].Element("auth_results")!.Elements().Select(result => string.Join(' ', result.Elements().Select(element => element.Value))));
        Assert.Equal(["local_policy a < b & ??", "sampled_out"], rows[1].Descendants("reason").Select(reason => string.Join(' ', reason.Elements().Select(element => element.Value))));
        Assert.Equal("mx.example.net helo pass", string.Join(' ', rows[1].Element("auth_results")!.Elements().Single().Elements().Select(element => element.Value)));
    }

    [Fact]
    public void The_schema_finds_what_is_wrong()
    {
        var right = Text((Report([Row("192.0.2.1")], Policy())));
        Assert.Empty(Faults(right));
        foreach (var (old, wrong) in ((string, string)[])
            [("<sp>none</sp>", ""), ("<count>1</count>", "<count>one</count>"), ("192.0.2.1", "192x0x2x1"), ("192.0.2.1", "2001:db8::1"), ("<version>1.0</version>", ""),
             ("<dkim>fail</dkim>", "<dkim>none</dkim>"), ("<pct>100</pct>", "<pct>100</pct><np>none</np>")])
        {
            Assert.Contains(old, right, StringComparison.Ordinal);
            Assert.NotEmpty(Faults(right.Replace(old, wrong, StringComparison.Ordinal)));
        }

        static IReadOnlyList<string> Faults(string xml) => DmarcSchema.Check(new MemoryStream(Encoding.UTF8.GetBytes(xml)));
    }

    [Fact]
    public void Where_the_tree_was_walked_the_policy_says_what_DMARCbis_adds()
    {
        var judgement = DmarcJudgement.Of(s_results, IPAddress.Parse("192.0.2.1"), DmarcDiscoveryMode.TreeWalk, DmarcPolicy.None, []);
        var policy = XElement.Parse(Text((Report([new(judgement.Source, 1)], judgement.Policy)))).Element("policy_published")!;
        Assert.Equal(("treewalk", "reject", "y"), (policy.Element("discovery_method")!.Value, policy.Element("np")!.Value, policy.Element("testing")!.Value));
    }

    [Fact]
    public void Messages_that_a_report_need_not_tell_apart_are_judged_by_one_text()
    {
        var one = DmarcJudgement.Of(s_results, IPAddress.Parse("192.0.2.1"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []);
        var other = DmarcJudgement.Of(s_results with { Sender = "bob@bounces.example.net" }, IPAddress.Parse("192.0.2.1"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []);
        Assert.Equal(one.ToText(), other.ToText());
        Assert.NotEqual(one.ToText(), DmarcJudgement.Of(s_results, IPAddress.Parse("192.0.2.2"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []).ToText());
        Assert.Null(DmarcJudgement.Parse("no judgement"));
    }

    [Fact]
    public void However_much_a_stranger_signs_and_writes_a_judgement_is_short()
    {
        var many = s_results with
        {
            Sender = $"a@{new string('x', 9000)}",
            Dkim = [.. Enumerable.Range(0, 200).Select(i => new DkimResult(AuthenticationStatus.Fail, new string('d', 3000), new string('s', 3000), "", "", "", ""))],
        };
        Assert.InRange(DmarcJudgement.Of(many, IPAddress.Loopback, DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []).ToText().Length, 1, 8000);
    }

    [Fact]
    public void Of_many_signatures_those_that_decide_are_told()
    {
        static DkimResult Signed(AuthenticationStatus status, string domain) => new(status, domain, "m", "", "", "", "");
        var judgement = DmarcJudgement.Of(
            s_results with
            {
                Dkim =
                [
                    .. Enumerable.Range(0, 5).Select(i => Signed(AuthenticationStatus.Fail, $"f{i}.example")), Signed(AuthenticationStatus.Pass, "list.example"),
                    Signed(AuthenticationStatus.Fail, "example.net"), Signed(AuthenticationStatus.Pass, "mail.example.net"),
                ],
            },
            IPAddress.Loopback, DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.None, []);
        Assert.Equal(
            ["mail.example.net pass", "list.example pass", "example.net fail", "f0.example fail"],
            judgement.Source.Dkim.Select(signature => $"{signature.Domain} {signature.Result}"));
    }

    [Fact]
    public void A_coarse_judgement_is_part_of_a_report_too()
    {
        var judgement = DmarcJudgement.Of(s_results, IPAddress.Parse("192.0.2.1"), DmarcDiscoveryMode.PublicSuffixList, DmarcPolicy.Reject, []).ToCoarse();
        Assert.Equal(("192.0.2.1", "reject", "", 0), (judgement.Source.Address, judgement.Source.Disposition, judgement.Source.EnvelopeFrom, judgement.Source.Dkim.Count));
        using var xml = new GZipStream(new MemoryStream(DmarcReportWriter.Compress(Report([new(judgement.Source, 1)], judgement.Policy))), CompressionMode.Decompress);
        Assert.Empty(DmarcSchema.Check(xml));
    }

    private static DmarcReportPolicy Policy() => new("example.net", "r", "r", "none", "none", 100, "0");

    private static DmarcReportRow Row(string address) =>
        new(new DmarcReportSource(address, "none", false, false, "example.net", "") { Spf = [new("example.net", "mfrom", "none")] }, 1);

    private static DmarcReport Report(IReadOnlyList<DmarcReportRow> rows, DmarcReportPolicy policy) =>
        new(new DmarcReportHead("Example", "reports@example.com", "1", s_begin, s_begin.AddSeconds(86_399)), policy, rows);

    private static string Text(DmarcReport report)
    {
        using var reader = new StreamReader(new GZipStream(new MemoryStream(DmarcReportWriter.Compress(report)), CompressionMode.Decompress));
        return reader.ReadToEnd();
    }
}
