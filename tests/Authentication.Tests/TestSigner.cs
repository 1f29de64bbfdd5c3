using System.Security.Cryptography;
using System.Text;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Tests;

/// <summary>Signs with any tags that a test wants, right or wrong, by a key that it makes.</summary>
internal sealed class TestSigner : IDisposable
{
    private readonly RSA _key;

    public TestSigner(int bits = 1024) => _key = RSA.Create(bits);

    public string PublicKey => Convert.ToBase64String(_key.ExportSubjectPublicKeyInfo());

    public string Record => $"v=DKIM1; k=rsa; p={PublicKey}";

    /// <summary>The message with a signature in front.</summary>
    /// <param name="tags">All but bh= and b=; c= is that of the header and the body.</param>
    public string Sign(string message, string tags, string? bodyHash = null)
    {
        var end = message.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        var (header, body) = (message[..(end + 2)], message[(end + 4)..]);
        var said = TagList.Parse(tags) ?? TagList.Parse("")!;
        var bodyForm = (said["c"] ?? "").EndsWith("/relaxed", StringComparison.Ordinal) ? Canonicalization.Relaxed : Canonicalization.Simple;
        bodyHash ??= Convert.ToBase64String(HashOf(body, bodyForm, long.TryParse(said["l"], out var max) ? max : null));
        var unsigned = $"DKIM-Signature: {tags}; bh={bodyHash}; b=";
        var signature = SignatureField.Read(
            MessageHeader.Parse(Encoding.Latin1.GetBytes($"{unsigned}AAAA\r\n")).Fields[0], SignatureKind.Dkim);
        var hash = SignatureVerification.HashOf(signature, MessageHeader.Parse(Encoding.Latin1.GetBytes(header)));
        return $"{unsigned}{Convert.ToBase64String(_key.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1))}\r\n{message}";
    }

    public static byte[] HashOf(string body, Canonicalization form, long? maxBytes = null)
    {
        var hashes = new BodyHashes();
        var hash = hashes.Add(form, maxBytes);
        hashes.Take(Encoding.Latin1.GetBytes(body));
        hashes.End();
        return hash.Value.ToArray();
    }

    public void Dispose() => _key.Dispose();
}

internal static class Verifying
{
    public static readonly DateTimeOffset Now = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);

    /// <summary>Reads the message in pieces of so many octets.</summary>
    public static SignedContent Read(string message, int pieceBytes = int.MaxValue, VerificationLimits? limits = null)
    {
        var content = new SignedContent(limits ?? new VerificationLimits());
        var octets = Encoding.Latin1.GetBytes(message).AsSpan();
        while (!octets.IsEmpty)
        {
            var piece = octets[..Math.Min(pieceBytes, octets.Length)];
            content.Take(piece);
            octets = octets[piece.Length..];
        }

        content.End();
        return content;
    }

    public static async Task<DkimResult> OneAsync(string message, FakeKeys keys, int pieceBytes = int.MaxValue, DateTimeOffset? now = null) =>
        Assert.Single(await AllAsync(message, keys, pieceBytes, now));

    public static async Task<IReadOnlyList<DkimResult>> AllAsync(
        string message, FakeKeys keys, int pieceBytes = int.MaxValue, DateTimeOffset? now = null)
    {
        using var content = Read(message, pieceBytes);
        return await content.VerifyAsync(keys, now ?? Now, TestContext.Current.CancellationToken);
    }
}
