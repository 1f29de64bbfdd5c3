using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// A mailbox of the envelope, local-part@domain (RFC 5321 §4.1.2). Its text is kept as it was written; two addresses are
/// equal when their local parts are (unquoted, case kept: RFC 5321 §2.4) and their domains are but for case.
/// </summary>
public sealed class SmtpAddress : IEquatable<SmtpAddress>
{
    private readonly int _at;
    private string? _localPart;
    private string? _domainKey;

    private SmtpAddress(string text, int at)
    {
        Text = text;
        _at = at;
    }

    /// <summary>The address as written, without brackets and source route. A bare postmaster has no domain (RFC 5321 §4.1.1.3).</summary>
    public string Text { get; }

    /// <summary>The local part without quotes and backslashes.</summary>
    public string LocalPart => _localPart ??= AddressSyntax.Unquote(Text.AsSpan(0, _at));

    /// <summary>The domain or address literal in lower case, for look-ups; empty for a bare postmaster.</summary>
    public string Domain => _domainKey ??= HasDomain ? Text[(_at + 1)..].ToLowerInvariant() : "";

    /// <summary>The same mailbox written with no more quotes than it needs (RFC 5321 §4.1.2): "ann"@example.org is ann@example.org.</summary>
    public string Canonical => Text.StartsWith('"') ? string.Concat(AddressSyntax.Quote(LocalPart), Text.AsSpan(_at)) : Text;

    public bool HasDomain => _at < Text.Length;

    /// <summary>True for "[192.0.2.1]", "[IPv6:2001:db8::1]" and other literals (RFC 5321 §4.1.3).</summary>
    public bool HasAddressLiteral => HasDomain && Text[_at + 1] == '[';

    /// <summary>RFC 5321 §4.5.1: postmaster, in any case of letters, at any domain or none.</summary>
    public bool IsPostmaster => LocalPart.Equals("postmaster", StringComparison.OrdinalIgnoreCase);

    /// <summary>The address may only travel where SMTPUTF8 is offered (RFC 6531 §3.3).</summary>
    public bool NeedsSmtpUtf8 => !Ascii.IsValid(Text);

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

        address = new SmtpAddress(written, isUtf8 ? AddressSyntax.ToText(text[..localLength], out _)!.Length : localLength);
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
