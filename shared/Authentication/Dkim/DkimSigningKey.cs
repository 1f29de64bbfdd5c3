using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using NSec.Cryptography;

namespace MailPipeline.Authentication.Dkim;

/// <summary>The kinds of key that a domain can sign with.</summary>
public enum DkimKeyKind
{
    /// <summary>RSA of 2048 bits: all who verify know it (RFC 8301 §3.2).</summary>
    Rsa,

    /// <summary>RFC 8463: smaller and faster; not all know it yet, so that it stands beside an RSA key.</summary>
    Ed25519,
}

/// <summary>A private key of a domain of ours, with the selector under which its other half is published. May be used by many at once.</summary>
public sealed class DkimSigningKey
{
    private const int RsaBits = 2048;

    // An RSA object is for one caller at a time.
    private readonly ConcurrentBag<RSA> _rsa = [];
    private readonly RSAParameters? _parameters;
    private readonly Key? _ed25519;

    private DkimSigningKey(string domain, string selector, RSAParameters? parameters, Key? ed25519) =>
        (Domain, Selector, _parameters, _ed25519) = (domain, selector, parameters, ed25519);

    /// <summary>In A-labels and lower case.</summary>
    public string Domain { get; }

    public string Selector { get; }

    public DkimKeyKind Kind => _ed25519 is null ? DkimKeyKind.Rsa : DkimKeyKind.Ed25519;

    /// <summary>As a= names it.</summary>
    public string Algorithm => _ed25519 is null ? SignatureField.RsaSha256 : SignatureField.Ed25519Sha256;

    /// <summary>The name at which its record is published.</summary>
    public string RecordName => $"{Selector}._domainkey.{Domain}";

    /// <summary>The text of its record (RFC 6376 §3.6.1).</summary>
    public string Record => $"v=DKIM1; k={(_ed25519 is null ? "rsa" : "ed25519")}; p={PublicKey}";

    /// <summary>p= of the record.</summary>
    public string PublicKey
    {
        get
        {
            if (_ed25519 is { } key)
                return Convert.ToBase64String(key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
            using var rsa = RSA.Create(_parameters!.Value);
            return Convert.ToBase64String(rsa.ExportSubjectPublicKeyInfo());
        }
    }

    /// <summary>A new private key as PKCS#8 in PEM.</summary>
    public static string Create(DkimKeyKind kind)
    {
        if (kind == DkimKeyKind.Ed25519)
        {
            using var key = Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
            return Encoding.ASCII.GetString(key.Export(KeyBlobFormat.PkixPrivateKeyText));
        }

        using var rsa = RSA.Create(RsaBits);
        return rsa.ExportPkcs8PrivateKeyPem();
    }

    /// <summary>Reads a private key in PEM.</summary>
    /// <exception cref="CryptographicException">It is none, or one that nobody who verifies would take.</exception>
    public static DkimSigningKey Read(string domain, string selector, string pem)
    {
        if (Key.TryImport(SignatureAlgorithm.Ed25519, Encoding.UTF8.GetBytes(pem.Trim()), KeyBlobFormat.PkixPrivateKeyText, out var key))
            return new DkimSigningKey(domain, selector, null, key);
        using var rsa = RSA.Create();
        try
        {
            rsa.ImportFromPem(pem);
        }
        catch (ArgumentException unreadable)
        {
            throw new CryptographicException("It is no private key of RSA or Ed25519 in PEM.", unreadable);
        }

        if (rsa.KeySize is < KeyRecord.MinRsaBits or > KeyRecord.MaxRsaBits)
            throw new CryptographicException($"It has {rsa.KeySize} bits; a key has {KeyRecord.MinRsaBits} to {KeyRecord.MaxRsaBits} (RFC 8301).");
        return new DkimSigningKey(domain, selector, rsa.ExportParameters(includePrivateParameters: true), null);
    }

    internal byte[] Sign(byte[] hash)
    {
        if (_ed25519 is { } key)
            return SignatureAlgorithm.Ed25519.Sign(key, hash);
        if (!_rsa.TryTake(out var rsa))
            rsa = RSA.Create(_parameters!.Value);
        try
        {
            return rsa.SignHash(hash, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        }
        finally
        {
            _rsa.Add(rsa);
        }
    }
}
