using System.Buffers;
using System.Globalization;
using System.Text;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Text as it is shown to people, in the log and by commands: what would not be seen, would end the line, or would turn the direction of
/// what stands beside it, is written as its code, \x1B or \u{202E}. So no stranger forges a line or hides a part of one.
/// </summary>
public static class VisibleText
{
    private static readonly SearchValues<char> s_suspects = SearchValues.Create(
        [.. Enumerable.Range(0, char.MaxValue + 1).Select(code => (char)code).Where(c => IsHidden(char.GetUnicodeCategory(c)))]);

    public static string Of(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!text.AsSpan().ContainsAny(s_suspects))
            return text;
        var escaped = new StringBuilder(text.Length + 16);
        for (var i = 0; i < text.Length; i++)
        {
            var isPair = char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            if (isPair && CharUnicodeInfo.GetUnicodeCategory(text, i) != UnicodeCategory.Format)
                escaped.Append(text[i]).Append(text[++i]);
            else if (isPair)
                escaped.Append(CultureInfo.InvariantCulture, $"\\u{{{char.ConvertToUtf32(text[i], text[++i]):X}}}");
            else if (!IsHidden(char.GetUnicodeCategory(text[i])))
                escaped.Append(text[i]);
            else
                escaped.Append(CultureInfo.InvariantCulture, $"{(text[i] < 0x100 ? $"\\x{(int)text[i]:X2}" : $"\\u{{{(int)text[i]:X}}}")}");
        }

        return escaped.ToString();
    }

    private static bool IsHidden(UnicodeCategory category) => category
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator
        or UnicodeCategory.Surrogate;
}
