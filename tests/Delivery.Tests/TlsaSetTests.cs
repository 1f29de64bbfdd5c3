using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using MailPipeline.Delivery.Tls;
using MailPipeline.Dns;

namespace MailPipeline.Delivery.Tests;

/// <summary>Certificates against TLSA records: usage, selector and matching type, chains, names and dates (RFC 7671, RFC 7672).</summary>
public sealed class TlsaSetTests : IDisposable
{
    private static readonly string[] s_names = ["mx.example.net", "example.net"];

    private readonly Authority _root = new();
    private readonly Authority _between;

    public TlsaSetTests() => _between = new Authority("Between CA", _root);

    public static TheoryData<byte, byte> Forms => new([.. from selector in (byte[])[0, 1] from matching in (byte[])[0, 1, 2] select (selector, matching)]);

    [Theory, MemberData(nameof(Forms))]
    public void A_certificate_that_is_named_itself_needs_neither_name_nor_time(byte selector, byte matching)
    {
        using var shown = _root.Issue("elsewhere.example", -20, -10);
        using var other = _root.Issue("mx.example.net");
        var set = TlsaSet.Of([Record(3, selector, matching, shown)]);
        Assert.Equal(CertificateFault.None, Check(set, shown));
        Assert.Equal(CertificateFault.Mismatch, Check(set, other));
    }

    [Theory, MemberData(nameof(Forms))]
    public void An_authority_vouches_for_name_and_time(byte selector, byte matching)
    {
        using var right = _root.Issue("mx.example.net");
        using var ofDomain = _root.Issue("example.net");
        using var wrongName = _root.Issue("elsewhere.example");
        using var expired = _root.Issue("mx.example.net", -20, -10);
        using var forged = _root.Forge("mx.example.net");
        using var stranger = new Authority("Test CA");
        using var others = stranger.Issue("mx.example.net");
        var set = TlsaSet.Of([Record(2, selector, matching, _root.Certificate)]);
        Assert.Equal(CertificateFault.None, Check(set, right, _root.Certificate));
        Assert.Equal(CertificateFault.None, Check(set, ofDomain, _root.Certificate));
        Assert.Equal(CertificateFault.WrongName, Check(set, wrongName, _root.Certificate));
        Assert.Equal(CertificateFault.Expired, Check(set, expired, _root.Certificate));
        Assert.Equal(CertificateFault.Untrusted, Check(set, forged, _root.Certificate));
        Assert.Equal(CertificateFault.Untrusted, Check(set, others, _root.Certificate));
        // What stands in the record whole is an authority that nothing shown comes from.
        Assert.Equal((selector, matching) == (0, 0) ? CertificateFault.Untrusted : CertificateFault.Mismatch, Check(set, others, stranger.Certificate));
    }

    [Fact]
    public void An_authority_between_vouches_without_its_own()
    {
        using var right = _between.Issue("mx.example.net");
        using var forged = _between.Forge("mx.example.net");
        using var ofRoot = _root.Issue("mx.example.net");
        var set = TlsaSet.Of([Record(2, 0, 1, _between.Certificate)]);
        Assert.Equal(CertificateFault.None, Check(set, right, _between.Certificate));
        Assert.Equal(CertificateFault.None, Check(set, right, _between.Certificate, _root.Certificate));
        Assert.Equal(CertificateFault.Untrusted, Check(set, forged, _between.Certificate));
        Assert.Equal(CertificateFault.Untrusted, Check(set, forged, _between.Certificate, _root.Certificate));
        Assert.Equal(CertificateFault.Untrusted, Check(set, ofRoot, _between.Certificate, _root.Certificate));
        // The root above vouches over the one between.
        Assert.Equal(CertificateFault.None, Check(TlsaSet.Of([Record(2, 1, 1, _root.Certificate)]), right, _between.Certificate, _root.Certificate));
    }

    [Fact]
    public void An_authority_that_stands_in_the_record_whole_need_not_be_sent()
    {
        using var right = _root.Issue("mx.example.net");
        Assert.Equal(CertificateFault.None, Check(TlsaSet.Of([Record(2, 0, 0, _root.Certificate)]), right));
        Assert.Equal(CertificateFault.Mismatch, Check(TlsaSet.Of([Record(2, 0, 1, _root.Certificate)]), right));
    }

    [Theory]
    [InlineData(0, 1, 1, 32)]
    [InlineData(1, 1, 1, 32)]
    [InlineData(4, 1, 1, 32)]
    [InlineData(3, 2, 1, 32)]
    [InlineData(3, 1, 3, 32)]
    [InlineData(3, 1, 1, 31)]
    [InlineData(3, 1, 1, 64)]
    [InlineData(3, 1, 2, 32)]
    [InlineData(3, 0, 0, 0)]
    public void What_no_certificate_can_match_is_not_used(byte usage, byte selector, byte matching, int octets) =>
        Assert.False(TlsaSet.Of([new TlsaRecord(usage, selector, matching, new byte[octets])]).IsUsable);

    [Fact]
    public void One_record_of_many_is_enough_and_very_many_are_not_looked_at()
    {
        using var shown = _root.Issue("mx.example.net");
        var noise = Enumerable.Range(0, 10_000).Select(number => new TlsaRecord((byte)(2 + (number % 2)), 1, 1, SHA256.HashData(BitConverter.GetBytes(number)))).ToList();
        Assert.Equal(CertificateFault.None, Check(TlsaSet.Of([.. noise.Take(50), Record(3, 1, 1, shown)]), shown));
        Assert.Equal(CertificateFault.Mismatch, Check(TlsaSet.Of([.. noise, Record(3, 1, 1, shown)]), shown));
        Assert.Equal(100, TlsaSet.Of(noise).Texts.Count);
    }

    [Fact]
    public void A_record_whose_authority_cannot_be_read_is_no_authority()
    {
        using var shown = _root.Issue("mx.example.net");
        Assert.Equal(CertificateFault.Mismatch, Check(TlsaSet.Of([new TlsaRecord(2, 0, 0, new byte[] { 0x30, 0x82, 1 })]), shown, _root.Certificate));
    }

    public void Dispose()
    {
        _between.Dispose();
        _root.Dispose();
    }

    internal static TlsaRecord Record(byte usage, byte selector, byte matching, X509Certificate2 certificate)
    {
        var part = selector == 1 ? certificate.PublicKey.ExportSubjectPublicKeyInfo() : certificate.RawData;
        return new TlsaRecord(usage, selector, matching, matching switch { 1 => SHA256.HashData(part), 2 => SHA512.HashData(part), _ => part });
    }

    private static CertificateFault Check(TlsaSet set, X509Certificate2 shown, params X509Certificate2[] others) =>
        set.Check(shown, others, s_names, TimeProvider.System.GetUtcNow());
}
