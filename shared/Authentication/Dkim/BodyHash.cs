using System.Security.Cryptography;

namespace MailPipeline.Authentication.Dkim;

/// <summary>The SHA-256 of a canonical body, or of its beginning. No other hash is left (RFC 8301 §3.1).</summary>
/// <param name="maxBytes">l= (RFC 6376 §3.5); null: all of it.</param>
internal sealed class BodyHash(long? maxBytes) : IDisposable
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public long? MaxBytes => maxBytes;

    /// <summary>Octets of the whole canonical body.</summary>
    public long BodyBytes { get; private set; }

    /// <summary>Once the body has ended.</summary>
    public ReadOnlyMemory<byte> Value { get; private set; }

    /// <summary>Octets of the body that nobody vouches for.</summary>
    public long UncoveredBytes => maxBytes is { } max ? Math.Max(0, BodyBytes - max) : 0;

    /// <summary>More is said to be signed than there is.</summary>
    public bool IsCutShort => maxBytes > BodyBytes;

    public void Take(ReadOnlySpan<byte> canonical)
    {
        var room = maxBytes is { } max ? Math.Max(0, max - BodyBytes) : canonical.Length;
        _hash.AppendData(canonical[..(int)Math.Min(room, canonical.Length)]);
        BodyBytes += canonical.Length;
    }

    public void End()
    {
        Value = _hash.GetHashAndReset();
        _hash.Dispose();
    }

    public void Dispose() => _hash.Dispose();
}

/// <summary>The hashes of one body that are asked for, each made once, while it streams by.</summary>
internal sealed class BodyHashes : IDisposable
{
    private readonly List<BodyCanonicalizer> _forms = [];

    public BodyHash Add(Canonicalization canonicalization, long? maxBytes = null)
    {
        var form = _forms.Find(form => form.Canonicalization == canonicalization);
        if (form is null)
            _forms.Add(form = new BodyCanonicalizer(canonicalization));
        return form.HashOf(maxBytes);
    }

    public void Take(ReadOnlySpan<byte> body)
    {
        foreach (var form in _forms)
            form.Take(body);
    }

    public void End()
    {
        foreach (var form in _forms)
            form.End();
    }

    public void Dispose()
    {
        foreach (var form in _forms)
            form.Dispose();
    }
}
