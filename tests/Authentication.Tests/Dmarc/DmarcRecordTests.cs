using CsCheck;
using MailPipeline.Authentication.Dmarc;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>What is published under _dmarc (RFC 7489 §6.3, §6.4, §6.6.3).</summary>
public sealed class DmarcRecordTests
{
    [Theory]
    [InlineData("v=DMARC1; p=none", "None")]
    [InlineData("v=DMARC1;p=quarantine;", "Quarantine")]
    [InlineData(" v = DMARC1 ; p = reject ", "Reject")]
    [InlineData("v=DMARC1; P=Reject; foo=bar; x", "Reject ('x' is no tag, or one that is there twice)")]
    [InlineData("v=DMARC1; sp=none; p=reject", "Reject sp=None")]
    [InlineData("v=DMARC1; p=reject; sp=quarantine; np=reject", "Reject sp=Quarantine np=Reject")]
    [InlineData("v=DMARC1; p=reject; adkim=s; aspf=S; pct=20; t=y; psd=n", "Reject adkim aspf pct=20 t psd=False")]
    [InlineData("v=DMARC1; p=none; psd=y; adkim=r", "None psd=True")]
    [InlineData("v=DMARC1; p=none; adkim=x; pct=101; t=z; psd=?", "None (adkim is 'x', and must be one of r, s; pct is '101', and must be 0 to 100; t is 'z', and must be one of n, y; psd is '?', and must be one of u, y, n)")]
    [InlineData("v=DMARC1; p=reject; p=none", "Reject ('p=none' is no tag, or one that is there twice)")]
    [InlineData("v=DMARC1; p=reject; rua=mailto:a@example.org!10m, mailto:b@example.org", "Reject rua=mailto:a@example.org!10485760,mailto:b@example.org!")]
    [InlineData("v=DMARC1; p=reject; rua=nowhere", "Reject ('nowhere' is no address for reports)")]
    [InlineData("v=DMARC1; p=reject; rua=mailto:a@example.org!x", "Reject ('mailto:a@example.org!x' is no address for reports)")]
    // Whoever wants reports is taken to want no more.
    [InlineData("v=DMARC1; rua=mailto:a@example.org", "None rua=mailto:a@example.org! (there is no p)")]
    [InlineData("v=DMARC1; p=what; rua=mailto:a@example.org", "None rua=mailto:a@example.org! (p is 'what', and must be none, quarantine or reject)")]
    [InlineData("v=DMARC1; p=reject; sp=what; rua=mailto:a@example.org", "None rua=mailto:a@example.org! (sp is 'what', and must be none, quarantine or reject)")]
    [InlineData("v=DMARC1; p=what", "nothing")]
    [InlineData("v=DMARC1; p=reject; sp=what", "nothing")]
    [InlineData("v=DMARC1", "nothing")]
    [InlineData("v=DMARC1;", "nothing")]
    [InlineData("v=dmarc1; p=reject", "none")]
    [InlineData("v=DMARC10; p=reject", "none")]
    [InlineData("v=DMARC1 p=reject", "none")]
    [InlineData("p=reject; v=DMARC1", "none")]
    [InlineData("v=spf1 -all", "none")]
    [InlineData("", "none")]
    public void A_record_is_read(string text, string read)
    {
        if (!DmarcRecord.IsOne(text))
        {
            Assert.Equal("none", read);
            return;
        }

        Assert.Equal(read, DmarcRecord.Parse(text) is { } record ? Words(record) : "nothing");
    }

    [Fact]
    public void No_text_throws() => Gen.Select(Gen.String, Gen.String[Gen.Char[' ', '~'], 0, 60]).Sample((any, plain) =>
    {
        foreach (var text in new[] { any, plain, $"v=DMARC1; p=none; {plain}", $"v=DMARC1;{any}", $"v=DMARC1; rua={plain}" })
            Assert.True(!DmarcRecord.IsOne(text) || DmarcRecord.Parse(text) is null or { Percent: >= 0 and <= 100 });
    });

    private static string Words(DmarcRecord record) => record.Policy
        + (record.SubdomainPolicy is { } below ? $" sp={below}" : "") + (record.NonexistentPolicy is { } nonexistent ? $" np={nonexistent}" : "")
        + (record.IsDkimStrict ? " adkim" : "") + (record.IsSpfStrict ? " aspf" : "") + (record.Percent < 100 ? $" pct={record.Percent}" : "")
        + (record.IsTesting ? " t" : "") + (record.IsPublicSuffix is { } suffix ? $" psd={suffix}" : "")
        + (record.AggregateReports.Count > 0 ? $" rua={string.Join(',', record.AggregateReports.Select(uri => $"{uri.Address}!{uri.MaxBytes}"))}" : "")
        + (record.Faults.Count > 0 ? $" ({string.Join("; ", record.Faults)})" : "");
}
