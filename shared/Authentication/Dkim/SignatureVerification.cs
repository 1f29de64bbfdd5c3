using System.Buffers;
using System.Security.Cryptography;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dkim;

/// <summary>How one signature is verified, whichever field it stands in (RFC 6376 §6.1).</summary>
internal static class SignatureVerification
{
    /// <summary>RFC 6376 §3.5: clocks differ; a signature of the future is none yet.</summary>
    private static readonly TimeSpan s_drift = TimeSpan.FromMinutes(5);

    /// <summary>Records at one name that are tried (RFC 6376 §3.6.2.2 leaves more than one undefined): a domain that changes its key in place has two.</summary>
    private const int MaxRecords = 3;

    /// <summary>What is wrong with its times; null: nothing.</summary>
    public static SignatureFault? FaultAt(SignatureField signature, DateTimeOffset now)
    {
        if (signature.ExpiresAt < now.ToUnixTimeSeconds())
            return new SignatureFault(AuthenticationStatus.Fail, "the signature has expired");
        return signature.SignedAt > (now + s_drift).ToUnixTimeSeconds()
            ? new SignatureFault(AuthenticationStatus.Policy, "the signature is of a time to come") : null;
    }

    /// <summary>What is wrong with the body; null: it is the one that was signed.</summary>
    public static SignatureFault? FaultOf(SignatureField signature, BodyHash body)
    {
        if (body.IsCutShort)
            return SignatureFault.Unreadable("l= is more than the body has");
        return body.Value.Span.SequenceEqual(signature.BodyHash.Span)
            ? null : new SignatureFault(AuthenticationStatus.Fail, "the body is not the one that was signed");
    }

    /// <summary>The fields that h= names: of several of one name the lowest first, and of one that is not there nothing (RFC 6376 §5.4.2).</summary>
    /// <param name="own">The signature that is verified, which h= never means (RFC 6376 §3.5); null while one is made.</param>
    public static void WriteSigned(
        IBufferWriter<byte> output, Canonicalization form, IReadOnlyList<string> names, MessageHeader header, MessageField? own = null)
    {
        var left = new Dictionary<string, (IReadOnlyList<MessageField> Fields, int Count)>(StringComparer.Ordinal);
        foreach (var name in names)
        {
            if (!left.TryGetValue(name, out var those))
            {
                var fields = header.Named(name);
                if (own is { } field && field.IsNamed(name))
                    fields = [.. fields.Where(other => !other.Octets.Equals(field.Octets))];
                those = (fields, fields.Count);
            }

            if (those.Count > 0)
                CanonicalField.Write(output, form, those.Fields[those.Count - 1]);
            left[name] = (those.Fields, Math.Max(0, those.Count - 1));
        }
    }

    /// <summary>The hash of what is signed of a header.</summary>
    public static byte[] HashOf(SignatureField signature, MessageHeader header)
    {
        var signed = new ArrayBufferWriter<byte>(2048);
        WriteSigned(signed, signature.HeaderForm, signature.SignedNames, header, signature.Field);
        CanonicalField.Write(signed, signature.HeaderForm, signature.WithoutSignature(), hasLineEnd: false);
        return SHA256.HashData(signed.WrittenSpan);
    }

    /// <summary>What the published keys say of the signature.</summary>
    /// <returns>Pass, with what is to be said of the key; or why it is none.</returns>
    /// <param name="header">Hashed where there is a key to hold it against.</param>
    /// <param name="keys">Those that were read before.</param>
    public static SignatureFault Judge(SignatureField signature, MessageHeader header, DnsAnswer<TxtRecord> answer, KeyRecords keys) =>
        Judge(signature, () => HashOf(signature, header), answer, keys);

    /// <param name="hash">Asked for where there is a key to hold it against.</param>
    /// <inheritdoc cref="Judge(SignatureField, MessageHeader, DnsAnswer{TxtRecord}, KeyRecords)"/>
    public static SignatureFault Judge(SignatureField signature, Func<byte[]> hash, DnsAnswer<TxtRecord> answer, KeyRecords keys)
    {
        if (answer.Status == DnsStatus.Failed)
            return new SignatureFault(AuthenticationStatus.TemporaryError, "the DNS did not answer about the key");
        SignatureFault? last = null;
        byte[]? made = null;
        foreach (var record in answer.Records.Take(MaxRecords))
        {
            var judged = Judge(signature, () => made ??= hash(), keys.Read(record.Text, signature.Algorithm));
            if (judged.Status == AuthenticationStatus.Pass)
                return judged;
            // What a key was tried and found says more than a record that is none.
            if (last is null || judged.Status == AuthenticationStatus.Fail)
                last = judged;
        }

        return last ?? SignatureFault.Unreadable("no key is published");
    }

    private static SignatureFault Judge(SignatureField signature, Func<byte[]> hash, KeyRecord key)
    {
        if (key.Fault is { } fault)
            return fault;
        if (key.IsStrict && signature.Kind == SignatureKind.Dkim && !signature.Identity.EndsWith($"@{signature.Domain}", StringComparison.Ordinal))
            return SignatureFault.Unreadable("i= is of a domain below that of the key, which does not allow that");
        if (!key.Verifies(hash(), signature.Signature.Span))
            return new SignatureFault(AuthenticationStatus.Fail, key.IsTesting ? "the signature does not match; the domain is testing" : "the signature does not match");
        return new SignatureFault(AuthenticationStatus.Pass, key.IsTesting ? "the domain is testing" : "");
    }
}
