using System.Globalization;
using MailPipeline.Dns;

namespace MailPipeline.Authentication.Dkim;

/// <summary>The DKIM signatures of one message (RFC 6376 §6): found in its header, held against its body and against the keys of their domains.</summary>
internal sealed class DkimVerification
{
    public const string FieldName = "dkim-signature";

    private readonly MessageHeader _header;
    private readonly (SignatureField Signature, BodyHash? Body)[] _signatures;

    /// <param name="bodies">Where hashes of the body are asked for, before it comes.</param>
    public DkimVerification(MessageHeader header, BodyHashes bodies, VerificationLimits limits)
    {
        _header = header;
        var fields = header.Named(FieldName);
        UnjudgedSignatures = Math.Max(0, fields.Count - limits.MaxSignatures);
        _signatures = new (SignatureField, BodyHash?)[fields.Count - UnjudgedSignatures];
        for (var i = 0; i < _signatures.Length; i++)
        {
            var signature = SignatureField.Read(fields[i], SignatureKind.Dkim);
            _signatures[i] = (signature, signature.Fault is null ? bodies.Add(signature.BodyForm, signature.MaxBodyBytes) : null);
        }
    }

    /// <summary>Signatures beyond the bound.</summary>
    public int UnjudgedSignatures { get; }

    /// <summary>Where keys are published that are needed.</summary>
    public IEnumerable<string> KeyNames => _signatures.Where(one => one.Body is not null).Select(one => one.Signature.KeyName);

    /// <summary>Once the body has ended and the keys were asked for. From the top of the header down.</summary>
    public async Task<IReadOnlyList<DkimResult>> VerifyAsync(PublishedKeys keys, DateTimeOffset now, CancellationToken cancellation)
    {
        var results = new DkimResult[_signatures.Length];
        for (var i = 0; i < results.Length; i++)
        {
            var (signature, body) = _signatures[i];
            var fault = signature.Fault ?? SignatureVerification.FaultAt(signature, now) ?? SignatureVerification.FaultOf(signature, body!);
            results[i] = Result(signature, fault ?? Judge(signature, body!, await keys.FindAsync(signature.KeyName, cancellation), keys.Records)) with
            {
                LeavesBodyUncovered = body is { UncoveredBytes: > 0 },
            };
        }

        return results;
    }

    private SignatureFault Judge(SignatureField signature, BodyHash body, DnsAnswer<TxtRecord> answer, KeyRecords records)
    {
        var judged = SignatureVerification.Judge(signature, _header, answer, records);
        if (judged.Status != AuthenticationStatus.Pass || body.UncoveredBytes == 0)
            return judged;
        var uncovered = string.Create(CultureInfo.InvariantCulture, $"l= leaves {body.UncoveredBytes} octets of the body uncovered");
        return judged with { Reason = judged.Reason.Length > 0 ? $"{judged.Reason}; {uncovered}" : uncovered };
    }

    private static DkimResult Result(SignatureField signature, SignatureFault judged) => new(
        judged.Status, signature.Domain, signature.Selector, signature.Identity, signature.Algorithm, signature.Start, judged.Reason);
}
