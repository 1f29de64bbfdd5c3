using MailPipeline.ServiceDefaults;

namespace MailPipeline.Mail.Tests;

/// <summary>Recipients as they stand in log lines.</summary>
public sealed class MailLogTextTests
{
    [Fact]
    public void Behind_whom_an_alias_led_to_stands_what_the_sender_wrote()
    {
        var recipients = Enumerable.Range(0, 60).Select(i => new Recipient(
            i, $"u{i}@example.org", "", 1, BodyType.SevenBit, 0, default, default, RecipientRoute.Remote, "", Original: i % 2 == 0 ? "" : "a> b@example.com")).ToList();
        var lines = MailLogText.Recipients(recipients).ToList();
        Assert.Equal(2, lines.Count);
        Assert.StartsWith("to=<u0@example.org> to=<u1@example.org> orig=<a??b@example.com> to=<u2@example.org> ", lines[0], StringComparison.Ordinal);
        Assert.Equal("", LogText.Original(""));
    }
}
