namespace MailPipeline.Smtp;

/// <summary>
/// Untrusted text made harmless for replies, trace headers and reports: one line of whole characters, without those that are not seen
/// (<see cref="UnseenText"/>).
/// </summary>
public static class PlainText
{
    /// <summary>The text with '?' for each unit of such a character.</summary>
    public static string Of(string text) => UnseenText.Replace(text, code => code > char.MaxValue ? "??" : "?");

    /// <summary>A text in printable ASCII: '?' in the place of whatever else there is.</summary>
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

    /// <summary>Plain text that fits in a log line or a report, with "..." for what was cut off.</summary>
    public static string Line(string text, int length)
    {
        ArgumentNullException.ThrowIfNull(text);
        return text.Length <= length ? Of(text) : Of(Cut(text, length)) + "...";
    }
}
