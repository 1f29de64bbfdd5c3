using System.Buffers;

namespace MailPipeline.Smtp;

/// <summary>Untrusted text made harmless for replies, trace headers and logs: one line, no control characters.</summary>
public static class PlainText
{
    private static readonly SearchValues<char> s_controls = SearchValues.Create(
        [.. Enumerable.Range(0, 0x20).Select(i => (char)i), .. Enumerable.Range(0x7F, 0x21).Select(i => (char)i), '\u2028', '\u2029']);

    /// <summary>The same text with '?' in the place of each control character.</summary>
    public static string Of(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!text.AsSpan().ContainsAny(s_controls))
            return text;

        return string.Create(text.Length, text, static (span, source) =>
        {
            for (var i = 0; i < span.Length; i++)
                span[i] = s_controls.Contains(source[i]) ? '?' : source[i];
        });
    }
}
