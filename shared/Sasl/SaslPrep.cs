using System.Globalization;
using System.Text;

namespace MailPipeline.Sasl;

/// <summary>
/// Names and passwords as they are compared (RFC 4013): spaces of other scripts become the one of ASCII, what is not seen is left out,
/// and what must not be there is found. Without the normalisation (NFKC) and the check of direction, for which this program has no tables
/// of Unicode: ASCII is exactly as the RFC has it, and so is what keyboards make of nearly all scripts.
/// </summary>
public static class SaslPrep
{
    /// <summary>The prepared text; null where it has characters that RFC 4013 §2.3 prohibits.</summary>
    public static string? Prepare(string text)
    {
        if (Ascii.IsValid(text))
            return HasControls(text) ? null : text;
        var prepared = new StringBuilder(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (IsLeftOut(rune.Value))
                continue;
            if (IsProhibited(rune))
                return null;
            prepared.Append(Rune.GetUnicodeCategory(rune) == UnicodeCategory.SpaceSeparator ? " " : rune.ToString());
        }

        return prepared.ToString();
    }

    /// <summary>
    /// RFC 4013 §2.3 prohibits controls (also U+0080 to U+009F) in names; in passwords that are sent as they are they are passed on, but for
    /// NUL, which RFC 4616 §2 excludes.
    /// </summary>
    internal static bool HasControls(string name) => name.EnumerateRunes().Any(Rune.IsControl);

    // RFC 3454, table B.1
    private static bool IsLeftOut(int rune) => rune is
        0x00AD or 0x034F or 0x1806 or (>= 0x180B and <= 0x180D) or (>= 0x200B and <= 0x200D) or 0x2060 or (>= 0xFE00 and <= 0xFE0F) or 0xFEFF;

    // RFC 3454, tables C.2 to C.9. Half a pair of surrogates was read as U+FFFD, which is one of them.
    private static bool IsProhibited(Rune rune) =>
        Rune.GetUnicodeCategory(rune) is UnicodeCategory.Control or UnicodeCategory.PrivateUse
        || (rune.Value & 0xFFFE) == 0xFFFE
        || rune.Value is (>= 0xFDD0 and <= 0xFDEF) or (>= 0xFFF9 and <= 0xFFFD) or (>= 0x2FF0 and <= 0x2FFB) or 0x0340 or 0x0341
            or 0x06DD or 0x070F or 0x180E or 0x200E or 0x200F or (>= 0x2028 and <= 0x202E) or (>= 0x2061 and <= 0x2063) or (>= 0x206A and <= 0x206F)
            or (>= 0x1D173 and <= 0x1D17A) or 0xE0001 or (>= 0xE0020 and <= 0xE007F);
}
