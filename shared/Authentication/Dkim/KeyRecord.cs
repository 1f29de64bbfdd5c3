using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;
using NSec.Cryptography;

namespace MailPipeline.Authentication.Dkim;

/// <summary>A public key as a domain publishes it (RFC 6376 §3.6.1, RFC 8463 §4). Used by many at a time.</summary>
internal sealed class KeyRecord
{
    /// <summary>RFC 8301 §3.2: no shorter RSA key vouches for anything, and longer ones than 4096 nobody has to verify.</summary>
    public const int MinRsaBits = 1024;

    public const int MaxRsaBits = 4096;

    /// <summary>More octets than a key of 4096 bits has, with what is around it: nothing of a longer one is read.</summary>
    private const int MaxKeyBytes = 1024;

    /// <summary>Nobody has a longer exponent, and the work of verifying grows with it.</summary>
    private const int MaxExponentBytes = 4;

    private readonly RSAParameters? _rsa;
    private readonly NSec.Cryptography.PublicKey? _ed25519;

    /// <summary>What the library has made of the key, while nobody verifies with it: one at a time may.</summary>
    private RSA? _idle;

    private KeyRecord(SignatureFault fault) => Fault = fault;

    private KeyRecord(RSAParameters? rsa, NSec.Cryptography.PublicKey? ed25519, bool isTesting, bool isStrict) =>
        (_rsa, _ed25519, IsTesting, IsStrict) = (rsa, ed25519, isTesting, isStrict);

    /// <summary>Why no signature is verified with it; null: it can be used.</summary>
    public SignatureFault? Fault { get; }

    /// <summary>t=y: the domain tries signing out, and a signature that fails says no more than none.</summary>
    public bool IsTesting { get; }

    /// <summary>t=s: i= is of the very domain in d=.</summary>
    public bool IsStrict { get; }

    /// <summary>A key that can be used for signatures of this algorithm, or why there is none.</summary>
    /// <param name="text">A TXT record's strings, joined.</param>
    /// <param name="algorithm">a= of the signature.</param>
    public static KeyRecord Read(string text, string algorithm)
    {
        if (TagList.Parse(text) is not { } tags)
            return Unreadable("the key's record is no list of tags");
        // RFC 6376 §3.6.1: v= is optional, stands first, and has one value.
        if (tags["v"] is { } version && (tags.First != "v" || version != "DKIM1"))
            return Unreadable("the key's record is of another version");
        if (tags.Compact("p") is not { } encoded)
            return Unreadable("the record has no key");
        if (encoded.Length == 0)
            return Unreadable("the key is revoked");
        if (tags.Parts("s") is { } services && !services.Contains("*") && !services.Contains("email", StringComparer.OrdinalIgnoreCase))
            return Unreadable("the key is not for mail");
        if (tags.Parts("h") is { } hashes && !hashes.Contains("sha256", StringComparer.OrdinalIgnoreCase))
            return Unreadable("the key is not for sha256");
        var type = tags.Compact("k") ?? "rsa";
        if (!algorithm.StartsWith($"{type}-", StringComparison.OrdinalIgnoreCase))
            return Unreadable("the key is of another type than the signature");
        if (encoded.Length > MaxKeyBytes * 4 / 3)
            return new KeyRecord(TooLong);
        if (tags.Octets("p") is not { } octets)
            return Unreadable("the key is no base64");
        var flags = tags.Parts("t") ?? [];
        var (isTesting, isStrict) = (flags.Contains("y"), flags.Contains("s"));
        if (algorithm == SignatureField.Ed25519Sha256)
        {
            // RFC 8463 §4.2: the 32 octets themselves.
            return NSec.Cryptography.PublicKey.TryImport(SignatureAlgorithm.Ed25519, octets, KeyBlobFormat.RawPublicKey, out var key)
                ? new KeyRecord(null, key, isTesting, isStrict) : Unreadable("the key is no Ed25519 key");
        }

        var (rsa, fault) = ReadRsa(octets);
        return fault is null ? new KeyRecord(rsa, null, isTesting, isStrict) : new KeyRecord(fault);
    }

    /// <summary>The signature is one of this hash by this key.</summary>
    public bool Verifies(ReadOnlySpan<byte> hash, ReadOnlySpan<byte> signature)
    {
        if (_ed25519 is { } key)
            return signature.Length == SignatureAlgorithm.Ed25519.SignatureSize && SignatureAlgorithm.Ed25519.Verify(key, hash, signature);
        if (_rsa is not { } parameters)
            return false;
        RSA? rsa = null;
        try
        {
            rsa = Interlocked.Exchange(ref _idle, null) ?? RSA.Create(parameters);
            return rsa.VerifyHash(hash, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
        catch (CryptographicException)
        {
            // What a stranger publishes may be what no library takes for a key: it verifies nothing.
            return false;
        }
        finally
        {
            if (rsa is not null && Interlocked.CompareExchange(ref _idle, rsa, null) is not null)
                rsa.Dispose();
        }
    }

    private static SignatureFault TooLong => new(AuthenticationStatus.Policy, $"the key is longer than {MaxRsaBits} bits");

    private static KeyRecord Unreadable(string reason) => new(SignatureFault.Unreadable(reason));

    /// <summary>A SubjectPublicKeyInfo, as all publish it, or the RSAPublicKey within, as RFC 6376 §3.6.1 has it. Nothing is computed yet.</summary>
    private static (RSAParameters Key, SignatureFault? Fault) ReadRsa(byte[] octets)
    {
        try
        {
            var sequence = new AsnReader(octets, AsnEncodingRules.DER).ReadSequence();
            if (sequence.PeekTag().HasSameClassAndValue(Asn1Tag.Sequence))
            {
                sequence.ReadSequence();
                sequence = new AsnReader(sequence.ReadBitString(out _), AsnEncodingRules.DER).ReadSequence();
            }

            var modulus = sequence.ReadIntegerBytes().Span.TrimStart((byte)0);
            var exponent = sequence.ReadIntegerBytes().Span.TrimStart((byte)0);
            var bits = modulus.IsEmpty ? 0 : (modulus.Length * 8) - BitOperations.LeadingZeroCount((uint)modulus[0] << 24);
            if (bits < MinRsaBits)
                return (default, new SignatureFault(AuthenticationStatus.Policy, $"the key has {bits} bits, fewer than {MinRsaBits}"));
            if (bits > MaxRsaBits || exponent.Length > MaxExponentBytes)
                return (default, TooLong);
            // An exponent of 1 makes any hash its own signature, and an even one or modulus is of no RSA key.
            if (exponent.IsEmpty || (exponent[^1] & 1) == 0 || exponent is [1] || (modulus[^1] & 1) == 0)
                return (default, SignatureFault.Unreadable("the key is no RSA key"));
            return (new RSAParameters { Modulus = modulus.ToArray(), Exponent = exponent.ToArray() }, null);
        }
        catch (AsnContentException)
        {
            return (default, SignatureFault.Unreadable("the key is no RSA key"));
        }
    }
}
