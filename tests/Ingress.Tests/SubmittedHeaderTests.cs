using System.Text;
using System.Text.RegularExpressions;
using MailPipeline.Ingress.Headers;

namespace MailPipeline.Ingress.Tests;

/// <summary>What is put in front of a submitted message (RFC 6409 §8), however its content is cut.</summary>
public sealed class SubmittedHeaderTests
{
    private const string Date = "Date: Sun, 01 Mar 2026 02:05:06 +0000\r\n";
    private const string MessageId = "Message-ID: <1E240.19ca7246450@mx.example.com>\r\n";

    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 4, 5, 6, TimeSpan.FromHours(2));

    [Theory]
    [InlineData("Subject: hello\r\n\r\nbody\r\n", Date + MessageId)]
    [InlineData("Date: x\r\nSubject: hello\r\n\r\nbody\r\n", MessageId)]
    [InlineData("MESSAGE-ID : <1@x>\r\n\r\nbody\r\n", Date)]
    [InlineData("Subject: a\r\n b\r\ndate:x\r\nmessage-id:\r\n <1@x>\r\n\r\nbody\r\n", "")]
    // A field of the body, of another name, or folded into another one is not the field.
    [InlineData("Subject: hello\r\n\r\nDate: x\r\nMessage-ID: <1@x>\r\n", Date + MessageId)]
    [InlineData("Resent-Date: x\r\nSubject: a\r\n Date: x\r\n\tMessage-ID: <1@x>\r\nX-Date: x\r\n\r\n", Date + MessageId)]
    // All header, and no header.
    [InlineData("Subject: hello\r\n", Date + MessageId)]
    [InlineData("\r\nbody\r\n", Date + MessageId)]
    [InlineData("", Date + MessageId)]
    [InlineData("Hello Bob, this is text.\r\nDate: tomorrow\r\n\r\nReceived: nothing\r\n", Date + MessageId + "\r\n")]
    [InlineData("Hello\r\n", Date + MessageId + "\r\n")]
    [InlineData(" Subject: part of the field before it\r\nDate: x\r\n\r\n", Date + MessageId + "\r\n")]
    [InlineData("\tx\r\n", Date + MessageId + "\r\n")]
    [InlineData("see here: it is text\r\n\r\n", Date + MessageId + "\r\n")]
    [InlineData(": nameless\r\n\r\n", Date + MessageId + "\r\n")]
    [InlineData("S\u00fcbject: x\r\n\r\n", Date + MessageId + "\r\n")]
    // The line of an mbox file; and a field that looks like it.
    [InlineData("From ann@example.com Sun Mar  1 04:05:06 2026\r\nMessage-ID: <1@x>\r\n\r\nDate: x\r\n", Date + "X-Mailbox-Line: ")]
    [InlineData("From now on we do.\r\nYours, Ann\r\n", Date + MessageId + "\r\n")]
    [InlineData("From now on we do.\r\n\r\nA: b\r\n", Date + MessageId + "\r\n")]
    [InlineData(">From ann\r\nDate: x\r\nMessage-ID: <1@x>\r\n\r\n", "X-Mailbox-Line: ")]
    [InlineData("From : ann@example.com\r\nMessage-ID: <1@x>\r\n\r\n", Date)]
    public void Only_what_is_missing_goes_in_front(string content, string expected)
    {
        foreach (var size in Enumerable.Range(1, content.Length + 1))
            Assert.Equal(expected + content, Completed(content, size));
    }

    [Theory]
    [InlineData("Subject: x\r\n", "Hello world\r\nbye\r\n")]
    [InlineData("Subject: x\r\n", "Hello world")]
    // What stands in the text is no field of the header, and an empty line in it not the header's end.
    [InlineData("Subject: no blank\r\n", "Hello there\r\nDate: in body\r\nMessage-ID: <1@x>\r\n\r\nmore\r\n")]
    [InlineData("Subject: a\r\n b: c\r\n\td\r\nX-Empty:\r\n", "see here: it is text\r\n")]
    [InlineData("Subject: x\r\n", "From ann@example.com Sun Mar  1 04:05:06 2026\r\nDate: x\r\n\r\n")]
    public void An_empty_line_goes_before_the_first_line_that_is_no_field(string header, string text)
    {
        foreach (var size in Enumerable.Range(1, header.Length + text.Length + 1))
            Assert.Equal(Date + MessageId + header + "\r\n" + text, Completed(header + text, size));
    }

    [Fact]
    public void An_empty_line_goes_behind_the_line_of_an_mbox_file_and_its_fields()
    {
        const string Header = "From ann@example.com Sun Mar  1 04:05:06 2026\r\nDate: x\r\n";
        foreach (var size in Enumerable.Range(1, Header.Length + "text\r\n".Length))
            Assert.Equal(MessageId + "X-Mailbox-Line: " + Header + "\r\ntext\r\n", Completed(Header + "text\r\n", size));
    }

    [Theory]
    [InlineData(200)]
    [InlineData(8192)]
    [InlineData(1_000_000)]
    public void A_header_without_an_end_in_sight_gets_nothing_in_front_and_is_no_longer_held(int size)
    {
        var content = "X: y\r\n" + string.Concat(Enumerable.Repeat("X-Field: value\r\n", 10_000)) + "\r\nbody\r\n";
        Assert.Equal(content, Completed(content, size));
        var header = new SubmittedHeader("mx.example.com", 1, s_now);
        Assert.Equal(SubmittedHeader.MaxBytes, header.Take(Encoding.Latin1.GetBytes(content)));
        Assert.True(header.IsDecided);
    }

    [Fact]
    public void A_header_that_ends_just_in_time_is_completed()
    {
        var content = ("Subject: " + string.Concat(Enumerable.Repeat("long\r\n ", 20_000)))[..(SubmittedHeader.MaxBytes - 4)] + "\r\n\r\n";
        Assert.Equal(Date + MessageId + content + "body", Completed(content + "body", 4096));
    }

    [Fact]
    public void A_line_longer_than_any_of_a_header_is_text()
    {
        var content = new string('a', 2000) + ": \r\n\r\n";
        Assert.Equal(Date + MessageId + "\r\n" + content, Completed(content, 100));
    }

    [Fact]
    public void Ids_are_those_of_the_standard_and_differ_between_messages_and_times()
    {
        var ids = new HashSet<string>();
        foreach (var (number, now) in new[] { (1L, s_now), (2L, s_now), (1L, s_now.AddMilliseconds(1)) })
        {
            var header = new SubmittedHeader("mx.example.com", number, now);
            header.End();
            var prefix = Encoding.ASCII.GetString(header.Prefix());
            Assert.Matches(new Regex("\r\nMessage-ID: <[0-9A-Za-z.]+@mx.example.com>\r\n\\z"), prefix);
            Assert.True(ids.Add(prefix));
        }
    }

    [Fact]
    public void A_line_of_an_mbox_file_that_would_be_too_long_a_field_is_text()
    {
        var longest = "From " + new string('x', 998 - "X-Mailbox-Line: From ".Length) + "\r\n";
        Assert.Equal(MessageId + "X-Mailbox-Line: " + longest + "Date: x\r\n\r\n", Completed(longest + "Date: x\r\n\r\n", 4096));
        var longer = "From x" + longest["From ".Length..];
        Assert.EndsWith("\r\n\r\n" + longer + "Date: x\r\n\r\n", Completed(longer + "Date: x\r\n\r\n", 4096), StringComparison.Ordinal);
    }

    private static string Completed(string content, int size)
    {
        var header = new SubmittedHeader("mx.example.com", 123456, s_now);
        var rest = Encoding.Latin1.GetBytes(content);
        while (!header.IsDecided && rest.Length > 0)
        {
            var piece = rest[..Math.Min(size, rest.Length)];
            rest = rest[header.Take(piece)..];
        }
        header.End();
        return Encoding.Latin1.GetString(
            [.. header.Prefix(), .. header.Header.Span, .. header.LacksEmptyLine ? "\r\n"u8 : default, .. header.Text.Span, .. rest]);
    }
}
