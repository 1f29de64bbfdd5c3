using System.Buffers;
using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>
/// Which characters of a text people do not see as what they are, for all that makes such text harmless: controls, line and paragraph separators, characters
/// of no width or that turn the direction of others (RFC 5198 §2, Unicode's category Cf), and halves of characters.
/// </summary>
public static class UnseenText
{
    private static readonly SearchValues<char> s_suspects = SearchValues.Create(
        [.. Enumerable.Range(0, char.MaxValue + 1).Select(code => (char)code).Where(character => IsUnseen(char.GetUnicodeCategory(character)))]);

    /// <summary>The text itself where it has no such character; else with something in the place of each.</summary>
    /// <param name="instead">What stands for a code point; half a character is one of its own.</param>
    public static string Replace(string text, Func<int, string> instead)
    {
        ArgumentNullException.ThrowIfNull(text);
        ArgumentNullException.ThrowIfNull(instead);
        if (!text.AsSpan().ContainsAny(s_suspects))
            return text;
        var seen = new StringBuilder(text.Length + 16);
        for (var at = 0; at < text.Length; at++)
        {
            if (char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]))
            {
                var code = char.ConvertToUtf32(text[at], text[++at]);
                if (IsUnseen(CharUnicodeInfo.GetUnicodeCategory(code)))
                    seen.Append(instead(code));
                else
                    seen.Append(text, at - 1, 2);
            }
            else if (s_suspects.Contains(text[at]))
            {
                seen.Append(instead(text[at]));
            }
            else
            {
                seen.Append(text[at]);
            }
        }

        return seen.ToString();
    }

    private static bool IsUnseen(UnicodeCategory category) => category
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate;
}
