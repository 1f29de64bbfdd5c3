namespace MailPipeline.Smtp.Tests;

/// <summary>Text of strangers in replies and reports.</summary>
public sealed class PlainTextTests
{
    public static TheoryData<string, string> Texts => new()
    {
        { "größer 漢字 \U0001F600", "größer 漢字 \U0001F600" },
        { "a\r\nb\0\u001B", "a??b??" },
        { "\u202Egnp.exe\u2066\u200B", "?gnp.exe??" },
        { "half \uD83D and \uDE00", "half ? and ?" },
    };

    [Theory]
    [MemberData(nameof(Texts))]
    public void Controls_and_marks_that_are_not_seen_are_replaced(string text, string plain) => Assert.Equal(plain, PlainText.Of(text));

    [Theory]
    [InlineData(1, "a")]
    [InlineData(2, "a")]
    [InlineData(3, "a\U0001F600")]
    [InlineData(9, "a\U0001F600b")]
    public void A_text_is_cut_between_characters(int length, string cut) => Assert.Equal(cut, PlainText.Cut("a\U0001F600b", length));

    [Theory]
    [InlineData("a\u001b[31mb", 100, "a?[31mb")]
    [InlineData("a\u202eb\r\nc", 4, "a?b?...")]
    [InlineData("a\U0001F600b", 2, "a...")]
    public void A_line_is_plain_and_short(string text, int length, string line) => Assert.Equal(line, PlainText.Line(text, length));
}
