using System.Buffers;
using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>
/// Untrusted text made harmless for replies, trace headers and reports: one line of whole characters, without controls and without
/// characters that are not seen or that turn the direction of what is (RFC 5198 §2, Unicode's category Cf).
/// </summary>
public static class PlainText
{
    private static readonly SearchValues<char> s_suspects = SearchValues.Create(
        [.. Enumerable.Range(0, char.MaxValue + 1).Select(i => (char)i).Where(c => IsHarmful(c) || char.IsSurrogate(c))]);

    /// <summary>The same text with '?' in the place of each such character.</summary>
    public static string Of(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!text.AsSpan().ContainsAny(s_suspects))
            return text;

        return string.Create(text.Length, text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
            {
                if (char.IsHighSurrogate(source[i]) && i + 1 < source.Length && char.IsLowSurrogate(source[i + 1])
                    && CharUnicodeInfo.GetUnicodeCategory(source, i) != UnicodeCategory.Format)
                {
                    span[i] = source[i];
                    span[++i] = source[i];
                }
                else
                {
                    span[i] = IsHarmful(source[i]) || char.IsSurrogate(source[i]) ? '?' : source[i];
                }
            }
        });
    }

    /// <summary>The same in printable ASCII: '?' in the place of whatever else there is.</summary>
    public static string Ascii(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        return string.Create(text.Length, text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = source[i] is >= ' ' and <= '~' ? source[i] : '?';
        });
    }

    /// <summary>The beginning of the text, of at most so many UTF-16 units, cut between characters.</summary>
    public static string Cut(string text, int length)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.Length <= length)
            return text;
        return text[..(length > 0 && char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
    }

    /// <summary>Both: plain text that fits in a log line or a report, with "..." for what was cut off.</summary>
    public static string Line(string text, int length)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length <= length ? Of(text) : Of(Cut(text, length)) + "...";
    }

    private static bool IsHarmful(char character) => char.GetUnicodeCategory(character)
        is UnicodeCategory.Control or UnicodeCategory.Format or UnicodeCategory.LineSeparator or UnicodeCategory.ParagraphSeparator;
}
