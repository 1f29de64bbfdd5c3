using System.Globalization;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dkim;

/// <summary>Which field a signature stands in.</summary>
internal enum SignatureKind
{
    /// <summary>DKIM-Signature (RFC 6376 §3.5).</summary>
    Dkim,

    /// <summary>ARC-Message-Signature (RFC 8617 §4.1.2).</summary>
    ArcMessage,

    /// <summary>ARC-Seal (RFC 8617 §4.1.3).</summary>
    ArcSeal,
}

/// <summary>Why a signature is no pass.</summary>
internal sealed record SignatureFault(AuthenticationStatus Status, string Reason)
{
    public static SignatureFault Unreadable(string reason) => new(AuthenticationStatus.PermanentError, reason);
}

/// <summary>What a signature's field says. With a <see cref="Fault"/> it may say less than it should, and is not verified.</summary>
internal sealed class SignatureField
{
    public const string RsaSha256 = "rsa-sha256";
    public const string Ed25519Sha256 = "ed25519-sha256";

    /// <summary>RFC 6008 §4: so many tell signatures of one domain apart.</summary>
    private const int StartLength = 8;

    /// <summary>In h=: a message with more fields is not read (<see cref="VerificationLimits.MaxFields"/>), and nobody signs half of so many.</summary>
    private const int MaxSignedNames = 1000;

    private readonly TagList _tags;

    private SignatureField(MessageField field, SignatureKind kind)
    {
        Field = field;
        Kind = kind;
        var tags = TagList.Parse(Encoding.Latin1.GetString(field.Value.Span));
        _tags = tags ?? TagList.Parse("")!;
        Fault = tags is null ? SignatureFault.Unreadable("the signature is no list of tags") : null;
        Algorithm = (_tags.Compact("a") ?? "").ToLowerInvariant();
        Domain = NameIn("d");
        Selector = NameIn("s");
        SignedNames = _tags.Parts("h") is { } names ? Array.ConvertAll(names, name => name.ToLowerInvariant()) : [];
    }

    public MessageField Field { get; }

    public SignatureKind Kind { get; }

    /// <summary>In A-labels and lower case; empty where there is none.</summary>
    public string Domain { get; }

    /// <summary>In A-labels and lower case; empty where there is none.</summary>
    public string Selector { get; }

    public string Algorithm { get; }

    /// <summary>h=, in lower case and in its order.</summary>
    public IReadOnlyList<string> SignedNames { get; }

    public Canonicalization HeaderForm { get; private set; } = Canonicalization.Simple;

    public Canonicalization BodyForm { get; private set; } = Canonicalization.Simple;

    public ReadOnlyMemory<byte> Signature { get; private set; }

    public ReadOnlyMemory<byte> BodyHash { get; private set; }

    public long? MaxBodyBytes { get; private set; }

    /// <summary>The agent or user on whose behalf it is (RFC 6376 §3.5): of DKIM alone.</summary>
    public string Identity { get; private set; } = "";

    /// <summary>Seconds since 1970.</summary>
    public long? SignedAt { get; private set; }

    /// <summary>Seconds since 1970.</summary>
    public long? ExpiresAt { get; private set; }

    /// <summary>cv= of an ARC-Seal.</summary>
    public string ChainValidation => (_tags.Compact("cv") ?? "").ToLowerInvariant();

    /// <summary>What tells it from other signatures of its domain.</summary>
    public string Start => _tags.Compact("b") is { } signature ? signature[..Math.Min(StartLength, signature.Length)] : "";

    /// <summary>Where its key is published (RFC 6376 §3.6.2.1).</summary>
    public string KeyName => $"{Selector}._domainkey.{Domain}";

    /// <summary>Why it cannot be verified; null: it can.</summary>
    public SignatureFault? Fault { get; private set; }

    public static SignatureField Read(MessageField field, SignatureKind kind)
    {
        var signature = new SignatureField(field, kind);
        signature.Fault ??= signature.ReadTags();
        return signature;
    }

    /// <summary>The field as it was signed: the value of b= is empty (RFC 6376 §3.5).</summary>
    public MessageField WithoutSignature()
    {
        var (start, length) = _tags.Signature.GetOffsetAndLength(_tags.Text.Length);
        var value = Field.Value.Span;
        return new MessageField(
            (byte[])[.. Field.Octets.Span[..(Field.Colon + 1)], .. value[..start], .. value[(start + length)..]], Field.Colon);
    }

    /// <summary>Labels of letters, digits, hyphens and underscores: what DNS can be asked about.</summary>
    private string NameIn(string tag) =>
        DomainName.ToAscii(_tags.Unicode(tag) ?? "") is { Length: <= 253 } name && name.Split('.').All(label => label.Length is > 0 and <= 63)
        && name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '-' or '_' or '.') ? name : "";

    private SignatureFault? ReadTags()
    {
        if (Kind == SignatureKind.Dkim && _tags.Compact("v") != "1")
            return SignatureFault.Unreadable("the signature's version is not 1");
        if (Domain.Length == 0)
            return SignatureFault.Unreadable("d= is no domain");
        if (Selector.Length == 0)
            return SignatureFault.Unreadable("s= is no selector");
        if (Algorithm == "rsa-sha1")
            return new SignatureFault(AuthenticationStatus.Policy, "rsa-sha1 is not accepted");
        if (Algorithm is not (RsaSha256 or Ed25519Sha256))
            return SignatureFault.Unreadable("the algorithm is not known");
        if (_tags.Octets("b") is not { Length: > 0 } signature)
            return SignatureFault.Unreadable("b= is no signature");
        Signature = signature;
        return ReadTimes() ?? (Kind == SignatureKind.ArcSeal ? ReadSeal() : ReadCoverage());
    }

    private SignatureFault? ReadTimes()
    {
        if (!TryReadNumber("t", out var signedAt) || !TryReadNumber("x", out var expiresAt))
            return SignatureFault.Unreadable("t= or x= is no time");
        if (expiresAt <= signedAt)
            return SignatureFault.Unreadable("it expires before it was made");
        (SignedAt, ExpiresAt) = (signedAt, expiresAt);
        return null;
    }

    /// <summary>RFC 8617 §5.1.1: what is sealed is fixed.</summary>
    private SignatureFault? ReadSeal()
    {
        (HeaderForm, BodyForm) = (Canonicalization.Relaxed, Canonicalization.Relaxed);
        if (_tags["h"] is not null)
            return SignatureFault.Unreadable("a seal has no h=");
        return ChainValidation is "none" or "pass" or "fail" ? null : SignatureFault.Unreadable("cv= is none of none, pass and fail");
    }

    private SignatureFault? ReadCoverage()
    {
        if (!TryReadForms())
            return SignatureFault.Unreadable("the canonicalization is not known");
        if (_tags.Octets("bh") is not { Length: > 0 } bodyHash)
            return SignatureFault.Unreadable("bh= is no hash");
        BodyHash = bodyHash;
        if (!TryReadNumber("l", out var bodyBytes))
            return SignatureFault.Unreadable("l= is no number of octets");
        MaxBodyBytes = bodyBytes;
        if (SignedNames.Count > MaxSignedNames)
            return SignatureFault.Unreadable($"h= names more than {MaxSignedNames} fields");
        if (!SignedNames.Contains("from"))
            return SignatureFault.Unreadable("From is not signed");
        // RFC 8617 §4.1.2
        if (Kind == SignatureKind.ArcMessage && SignedNames.Contains("arc-seal"))
            return SignatureFault.Unreadable("an ARC-Message-Signature signs no seal");
        if (_tags.Parts("q") is { } queries && !queries.Contains("dns/txt", StringComparer.OrdinalIgnoreCase))
            return SignatureFault.Unreadable("its key is not published in the DNS");
        return Kind == SignatureKind.Dkim && !TryReadIdentity() ? SignatureFault.Unreadable("i= is not of the domain in d=") : null;
    }

    private bool TryReadForms()
    {
        if (_tags.Compact("c") is not { } forms)
            return true;
        var slash = forms.IndexOf('/');
        if (!TryReadForm(slash < 0 ? forms : forms[..slash], out var header) || !TryReadForm(slash < 0 ? "simple" : forms[(slash + 1)..], out var body))
            return false;
        (HeaderForm, BodyForm) = (header, body);
        return true;
    }

    private static bool TryReadForm(string word, out Canonicalization form)
    {
        form = word.Equals("relaxed", StringComparison.OrdinalIgnoreCase) ? Canonicalization.Relaxed : Canonicalization.Simple;
        return form == Canonicalization.Relaxed || word.Equals("simple", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>True where there is none, too. Larger than any time or message is as good as the largest number.</summary>
    private bool TryReadNumber(string tag, out long? number)
    {
        number = null;
        if (_tags.Compact(tag) is not { } digits)
            return true;
        // RFC 6376 §3.5: up to 76 digits.
        if (digits.Length is 0 or > 76 || digits.AsSpan().ContainsAnyExceptInRange('0', '9'))
            return false;
        number = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var read) ? read : long.MaxValue;
        return true;
    }

    private bool TryReadIdentity()
    {
        if (_tags["i"] is null)
        {
            Identity = $"@{Domain}";
            return true;
        }

        var identity = _tags.Unicode("i") ?? "";
        var at = identity.LastIndexOf('@');
        if (at < 0 || DomainName.ToAscii(identity[(at + 1)..].Trim()) is not { } domain)
            return false;
        Identity = $"{Decode(identity[..at])}@{domain}";
        return domain == Domain || domain.EndsWith($".{Domain}", StringComparison.Ordinal);
    }

    /// <summary>RFC 6376 §2.11: octets as "=40", and white space that stands for nothing.</summary>
    private static string Decode(string quoted)
    {
        var text = new StringBuilder(quoted.Length);
        for (var at = 0; at < quoted.Length; at++)
        {
            if (quoted[at] == '=' && at + 2 < quoted.Length
                && byte.TryParse(quoted.AsSpan(at + 1, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var octet)
                && octet is >= 0x21 and <= 0x7E)
            {
                text.Append((char)octet);
                at += 2;
            }
            else if (quoted[at] is not (' ' or '\t' or '\r' or '\n'))
            {
                text.Append(quoted[at]);
            }
        }

        return text.ToString();
    }
}
