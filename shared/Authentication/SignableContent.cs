using System.Buffers;
using System.Globalization;
using System.Text;
using MailPipeline.Authentication.Arc;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication;

/// <summary>
/// The content of one message as it is kept, for whoever signs it once it has ended. It is read once, while it streams; its header section is held,
/// and its body hashed. Used by one caller at a time.
/// </summary>
public sealed class SignableContent : IDisposable
{
    // What a reader sees of a message, and what answers and lists go by (RFC 6376 §5.4.1). No trace fields: others add and change them.
    private static readonly string[] s_signed =
    [
        "from", "sender", "reply-to", "subject", "date", "message-id", "to", "cc", "in-reply-to", "references", "mime-version", "content-type",
        "content-transfer-encoding", "content-disposition", "content-id", "content-description", "auto-submitted", "resent-from", "resent-sender",
        "resent-to", "resent-cc", "resent-date", "resent-message-id", "list-id", "list-help", "list-unsubscribe", "list-unsubscribe-post",
        "list-subscribe", "list-post", "list-owner", "list-archive",
    ];

    private readonly HeaderCollector _collector = new(new VerificationLimits().MaxHeaderBytes);
    private readonly BodyHashes _bodies = new();
    private readonly BodyHash _body;
    private bool _isEnded;

    public SignableContent() => _body = _bodies.Add(Canonicalization.Relaxed);

    /// <summary>Its header section is too long to be held, so that nothing can be signed.</summary>
    public bool IsHeaderTooLong => _collector.IsTooLong;

    /// <summary>Takes octets as they come; lines end in CRLF.</summary>
    public void Take(ReadOnlySpan<byte> content)
    {
        if (!_collector.IsOver)
            content = content[_collector.Take(content)..];
        if (!_collector.IsTooLong)
            _bodies.Take(content);
    }

    /// <summary>The content ends here.</summary>
    public void End()
    {
        if (_isEnded)
            return;
        _isEnded = true;
        _collector.End();
        _bodies.End();
    }

    /// <summary>Its fields, below those that are put in front of it.</summary>
    public MessageHeader HeaderBelow(ReadOnlyMemory<byte> prefix) => MessageHeader.Parse(prefix, _collector.Section);

    /// <summary>
    /// A DKIM-Signature field by each key, in one piece, to stand in front of all (RFC 6376 §5): relaxed, over the whole body. From is signed once more
    /// than it is there, so that nobody adds another.
    /// </summary>
    /// <param name="header">Of <see cref="HeaderBelow"/>.</param>
    public byte[] Sign(MessageHeader header, IReadOnlyList<DkimSigningKey> keys, DateTimeOffset now)
    {
        var names = NamesIn(header);
        return [.. keys.SelectMany(key => Sign("DKIM-Signature", ["v=1"], header, names, key, now))];
    }

    /// <summary>
    /// A set of ARC fields in one piece, to stand in front of all (RFC 8617 §5.1): what we found of the message, our signature of it as it goes on, and our
    /// seal of that and of the sets before. Empty where none is to be made: the chain before is no chain, or has failed, or has no room.
    /// </summary>
    /// <param name="header">Of <see cref="HeaderBelow"/>.</param>
    /// <param name="chain">What was found of the chain that is there.</param>
    /// <param name="results">The value of our Authentication-Results field.</param>
    public byte[] Seal(MessageHeader header, ArcResult chain, string results, DkimSigningKey key, DateTimeOffset now)
    {
        var limits = new VerificationLimits();
        if (ArcSet.FindAll(header, limits.MaxArcSets) is not { } sets || sets.Count == limits.MaxArcSets || !chain.MayBeSealed || HasFailed(sets))
            return [];
        var instance = string.Create(CultureInfo.InvariantCulture, $"i={sets.Count + 1}");
        // RFC 5322 §2.1.1: results of many methods are too long for a line.
        var folded = results.Contains('\n') ? results : results.Replace("; ", ";\r\n\t", StringComparison.Ordinal);
        var seen = Encoding.UTF8.GetBytes($"ARC-Authentication-Results: {instance}; {folded}\r\n");
        var signature = Sign("ARC-Message-Signature", [instance], header, NamesIn(header, "dkim-signature"), key, now);
        var isPass = chain.Status == AuthenticationStatus.Pass;
        var signed = new ArrayBufferWriter<byte>();
        // RFC 8617 §5.1.2: of a chain that has failed nothing is sealed but the set that says so.
        foreach (var set in isPass ? sets : [])
        {
            CanonicalField.Write(signed, Canonicalization.Relaxed, set.Results);
            CanonicalField.Write(signed, Canonicalization.Relaxed, set.MessageSignature);
            CanonicalField.Write(signed, Canonicalization.Relaxed, set.Seal);
        }

        foreach (var field in MessageHeader.Parse(seen, signature).Fields)
            CanonicalField.Write(signed, Canonicalization.Relaxed, field);
        var validation = sets.Count == 0 ? "none" : isPass ? "pass" : "fail";
        string[] tags = [instance, $"a={key.Algorithm}", $"t={Seconds(now)}", $"cv={validation}", $"d={key.Domain}", $"s={key.Selector}"];
        return [.. SignedField.Write("ARC-Seal", tags, signed, key), .. signature, .. seen];
    }

    public void Dispose() => _bodies.Dispose();

    private static bool HasFailed(List<ArcSet> sets) =>
        sets is [.., var newest] && SignatureField.Read(newest.Seal, SignatureKind.ArcSeal).ChainValidation == "fail";

    /// <summary>Each as often as it is there, and From once more, so that no other can be added.</summary>
    private static List<string> NamesIn(MessageHeader header, params string[] further) =>
        [.. s_signed.Concat(further).SelectMany(name => Enumerable.Repeat(name, header.Named(name).Count + (name == "from" ? 1 : 0)))];

    private static string Seconds(DateTimeOffset now) => now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);

    private byte[] Sign(string fieldName, string[] first, MessageHeader header, List<string> names, DkimSigningKey key, DateTimeOffset now)
    {
        var signed = new ArrayBufferWriter<byte>(2048);
        SignatureVerification.WriteSigned(signed, Canonicalization.Relaxed, names, header);
        return SignedField.Write(
            fieldName,
            [
                .. first, $"a={key.Algorithm}", "c=relaxed/relaxed", $"d={key.Domain}", $"s={key.Selector}", $"t={Seconds(now)}",
                $"h={string.Join(':', names)}", $"bh={Convert.ToBase64String(_body.Value.Span)}",
            ],
            signed, key);
    }
}
