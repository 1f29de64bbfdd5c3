using MailPipeline.Smtp;

namespace MailPipeline.Delivery;

/// <summary>
/// Text for a log line that strangers may have had a hand in, such as the name of a domain, of a host, or what a far end says: without
/// controls, and of bounded length, however it came.
/// </summary>
internal readonly record struct LogWords(string Text)
{
    private const int Longest = 600;

    public static implicit operator LogWords(string text) => new(text);

    public override string ToString() => PlainText.Line(Text, Longest);
}
