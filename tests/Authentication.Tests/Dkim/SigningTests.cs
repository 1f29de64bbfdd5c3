using System.Text;
using CsCheck;
using MailPipeline.Authentication.Dkim;
using MailPipeline.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Microsoft.Extensions.Time.Testing;
using MimeKit;
using MimeKit.Cryptography;

namespace MailPipeline.Authentication.Tests.Dkim;

public sealed class SigningTests
{
    private const string Prefix = "Date: Mon, 30 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n";
    private const string Message =
        "From: =?utf-8?q?Ann?= <ann@example.org>\r\nTo: bob@example.net,\r\n\tcarl@example.net\r\nSubject: A  subject\r\n with a fold \r\n\r\nFirst  line \r\n\r\n.second\r\n\r\n\r\n";

    private static readonly DkimSigningKey s_rsa = DkimSigningKey.Read("example.org", "r", DkimSigningKey.Create(DkimKeyKind.Rsa));
    private static readonly DkimSigningKey s_ed25519 = DkimSigningKey.Read("example.org", "e", DkimSigningKey.Create(DkimKeyKind.Ed25519));

    private static FakeKeys Keys => new FakeKeys().With(s_rsa.RecordName, s_rsa.Record).With(s_ed25519.RecordName, s_ed25519.Record);

    [Theory]
    [InlineData(1)]
    [InlineData(13)]
    [InlineData(10_000)]
    public async Task What_both_keys_sign_passes_with_what_stands_in_front(int pieceBytes)
    {
        var signed = Sign(Message, pieceBytes, s_rsa, s_ed25519);
        var results = await Verifying.AllAsync(signed, Keys);
        Assert.Equal([("rsa-sha256", "r", AuthenticationStatus.Pass), ("ed25519-sha256", "e", AuthenticationStatus.Pass)],
            results.Select(result => (result.Algorithm, result.Selector, result.Status)));
        Assert.All(signed.Split("\r\n\r\n")[0].Split("\r\n"), line => Assert.InRange(line.Length, 1, 100));
        // The fields that were put in are signed, and no second From may be added.
        Assert.All(await Verifying.AllAsync(signed.Replace("<1@example.org>", "<2@example.org>", StringComparison.Ordinal), Keys), IsFail);
        Assert.All(await Verifying.AllAsync($"From: eve@example.org\r\n{signed}", Keys), IsFail);
        Assert.DoesNotContain("l=", signed, StringComparison.Ordinal);
    }

    [Fact]
    public async Task MimeKit_verifies_what_we_sign()
    {
        var signed = Sign(Message, 100, s_rsa, s_ed25519);
        using var stream = new MemoryStream(Encoding.Latin1.GetBytes(signed));
        var message = await MimeMessage.LoadAsync(stream, TestContext.Current.CancellationToken);
        var verifier = new DkimVerifier(new Locator(Keys));
        foreach (var field in message.Headers.Where(header => header.Id == HeaderId.DkimSignature))
            Assert.True(await verifier.VerifyAsync(message, field, TestContext.Current.CancellationToken));
    }

    [Fact]
    public void Whatever_is_signed_is_verified_by_us_and_not_with_one_octet_changed()
    {
        var word = Gen.String[Gen.Char['!', '~'], 0, 12];
        var text = Gen.Select(word, Gen.OneOfConst(" ", "  ", "\t", "\r\n", "\r\n\r\n", " \r\n"), (one, end) => one + end).Array[0, 30].Select(string.Concat);
        Gen.Select(word, text, Gen.Int[1, 60], Gen.Int[0, 1000]).Sample((subject, body, piece, at) =>
        {
            var signed = Sign($"From: ann@example.org\r\nSubject: {subject}\r\n\r\n{body}", piece, s_ed25519);
            if (Verify(signed).Single().Status != AuthenticationStatus.Pass)
                return false;
            var end = signed.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4;
            var visible = signed[end..].Where(letter => letter > ' ').Count();
            if (visible == 0)
                return true;
            var index = signed.Index().Where(one => one.Index >= end && one.Item > ' ').ElementAt(at % visible).Index;
            return Verify($"{signed[..index]}{(signed[index] == 'x' ? 'y' : 'x')}{signed[(index + 1)..]}").Single().Status == AuthenticationStatus.Fail;
        }, iter: 500);

        static IReadOnlyList<DkimResult> Verify(string message)
        {
            using var content = Verifying.Read(message);
            return content.VerifyAsync(Keys, Verifying.Now, default).GetAwaiter().GetResult();
        }
    }

    [Fact]
    public void A_header_that_is_too_long_is_not_signed()
    {
        using var content = new SignableContent();
        content.Take(Encoding.Latin1.GetBytes($"From: a\r\nX: {new string('x', 300_000)}\r\n\r\ntext"));
        content.End();
        Assert.True(content.IsHeaderTooLong);
    }

    [Fact]
    public void Keys_are_read_again_when_their_folder_changes()
    {
        using var files = new TempFolder("dkim");
        var time = new FakeTimeProvider();
        var keys = new SigningKeys(Options.Create(new DkimOptions { KeyFolder = files["keys"] }), time, NullLogger<SigningKeys>.Instance);
        Assert.False(keys.HasAny);
        var folder = new KeyFolder(files["keys"]);
        Assert.NotNull(folder.Create("example.org", "r1", DkimKeyKind.Rsa));
        Assert.Null(folder.Create("example.org", "r1", DkimKeyKind.Ed25519));
        var file = Path.Combine(files["keys"], "example.org", "r1.pem");
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        // Not looked at so soon.
        Assert.Empty(keys.Of("example.org"));
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal("r1", Assert.Single(keys.Of("EXAMPLE.org")).Selector);

        // As a secret of Kubernetes has them, and one that is none, beside the mount's own folder.
        File.WriteAllText(Path.Combine(files["keys"], "e1._domainkey.example.org.pem"), DkimSigningKey.Create(DkimKeyKind.Ed25519));
        File.WriteAllText(Path.Combine(files["keys"], "x._domainkey.example.net.pem"), "no key");
        Directory.CreateDirectory(Path.Combine(files["keys"], "..data"));
        File.WriteAllText(Path.Combine(files["keys"], "..data", "r9.pem"), DkimSigningKey.Create(DkimKeyKind.Ed25519));
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(["r1", "e1"], keys.Of("example.org").Select(key => key.Selector));
        Assert.Equal(["r1", "e1"], keys.AtOrAbove("mx.deep.example.org").Select(key => key.Selector));
        Assert.Empty(keys.Of("example.net"));
        Assert.Empty(keys.AtOrAbove("org"));

        Assert.True(folder.Retire("example.org", "r1"));
        Assert.False(folder.Retire("example.org", "r1"));
        Assert.Null(folder.Create("example.org", "r1", DkimKeyKind.Rsa));
        time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(["e1"], keys.Of("example.org").Select(key => key.Selector));
    }

    [Theory]
    [InlineData(512)]
    [InlineData(8192)]
    public void A_key_that_nobody_would_take_is_refused(int bits)
    {
        using var rsa = System.Security.Cryptography.RSA.Create(bits);
        var refused = Assert.Throws<System.Security.Cryptography.CryptographicException>(() => DkimSigningKey.Read("example.org", "s", rsa.ExportPkcs8PrivateKeyPem()));
        Assert.Contains($"{bits} bits", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_is_published_is_found_by_a_signature()
    {
        var cancellation = TestContext.Current.CancellationToken;
        Assert.Equal(RecordState.Published, await PublishedRecord.FindAsync(s_rsa, Keys, cancellation));
        Assert.Equal(RecordState.Published, await PublishedRecord.FindAsync(s_ed25519, Keys, cancellation));
        Assert.Equal(RecordState.Missing, await PublishedRecord.FindAsync(s_rsa, new FakeKeys(), cancellation));
        var other = DkimSigningKey.Read("example.org", "r", DkimSigningKey.Create(DkimKeyKind.Rsa));
        Assert.Equal(RecordState.Other, await PublishedRecord.FindAsync(s_rsa, new FakeKeys().With(s_rsa.RecordName, other.Record), cancellation));
        var failing = Keys;
        failing.Failing.Add(s_rsa.RecordName);
        Assert.Equal(RecordState.Unknown, await PublishedRecord.FindAsync(s_rsa, failing, cancellation));
    }

    private static void IsFail(DkimResult result) => Assert.Equal(AuthenticationStatus.Fail, result.Status);

    internal static string Sign(string message, int pieceBytes, params DkimSigningKey[] keys)
    {
        using var content = new SignableContent();
        foreach (var piece in Encoding.Latin1.GetBytes(message).Chunk(pieceBytes))
            content.Take(piece);
        content.End();
        var signature = content.Sign(content.HeaderBelow(Encoding.Latin1.GetBytes(Prefix)), keys, Verifying.Now);
        return Encoding.Latin1.GetString(signature) + Prefix + message;
    }

    private sealed class Locator(FakeKeys keys) : DkimPublicKeyLocatorBase
    {
        public override Org.BouncyCastle.Crypto.AsymmetricKeyParameter LocatePublicKey(string methods, string domain, string selector, CancellationToken cancellationToken = default) =>
            GetPublicKey(keys.TxtAsync($"{selector}._domainkey.{domain}", cancellationToken).GetAwaiter().GetResult().Records[0].Text);

        public override Task<Org.BouncyCastle.Crypto.AsymmetricKeyParameter> LocatePublicKeyAsync(
            string methods, string domain, string selector, CancellationToken cancellationToken = default) =>
            Task.FromResult(LocatePublicKey(methods, domain, selector, cancellationToken));
    }
}
