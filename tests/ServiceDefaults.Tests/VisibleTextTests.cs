namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What people read hides nothing and forges nothing.</summary>
public sealed class VisibleTextTests
{
    public static TheoryData<string, string> Texts => new()
    {
        { "250 Ok, größer 漢字 \U0001F600", "250 Ok, größer 漢字 \U0001F600" },
        { "a\r\nb\u001B[2J\u0085", @"a\x0D\x0Ab\x1B[2J\x85" },
        { "\u202Egnp.exe\u2066\u200B\uFEFF", @"\u{202E}gnp.exe\u{2066}\u{200B}\u{FEFF}" },
        { "tag \U000E0041", @"tag \u{E0041}" },
        { "half \uD83D and \uDE00", @"half \u{D83D} and \u{DE00}" },
    };

    [Theory]
    [MemberData(nameof(Texts))]
    public void What_is_not_seen_is_written_as_its_code(string text, string shown) => Assert.Equal(shown, VisibleText.Of(text));
}
