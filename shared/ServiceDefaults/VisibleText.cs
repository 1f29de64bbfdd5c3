using System.Globalization;
using MailPipeline.Smtp;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// Text as it is shown to people, in the log and by commands: what would not be seen, would end the line, or would turn the direction of
/// what stands beside it, is written as its code, \x1B or \u{202E}. So no stranger forges a line or hides a part of one.
/// </summary>
public static class VisibleText
{
    public static string Of(string text) =>
        UnseenText.Replace(text, code => string.Create(CultureInfo.InvariantCulture, $"{(code < 0x100 ? $"\\x{code:X2}" : $"\\u{{{code:X}}}")}"));
}
