using System.Text;
using CsCheck;
using MailPipeline.Ingress.Headers;

namespace MailPipeline.Ingress.Tests;

/// <summary>What is left out of a submitted header, and who it says it is from, however its content is cut.</summary>
public sealed class SubmittedFieldsTests
{
    [Theory]
    [InlineData("Subject: x\r\nBcc: bob@example.net\r\nTo: joe@example.net\r\n\r\ny\r\n", "Subject: x\r\nTo: joe@example.net\r\n\r\ny\r\n")]
    [InlineData("bcc : bob@example.net,\r\n\tcarol@example.net\r\n dan@example.net\r\nA: b\r\n c\r\n\r\n", "A: b\r\n c\r\n\r\n")]
    [InlineData("BCC\t :\r\n \r\n x\r\nResent-BCC: a\r\nresent-bcc:b\r\n\r\nBcc: text\r\n", "\r\nBcc: text\r\n")]
    [InlineData("Bcc:\r\n", "")]
    [InlineData("A: b\r\nBcc: \r\n", "A: b\r\n")]
    [InlineData("Bcc", "Bcc")]
    [InlineData("Bcc: x", "")]
    // Of another name, or within another field.
    [InlineData("X-Bcc: x\r\nBccs: x\r\nBc: x\r\nSubject: a\r\n Bcc: b\r\n\r\n", "X-Bcc: x\r\nBccs: x\r\nBc: x\r\nSubject: a\r\n Bcc: b\r\n\r\n")]
    // Text that has no empty line before it.
    [InlineData("Hello\r\nBcc: text\r\n", "Hello\r\nBcc: text\r\n")]
    [InlineData("A: b\r\nHello you\r\nBcc: text\r\n", "A: b\r\nHello you\r\nBcc: text\r\n")]
    [InlineData(" x\r\nBcc: text\r\n", " x\r\nBcc: text\r\n")]
    // The line of an mbox file, and what only looks like it.
    [InlineData("From ann@example.com Sun Mar  1 04:05:06 2026\r\nBcc: x\r\nA: b\r\n\r\n", "From ann@example.com Sun Mar  1 04:05:06 2026\r\nA: b\r\n\r\n")]
    [InlineData("From now on\r\nwe do\r\nBcc: x\r\n", "From now on\r\nwe do\r\nBcc: x\r\n")]
    [InlineData("From now on\r\n\r\nBcc: x\r\n", "From now on\r\n\r\nBcc: x\r\n")]
    [InlineData("\r\nBcc: x\r\n", "\r\nBcc: x\r\n")]
    [InlineData("", "")]
    public void Blind_copies_are_left_out_of_the_header_alone(string content, string kept)
    {
        foreach (var size in Enumerable.Range(1, content.Length + 1))
            Assert.Equal(kept, Filtered(content, size).Kept);
    }

    [Fact]
    public void Where_no_empty_line_is_put_in_only_one_that_is_there_ends_the_header()
    {
        const string Content = "A: b\r\nHello you\r\n more\r\nBcc: x\r\n y\r\nFrom: a\r\n\r\nBcc: text\r\n";
        foreach (var size in Enumerable.Range(1, Content.Length))
        {
            var (kept, authors) = Filtered(Content, size, isEndedByText: false);
            Assert.Equal("A: b\r\nHello you\r\n more\r\nFrom: a\r\n\r\nBcc: text\r\n", kept);
            Assert.Equal(1, authors.FromCount);
        }
    }

    /// <summary>Beyond what the header is held for, no empty line is put in.</summary>
    [Theory]
    [InlineData(1)]
    [InlineData(1000)]
    [InlineData(200_000)]
    public void A_header_of_any_length_is_looked_through(int size)
    {
        var padding = string.Concat(Enumerable.Repeat("X-Field: value\r\n", 10_000));
        var (kept, authors) = Filtered(padding + "no field\r\nBcc: x\r\nFrom: a\r\n\r\nBcc: text\r\n", size);
        Assert.Equal(padding + "no field\r\nFrom: a\r\n\r\nBcc: text\r\n", kept);
        Assert.Equal(1, authors.FromCount);
    }

    /// <summary>White space before the colon hides no field, however much there is: neither where no empty line is put in nor beyond what the header is held for.</summary>
    [Theory]
    [InlineData(false, 0)]
    [InlineData(true, 10_000)]
    public void A_name_that_is_padded_hides_nothing(bool isEndedByText, int fieldsBefore)
    {
        var (before, padding) = (string.Concat(Enumerable.Repeat("X-Field: value\r\n", fieldsBefore)) + "From: a\r\n", new string(' ', 2000));
        foreach (var size in (int[])[1, 998, 1500, 500_000])
        {
            var (kept, authors) = Filtered($"{before}FROM{padding}: b\r\nBcc{padding}\t: c\r\n d\r\nA: b\r\n\r\n", size, isEndedByText);
            Assert.Equal($"{before}FROM{padding}: b\r\nA: b\r\n\r\n", kept);
            Assert.Equal((2, true), (authors.FromCount, authors.IsCut));
        }

        // It is text where an empty line goes before it.
        Assert.Equal(1, Filtered($"From: a\r\nFrom{padding}: b\r\n\r\n", 4096).Authors.FromCount);
    }

    [Fact]
    public void Lines_without_an_end_are_not_held()
    {
        foreach (var start in new[] { "", "A: ", "Bcc: ", "Bcc", "\r" })
        {
            var content = start + new string('x', 100_000) + "\r\n\r\n";
            var kept = Filtered(content, 4096).Kept;
            Assert.Equal(start == "Bcc: " ? "\r\n" : content, kept);
        }

        // A name ends where a line of a header would.
        var spaced = "Bcc" + new string(' ', 2000) + ": x\r\n\r\n";
        Assert.Equal(spaced, Filtered(spaced, 4096).Kept);
    }

    [Theory]
    [InlineData("From: ann@example.com\r\n\r\n", " ann@example.com\r\n", 1, "", 0)]
    [InlineData("FROM : Ann\r\n <ann@example.com>\r\nsender:x\r\nX-From: y\r\n\r\nFrom: z\r\n", " Ann\r\n <ann@example.com>\r\n", 1, "x\r\n", 1)]
    [InlineData("From: a\r\nA: b\r\nFrom: c\r\n d\r\nSender: e\r\nSender: f\r\n\r\n", " a\r\n", 2, " e\r\n", 2)]
    [InlineData("From me\r\nSubject: x\r\n\r\n", "", 0, "", 0)]
    public void The_first_From_and_Sender_are_copied_and_all_are_counted(string content, string from, int fromCount, string sender, int senderCount)
    {
        foreach (var size in Enumerable.Range(1, content.Length))
        {
            var (kept, authors) = Filtered(content, size);
            Assert.Equal(content, kept);
            Assert.Equal((from, fromCount, sender, senderCount, false), (Text(authors.From), authors.FromCount, Text(authors.Sender), authors.SenderCount, authors.IsCut));
        }
    }

    [Fact]
    public void A_field_too_long_is_not_held()
    {
        var (kept, authors) = Filtered("From: " + new string('x', 100_000) + "\r\n\r\n", 4096);
        Assert.True(authors.IsCut);
        Assert.True(authors.From.Length <= SubmittedFields.MaxAuthorBytes);
        Assert.Equal(100_000 + 10, kept.Length);
    }

    [Fact]
    public void However_it_is_cut_the_same_stays()
    {
        var lines = Gen.OneOfConst("Bcc: x\r\n", "bcc\t:y\r\n", " z\r\n", "\tz\r\n", "A: b\r\n", "From: a\r\n", "text\r\n", "\r\n", "From x y\r\n", "Resent-Bcc:\r\n", "Bcc\r\n", ":\r\n");
        Gen.Select(lines.Array[0, 12], Gen.Int[1, 40], Gen.Bool).Sample((parts, size, isEndedByText) =>
        {
            var content = string.Concat(parts);
            var whole = Filtered(content, Math.Max(1, content.Length), isEndedByText);
            var cut = Filtered(content, size, isEndedByText);
            Assert.Equal(whole.Kept, cut.Kept);
            Assert.Equal(whole.Authors.FromCount, cut.Authors.FromCount);
        });
    }

    /// <summary>What is judged is what is stored: nothing that one of them takes for text is a field to the other.</summary>
    [Fact]
    public void Both_readers_of_a_header_find_the_same_fields()
    {
        var lines = Gen.OneOfConst("Bcc: x\r\n", " z\r\n", "A: b\r\n", "From: a\r\n", "text\r\n", "\r\n", "From foo\r\n", ">From foo\r\n", "Resent-Bcc:\r\n", "Sender: s\r\n");
        lines.Array[0, 12].Sample(parts =>
        {
            var content = string.Concat(parts);
            var (kept, authors) = Filtered(content, Math.Max(1, content.Length));
            var header = new SubmittedHeader("mx.example.org", 1, DateTimeOffset.UnixEpoch);
            header.Take(Encoding.Latin1.GetBytes(kept));
            header.End();
            var stored = Text(header.Prefix()) + Text(header.Header) + (header.LacksEmptyLine ? "\r\n" : "") + Text(header.Text);
            var names = stored.Split("\r\n").TakeWhile(line => line.Length > 0).Where(line => line[0] is not (' ' or '\t') && line.Contains(':', StringComparison.Ordinal))
                .Select(line => line.Split(':')[0]).ToList();
            Assert.Equal((authors.FromCount, authors.SenderCount), (names.Count(name => name == "From"), names.Count(name => name == "Sender")));
            Assert.DoesNotContain(names, name => name is "Bcc" or "Resent-Bcc");
        });
    }

    private static string Text(ReadOnlyMemory<byte> octets) => Encoding.Latin1.GetString(octets.Span);

    private static (string Kept, AuthorFields Authors) Filtered(string content, int size, bool isEndedByText = true)
    {
        var fields = new SubmittedFields(isEndedByText);
        var kept = new StringBuilder();
        foreach (var piece in Encoding.Latin1.GetBytes(content).Chunk(size))
            kept.Append(fields.IsOver ? Text(piece) : Text(fields.Take(piece)));
        if (!fields.IsOver)
            kept.Append(Text(fields.End()));
        return (kept.ToString(), fields.Authors);
    }
}
