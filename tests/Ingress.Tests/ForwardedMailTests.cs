using System.Security.Cryptography;
using System.Text;
using MailPipeline.Testing;
using MimeKit;
using MimeKit.Cryptography;

namespace MailPipeline.Ingress.Tests;

/// <summary>Mail that comes by a forwarder, whom SPF does not permit: what saves it, and what does not.</summary>
public sealed class ForwardedMailTests
{
    private const string Forwarder = "192.0.2.77";
    private const string Text = "From: Ann <ann@example.net>\r\nSubject: hello\r\nDate: Wed, 02 Jan 2030 12:00:00 +0000\r\nMessage-ID: <1@example.net>\r\n\r\nHow are you?\r\n";

    [Fact]
    public async Task A_valid_signature_of_the_author_s_domain_saves_it_and_one_octet_changed_does_not()
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("sel._domainkey.example.net", key));
        await using var host = await AuthenticationZone.StartAsync($"{dns.EndPoint}", "Enforce", ("Spf:Fail", "Refuse"));
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        var signed = Signed(key, Text);
        Assert.StartsWith("250", await SendAsync(client, signed), StringComparison.Ordinal);
        Assert.Matches(
            "^mx\\.example\\.com; spf=fail smtp\\.mailfrom=ann@example\\.net; spf=none smtp\\.helo=mx\\.forwarder\\.example; "
            + "dkim=pass header\\.d=example\\.net header\\.i=@example\\.net header\\.s=sel header\\.a=rsa-sha256 header\\.b=\"?[A-Za-z0-9+/]+\"?; "
            + "dmarc=pass \\(p=reject\\) header\\.from=example\\.net policy\\.dmarc=none$", await AuthenticationZone.FieldAsync(host));
        Assert.StartsWith("550 5.7.26", await SendAsync(client, signed.Replace("How are", "How aRe", StringComparison.Ordinal)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("forwarder.example", "250")]
    [InlineData("other.example", "550 5.7.26")]
    public async Task The_seal_of_a_forwarder_that_is_trusted_saves_it(string trusted, string reply)
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("arc._domainkey.forwarder.example", key));
        await using var host = await AuthenticationZone.StartAsync($"{dns.EndPoint}", "Enforce", ("Dmarc:TrustedSealers:0", trusted));
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        Assert.StartsWith(reply, await SendAsync(client, Sealed(key, Text)), StringComparison.Ordinal);
        if (reply == "250")
        {
            Assert.EndsWith(
                "arc=pass (i=1 sealed by forwarder.example); dmarc=fail (p=reject override=trusted-sealer) header.from=example.net policy.dmarc=none",
                await AuthenticationZone.FieldAsync(host), StringComparison.Ordinal);
        }
    }

    /// <summary>A seal says what its domain saw, and that may be a forgery.</summary>
    [Theory]
    [InlineData("dmarc=pass header.from=example.net", "250")]
    [InlineData("dmarc=pass (p=reject dis=none) header.from=EXAMPLE.net", "250")]
    [InlineData("dmarc=fail header.from=example.net", "550 5.7.26")]
    [InlineData("dmarc=pass header.from=other.example", "550 5.7.26")]
    [InlineData("dmarc=fail header.from=example.net; spf=pass smtp.mailfrom=eve@other.example; dkim=pass header.d=other.example", "550 5.7.26")]
    [InlineData("spf=pass smtp.mailfrom=ann@lists.example.net", "250")]
    [InlineData("spf=pass (ok) smtp.mailfrom=example.net", "250")]
    [InlineData("dkim=fail header.d=example.net; dkim=pass header.i=@mail.example.net", "250")]
    [InlineData("dkim=fail header.d=example.net", "550 5.7.26")]
    [InlineData("x-of=nobody's grammar: @; dkim=pass header.d=example.net", "250")]
    [InlineData("(dkim=pass header.d=example.net)", "550 5.7.26")]
    [InlineData("x=\"; dkim=pass header.d=example.net\"", "550 5.7.26")]
    [InlineData("none", "550 5.7.26")]
    public async Task A_trusted_seal_saves_what_its_domain_has_seen_pass(string seen, string reply)
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("arc._domainkey.forwarder.example", key));
        await using var host = await AuthenticationZone.StartAsync($"{dns.EndPoint}", "Enforce", ("Dmarc:TrustedSealers:0", "forwarder.example"));
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        Assert.StartsWith(reply, await SendAsync(client, SealedBy(key, Text, seen)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", "250")]
    [InlineData("Buy now!\r\n", "550 5.7.26")]
    public async Task A_seal_that_leaves_some_of_the_body_uncovered_does_not_save_it(string added, string reply)
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("arc._domainkey.forwarder.example", key));
        await using var host = await AuthenticationZone.StartAsync($"{dns.EndPoint}", "Enforce", ("Dmarc:TrustedSealers:0", "forwarder.example"));
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        Assert.StartsWith(reply, await SendAsync(client, SealedBy(key, Text, "dmarc=pass", isBounded: true) + added), StringComparison.Ordinal);
    }

    /// <summary>A set as a forwarder writes it, with whatever results.</summary>
    private static string SealedBy(RSA key, string message, string seen, bool isBounded = false)
    {
        var body = message[(message.IndexOf("\r\n\r\n", StringComparison.Ordinal) + 4)..];
        var results = $"i=1; forwarder.example; {seen}";
        var hash = Convert.ToBase64String(SHA256.HashData(Encoding.ASCII.GetBytes(body)));
        var signature = $"i=1; a=rsa-sha256; c=relaxed/simple; d=forwarder.example; s=arc; h=from;{(isBounded ? $" l={body.Length};" : "")} bh={hash}; b=";
        signature += Sign($"from:Ann <ann@example.net>\r\narc-message-signature:{signature}");
        const string Seal = "i=1; a=rsa-sha256; cv=none; d=forwarder.example; s=arc; b=";
        var seal = Seal + Sign($"arc-authentication-results:{results}\r\narc-message-signature:{signature}\r\narc-seal:{Seal}");
        return $"ARC-Seal: {seal}\r\nARC-Message-Signature: {signature}\r\nARC-Authentication-Results: {results}\r\n{message}";

        string Sign(string signed) => Convert.ToBase64String(key.SignData(Encoding.ASCII.GetBytes(signed), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));
    }

    /// <summary>Who has such a message can send its author's readers any text behind it, under his name.</summary>
    [Theory]
    [InlineData("", "250")]
    [InlineData("Buy now!\r\n", "550 5.7.26")]
    public async Task A_signature_that_leaves_some_of_the_body_uncovered_does_not_save_it(string added, string reply)
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("sel._domainkey.example.net", key));
        await using var host = await AuthenticationZone.StartAsync($"{dns.EndPoint}", "Enforce");
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        const string body = "How are you?\r\n";
        var field = $"DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=sel; h=from; l={body.Length}; bh={Convert.ToBase64String(SHA256.HashData(Encoding.ASCII.GetBytes(body)))}; b=";
        var signature = key.SignData(Encoding.ASCII.GetBytes($"From: Ann <ann@example.net>\r\n{field}"), HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        Assert.StartsWith(reply, await SendAsync(client, $"{field}{Convert.ToBase64String(signature)}\r\n{Text}{added}"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_are_asked_for_once_for_many_messages()
    {
        using var key = RSA.Create(2048);
        await using var dns = await StartDnsAsync(("sel._domainkey.example.net", key));
        await using var counting = new SilentDnsServer(_ => dns.EndPoint);
        await using var host = await AuthenticationZone.StartAsync($"{counting.EndPoint}", "Enforce");
        await using var client = await AuthenticationZone.AsAsync(host, Forwarder, "mx.forwarder.example");
        var signed = Signed(key, Text);
        await SendAsync(client, signed);
        var asked = counting.Questions;
        for (var i = 0; i < 5; i++)
            Assert.StartsWith("250", await SendAsync(client, signed), StringComparison.Ordinal);
        Assert.Equal(asked, counting.Questions);
    }

    private static Task<DnsServer> StartDnsAsync(params (string Name, RSA Key)[] keys) => DnsServer.StartAsync($"""
        example.net. TXT "v=spf1 ip4:192.0.2.1 -all"
        _dmarc.example.net. TXT "v=DMARC1; p=reject"
        {string.Join('\n', keys.Select(one => $"{one.Name}. TXT \"v=DKIM1; p=\" {string.Join(' ', Convert.ToBase64String(one.Key.ExportSubjectPublicKeyInfo()).Chunk(200).Select(part => $"\"{new string(part)}\""))}"))}
        """, TestContext.Current.CancellationToken);

    private static async Task<string> SendAsync(Client client, string message)
    {
        await client.BeginAsync("ann@example.net");
        await client.SendAsync($"{message}.\r\n");
        return await client.ReplyAsync() ?? "(end)";
    }

    private static string Signed(RSA key, string message)
    {
        var parsed = Parsed(message);
        using var pem = Pem(key);
        new DkimSigner(pem, "example.net", "sel", DkimSignatureAlgorithm.RsaSha256).Sign(parsed, ["from", "subject"]);
        return Written(parsed);
    }

    private static string Sealed(RSA key, string message)
    {
        var parsed = Parsed(message);
        using var pem = Pem(key);
        new Sealer(pem).Sign(parsed, ["from", "subject"]);
        return Written(parsed);
    }

    private static MimeMessage Parsed(string message)
    {
        using var stream = new MemoryStream(Encoding.ASCII.GetBytes(message));
        return MimeMessage.Load(stream);
    }

    private static MemoryStream Pem(RSA key) => new(Encoding.ASCII.GetBytes(key.ExportRSAPrivateKeyPem()));

    private static string Written(MimeMessage message)
    {
        using var stream = new MemoryStream();
        var options = FormatOptions.Default.Clone();
        options.NewLineFormat = NewLineFormat.Dos;
        message.WriteTo(options, stream);
        return Encoding.ASCII.GetString(stream.ToArray());
    }

    private sealed class Sealer(Stream key) : ArcSigner(key, "forwarder.example", "arc", DkimSignatureAlgorithm.RsaSha256)
    {
        protected override AuthenticationResults GenerateArcAuthenticationResults(FormatOptions options, MimeMessage message, CancellationToken cancellationToken) =>
            new("forwarder.example") { Results = { new AuthenticationMethodResult("dmarc", "pass") } };

        protected override Task<AuthenticationResults> GenerateArcAuthenticationResultsAsync(
            FormatOptions options, MimeMessage message, CancellationToken cancellationToken) =>
            Task.FromResult(GenerateArcAuthenticationResults(options, message, cancellationToken));
    }
}
