using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// A mailbox of the envelope, local-part@domain (RFC 5321 §4.1.2). Its text is kept as it was written, but for U-labels, whose A-labels
/// stand in it (<see cref="DomainName"/>): so the domain is ASCII wherever the address goes, and only a local part can need SMTPUTF8. Two
/// addresses are equal when their local parts are (unquoted, case kept: RFC 5321 §2.4) and their domains are but for case.
/// </summary>
public sealed class SmtpAddress : IEquatable<SmtpAddress>
{
    private readonly int _at;
    private string? _localPart;
    private string? _domainKey;

    private SmtpAddress(string text, int at, bool isWrittenInUtf8 = false)
    {
        Text = text;
        _at = at;
        IsWrittenInUtf8 = isWrittenInUtf8;
    }

    /// <summary>The address as written, with A-labels, without brackets and source route. A bare postmaster has no domain (RFC 5321 §4.1.1.3).</summary>
    public string Text { get; }

    /// <summary>The local part without quotes and backslashes.</summary>
    public string LocalPart => _localPart ??= AddressSyntax.Unquote(Text.AsSpan(0, _at));

    /// <summary>The domain or address literal in lower case, for look-ups; empty for a bare postmaster.</summary>
    public string Domain => _domainKey ??= HasDomain ? Text[(_at + 1)..].ToLowerInvariant() : "";

    /// <summary>The mailbox written with no more quotes than it needs (RFC 5321 §4.1.2): "ann"@example.org is ann@example.org.</summary>
    public string Canonical => Text.StartsWith('"') ? string.Concat(AddressSyntax.Quote(LocalPart), Text.AsSpan(_at)) : Text;

    public bool HasDomain => _at < Text.Length;

    /// <summary>True for "[192.0.2.1]", "[IPv6:2001:db8::1]" and other literals (RFC 5321 §4.1.3).</summary>
    public bool HasAddressLiteral => HasDomain && Text[_at + 1] == '[';

    /// <summary>RFC 5321 §4.5.1: postmaster, in any case of letters, at any domain or none.</summary>
    public bool IsPostmaster => LocalPart.Equals("postmaster", StringComparison.OrdinalIgnoreCase);

    /// <summary>The address may only travel where SMTPUTF8 is offered (RFC 6531 §3.3).</summary>
    public bool NeedsSmtpUtf8 => !Ascii.IsValid(Text);

    /// <summary>It was given with characters beyond ASCII, which a command may have only with SMTPUTF8 (RFC 6531 §3.4).</summary>
    public bool IsWrittenInUtf8 { get; }

    /// <summary>Takes local-part@domain and nothing around it.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out SmtpAddress? address, bool allowUtf8 = false)
    {
        address = null;
        if (text.Length > SmtpLimits.PathBytes)
            return false;

        Span<byte> bytes = stackalloc byte[SmtpLimits.PathBytes * 3];
        return Encoding.UTF8.TryGetBytes(text, bytes, out var written) && TryParse(bytes[..written], allowUtf8, out address);
    }

    /// <summary>Takes local-part@domain and nothing around it; for text known to be an address.</summary>
    public static SmtpAddress Parse(string text) =>
        TryParse(text, out var address, allowUtf8: true) ? address! : throw new FormatException($"Not a mail address: {PlainText.Of(text)}");

    /// <summary>The mailbox of that local part, which is put into quotes where it needs them; null where there can be none.</summary>
    public static SmtpAddress? OfParts(string localPart, string domain)
    {
        ArgumentNullException.ThrowIfNull(localPart);
        return TryParse($"{AddressSyntax.Quote(localPart)}@{domain}", out var address, allowUtf8: true) ? address : null;
    }

    public static bool TryParse(ReadOnlySpan<byte> text, bool allowUtf8, out SmtpAddress? address)
    {
        address = null;
        // The brackets are counted (RFC 5321 §4.5.3.1.3).
        if (text.Length > SmtpLimits.PathBytes - 2)
            return false;

        var localLength = AddressSyntax.LocalPartLength(text, allowUtf8);
        if (localLength is 0 or > SmtpLimits.LocalPartBytes || localLength >= text.Length || text[localLength] != '@')
            return false;
        if (!AddressSyntax.IsDomainOrLiteral(text[(localLength + 1)..], allowUtf8))
            return false;

        var written = AddressSyntax.ToText(text, out var isUtf8);
        if (written is null)
            return false;

        if (!isUtf8)
        {
            address = new SmtpAddress(written, localLength);
            return true;
        }

        var at = Encoding.UTF8.GetCharCount(text[..localLength]);
        // What looks like a domain and has no A-labels is none: the DNS cannot hold it.
        if (DomainName.ToAscii(written[(at + 1)..]) is not { } domain)
            return false;
        address = new SmtpAddress(string.Concat(written.AsSpan(0, at + 1), Ascii.IsValid(text[localLength..]) ? written.AsSpan(at + 1) : domain), at, isWrittenInUtf8: true);
        return true;
    }

    public bool Equals(SmtpAddress? other) =>
        other is not null
        && (ReferenceEquals(this, other)
            || (string.Equals(LocalPart, other.LocalPart, StringComparison.Ordinal) && string.Equals(Domain, other.Domain, StringComparison.Ordinal)));

    public override bool Equals(object? obj) => Equals(obj as SmtpAddress);

    public override int GetHashCode() => HashCode.Combine(LocalPart, Domain);

    public override string ToString() => Text;

    /// <summary>RFC 5321 §4.1.1.3: the one recipient that may come without a domain.</summary>
    internal static SmtpAddress BarePostmaster(ReadOnlySpan<byte> text) => new(Encoding.ASCII.GetString(text), text.Length);
}
