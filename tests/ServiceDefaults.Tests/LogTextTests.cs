namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>An address from a stranger stays under its key.</summary>
public sealed class LogTextTests
{
    [Theory]
    [InlineData("joe@example.org", "joe@example.org")]
    [InlineData("jürgen@example.org", "jürgen@example.org")]
    [InlineData("\"a b\"@example.org", "\"a?b\"@example.org")]
    [InlineData("\"a> to=<eve\"@example.org", "\"a??to=?eve\"@example.org")]
    [InlineData("a\r\nb\u202e@example.org", "a??b?@example.org")]
    [InlineData("", "")]
    public void An_address_is_one_word_without_brackets(string address, string shown) => Assert.Equal(shown, LogText.Address(address));

    [Fact]
    public void What_is_too_long_to_be_an_address_is_cut() => Assert.Equal(new string('y', 512) + "...", LogText.Address(new string('y', 9000)));

    [Fact]
    public void Half_a_character_is_none() => Assert.Equal("?@example.org", LogText.Address("\ud800@example.org"));

    [Fact]
    public void Many_recipients_are_several_lines()
    {
        string[] addresses = [.. Enumerable.Range(0, 120).Select(i => $"u{i}@example.org")];
        var lines = LogText.Recipients(addresses).ToList();
        Assert.Equal(3, lines.Count);
        Assert.Equal(addresses.Select(address => $"to=<{address}>"), lines.SelectMany(line => line.Split(' ')));
    }
}
