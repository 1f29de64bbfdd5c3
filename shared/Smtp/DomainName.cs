using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Says which domains are the same, to all who compare, keep or look up one: a name of U-labels is the name of A-labels that the DNS has
/// (RFC 5890 §2.3.2.1), and case does not count. What was typed is mapped as RFC 5895 §2 has it (lower case, normal form C, the full-width
/// letters and the full stops of East Asian keyboards); then each label is held to RFC 5891 §4.2, so that nothing that only looks the same
/// becomes the same. Characters of RFC 5892, appendix A, that may stand only beside certain others are taken where their rule is about
/// neighbours and scripts; the joiners (U+200C, U+200D) are not, and a name that needs them is written in A-labels.
/// </summary>
public static class DomainName
{
    /// <summary>RFC 1035 §2.3.4, as text.</summary>
    private const int MaxLength = 253;

    private const string AsciiPrefix = "xn--";

    private static readonly IdnMapping s_punycode = new() { UseStd3AsciiRules = true, AllowUnassigned = true };

    /// <summary>
    /// The name in A-labels and in lower case. Null where it has U-labels and no such form. ASCII is only put into lower case: whoever reads
    /// names by a grammar has judged it.
    /// </summary>
    public static string? ToAscii(string domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        if (Ascii.IsValid(domain))
            return domain.ToLowerInvariant();
        if (domain.Length > MaxLength)
            return null;
        var labels = Map(domain).Split('.');
        for (var i = 0; i < labels.Length; i++)
        {
            if (ToAsciiLabel(labels[i]) is not { } ascii)
                return null;
            labels[i] = ascii;
        }

        var name = string.Join('.', labels);
        return name.Length <= MaxLength && AddressSyntax.IsDomain(Encoding.ASCII.GetBytes(name), allowUtf8: false) ? name : null;
    }

    /// <summary>The form by which names are compared and kept: <see cref="ToAscii"/>, or what cannot be a name in lower case.</summary>
    public static string Key(string domain) => ToAscii(domain) ?? ComposedForm.Of(ComposedForm.Of(domain).ToLowerInvariant());

    /// <summary>
    /// The name for people to read, with U-labels for those A-labels that are the form of one; an A-label that is none stays as it is.
    /// </summary>
    public static string ToUnicode(string domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        return domain.Contains(AsciiPrefix, StringComparison.OrdinalIgnoreCase)
            ? string.Join('.', domain.Split('.').Select(ToUnicodeLabel)) : domain;
    }

    private static string Map(string domain)
    {
        var mapped = new StringBuilder(domain.Length);
        foreach (var character in domain)
        {
            mapped.Append(character switch
            {
                '\u3002' or '\uFF0E' or '\uFF61' => '.',
                '\uFF0D' or (>= '\uFF10' and <= '\uFF19') or (>= '\uFF21' and <= '\uFF3A') or (>= '\uFF41' and <= '\uFF5A') =>
                    (char)(character - '\uFF01' + '!'),
                _ => character,
            });
        }

        return ComposedForm.Of(ComposedForm.Of(mapped.ToString()).ToLowerInvariant());
    }

    private static string? ToAsciiLabel(string label)
    {
        if (Ascii.IsValid(label))
            return label;
        if (!IsUnicodeLabel(label))
            return null;
        try
        {
            return s_punycode.GetAscii(label);
        }
        catch (ArgumentException)
        {
            // Longer than a label can be, or of both directions of writing.
            return null;
        }
    }

    private static string ToUnicodeLabel(string label)
    {
        if (!label.StartsWith(AsciiPrefix, StringComparison.OrdinalIgnoreCase))
            return label;
        try
        {
            var unicode = s_punycode.GetUnicode(label);
            // RFC 5891 §5.4: what is not made of what it stands for is no A-label.
            return Map(unicode) == unicode && label.Equals(ToAsciiLabel(unicode), StringComparison.OrdinalIgnoreCase) ? unicode : label;
        }
        catch (ArgumentException)
        {
            return label;
        }
    }

    // RFC 5891 §4.2.3
    private static bool IsUnicodeLabel(string label)
    {
        if (label.Length > SmtpLimits.LabelBytes || label[0] == '-' || label[^1] == '-' || label.AsSpan(1).IndexOf("--") == 1)
            return false;
        Rune[] runes = [.. label.EnumerateRunes()];
        if (Rune.GetUnicodeCategory(runes[0]) is UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark)
            return false;
        for (var i = 0; i < runes.Length; i++)
        {
            if (!UnicodeTables.All.IsDomainCharacter(runes[i].Value) && !IsInContext(runes, i))
                return false;
        }

        return true;
    }

    // RFC 5892, appendix A.3 to A.9.
    private static bool IsInContext(Rune[] label, int index)
    {
        int? before = index > 0 ? label[index - 1].Value : null;
        int? after = index + 1 < label.Length ? label[index + 1].Value : null;
        return label[index].Value switch
        {
            0x00B7 => before == 'l' && after == 'l',
            0x0375 => after is >= 0x0370 and <= 0x03FF or >= 0x1F00 and <= 0x1FFF,
            0x05F3 or 0x05F4 => before is >= 0x0591 and <= 0x05F4,
            0x30FB => Array.Exists(label, rune => rune.Value is (>= 0x3041 and <= 0x30FA) or (>= 0x30FC and <= 0x30FF) or 0x3005 or 0x3007
                or (>= 0x3400 and <= 0x9FFF) or (>= 0xF900 and <= 0xFAFF) or (>= 0x20000 and <= 0x3FFFF)),
            >= 0x0660 and <= 0x0669 => !Array.Exists(label, rune => rune.Value is >= 0x06F0 and <= 0x06F9),
            >= 0x06F0 and <= 0x06F9 => !Array.Exists(label, rune => rune.Value is >= 0x0660 and <= 0x0669),
            _ => false,
        };
    }
}
