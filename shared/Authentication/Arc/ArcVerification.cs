using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Authentication.Arc;

/// <summary>
/// The chain of ARC sets of one message (RFC 8617 §5.2): whether it is whole, whether its newest signature is one of the message as it came, and
/// whether all seals hold.
/// </summary>
internal sealed class ArcVerification
{
    private const string Newest = "the newest ARC-Message-Signature";

    private readonly MessageHeader _header;
    private readonly List<ArcSet>? _sets;
    private readonly List<SignatureField> _seals = [];
    private readonly SignatureField? _newest;
    private readonly BodyHash? _body;

    /// <param name="bodies">Where a hash of the body is asked for, before it comes.</param>
    public ArcVerification(MessageHeader header, BodyHashes bodies, VerificationLimits limits)
    {
        _header = header;
        _sets = ArcSet.FindAll(header, limits.MaxArcSets);
        if (_sets is not [.., var newest])
            return;
        _seals.AddRange(_sets.Select(set => SignatureField.Read(set.Seal, SignatureKind.ArcSeal)));
        _newest = SignatureField.Read(newest.MessageSignature, SignatureKind.ArcMessage);
        _body = _newest.Fault is null ? bodies.Add(_newest.BodyForm, _newest.MaxBodyBytes) : null;
    }

    /// <summary>The sets that make a chain, the oldest first; null where they make none.</summary>
    public IReadOnlyList<ArcSet>? Sets => _sets;

    /// <summary>Where keys are published that are needed; none where it is known already that the chain fails.</summary>
    public IEnumerable<string> KeyNames =>
        _newest is null || Fault() is not null ? [] : _seals.Append(_newest).Select(signature => signature.KeyName);

    /// <summary>Once the body has ended and the keys were asked for.</summary>
    public async Task<ArcResult> VerifyAsync(PublishedKeys keys, DateTimeOffset now, CancellationToken cancellation)
    {
        if (_sets is null)
            return new ArcResult(AuthenticationStatus.Fail, "", 0, "the ARC fields are no chain of whole sets");
        if (_newest is null)
            return ArcResult.None;
        var fault = Fault();
        if (fault is null && (SignatureVerification.FaultAt(_newest, now) ?? SignatureVerification.FaultOf(_newest, _body!)) is { } ofNewest)
            fault = About(Newest, ofNewest);
        if (fault is null)
        {
            var judged = SignatureVerification.Judge(
                _newest, _header, await keys.FindAsync(_newest.KeyName, cancellation), keys.Records);
            fault = judged.Status == AuthenticationStatus.Pass ? null : About(Newest, judged);
        }

        var (octets, ends) = fault is null ? Sealed() : default;
        for (var i = _seals.Count - 1; i >= 0 && fault is null; i--)
        {
            var (seal, above) = (_seals[i], octets[..ends[i]]);
            var judged = SignatureVerification.Judge(seal, () => HashOfSeal(above.Span, seal), await keys.FindAsync(_seals[i].KeyName, cancellation), keys.Records);
            fault = judged.Status == AuthenticationStatus.Pass ? null : About($"seal {i + 1}", judged);
        }

        // Whatever is wrong with a chain, it has failed; but what DNS did not say may be said to the next who asks.
        var status = fault is null ? AuthenticationStatus.Pass
            : fault.Status == AuthenticationStatus.TemporaryError ? AuthenticationStatus.TemporaryError : AuthenticationStatus.Fail;
        return new ArcResult(status, _seals[^1].Domain, _sets.Count, fault?.Reason ?? "")
        {
            Sealers = [.. Enumerable.Reverse(_seals).Select(seal => seal.Domain)],
            Results = status == AuthenticationStatus.Pass ? [.. Enumerable.Reverse(_sets).Select(set => Encoding.UTF8.GetString(set.Results.Value.Span))] : [],
            LeavesBodyUncovered = _body is { UncoveredBytes: > 0 },
        };
    }

    /// <summary>What is wrong with the chain as it is written (RFC 8617 §5.2, 2 and 3); null: nothing.</summary>
    private SignatureFault? Fault()
    {
        for (var i = _seals.Count - 1; i >= 0; i--)
        {
            if (_seals[i].Fault is { } fault)
                return About($"seal {i + 1}", fault);
            if (_seals[i].ChainValidation != (i == 0 ? "none" : "pass"))
                return SignatureFault.Unreadable($"seal {i + 1} says cv={_seals[i].ChainValidation}");
        }

        return _newest?.Fault is { } unreadable ? About(Newest, unreadable) : null;
    }

    /// <summary>
    /// RFC 8617 §5.1.1: all sets, the oldest first, each as results, signature and seal. A seal is about all up to its end here, and then about itself without
    /// its signature.
    /// </summary>
    private (ReadOnlyMemory<byte> Octets, int[] Ends) Sealed()
    {
        var fields = new ArrayBufferWriter<byte>(4096);
        var ends = new int[_sets!.Count];
        for (var i = 0; i < ends.Length; i++)
        {
            CanonicalField.Write(fields, Canonicalization.Relaxed, _sets[i].Results);
            CanonicalField.Write(fields, Canonicalization.Relaxed, _sets[i].MessageSignature);
            ends[i] = fields.WrittenCount;
            CanonicalField.Write(fields, Canonicalization.Relaxed, _sets[i].Seal);
        }

        return (fields.WrittenMemory, ends);
    }

    private static byte[] HashOfSeal(ReadOnlySpan<byte> above, SignatureField seal)
    {
        var own = new ArrayBufferWriter<byte>(1024);
        CanonicalField.Write(own, Canonicalization.Relaxed, seal.WithoutSignature(), hasLineEnd: false);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(above);
        hash.AppendData(own.WrittenSpan);
        return hash.GetHashAndReset();
    }

    private static SignatureFault About(string what, SignatureFault fault) => fault with { Reason = $"{what}: {fault.Reason}" };
}
