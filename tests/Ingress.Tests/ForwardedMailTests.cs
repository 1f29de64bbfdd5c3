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
