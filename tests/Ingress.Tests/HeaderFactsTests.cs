using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using MailPipeline.Ingress.Headers;

namespace MailPipeline.Ingress.Tests;

public sealed partial class HeaderFactsTests
{
    [Fact]
    public void Facts_are_told_however_the_header_is_cut() =>
        Gen.Select(
                Gen.OneOfConst(
                        "Received: x\r\n", "RECEIVED: x\r\n", "received:\r\n", "Receive: x\r\n", "Received : x\r\n", " Received: x\r\n", "To: Received: x\r\n", "R\r\n",
                        "T\r\n", "\r\n", "\rx\r\n", "Received: a\r\n\tb\r\n", "TLS-Required: No\r\n", "tls-required : no\r\n", "TLS-Required:\r\n nO\r\n",
                        "Message-ID: <a@b>\r\n", "message-id :\r\n c@d \r\n", "Message-ID:\r\n", "Message-Idx: <n@o>\r\n", "M\r\n", "TLS-Required: Not\r\n", "TLS-Received: no\r\n", "TLS-Required: No\r\n yes\r\n", " TLS-Required: No\r\n")
                    .Array[0, 8].Select(string.Concat),
                Gen.Int[1, 20])
            .Sample((header, size) =>
            {
                var end = header.StartsWith("\r\n", StringComparison.Ordinal) ? 0 : header.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                var fields = (end < 0 ? header : header[..end] + "\r\n").Replace("\r\n ", " ", StringComparison.Ordinal).Replace("\r\n\t", " ", StringComparison.Ordinal);
                var values = TlsRequired().Matches(fields).Select(match => match.Groups[1].Value.Trim()).ToList();
                var facts = new HeaderFacts();
                foreach (var piece in Encoding.ASCII.GetBytes(header).Chunk(size))
                    facts.Read(piece);
                Assert.Equal(Received().Count(fields), facts.Hops);
                Assert.Equal(values is [var only] && only.Equals("no", StringComparison.OrdinalIgnoreCase), facts.SaysTlsIsOptional);
                Assert.Equal(end >= 0, facts.IsBody);
                var ids = MessageId().Matches(fields).Select(match => match.Groups[1].Value.Replace(" ", "", StringComparison.Ordinal).Trim())
                    .Select(id => id.StartsWith('<') && id.IndexOf('>', StringComparison.Ordinal) is > 0 and var end ? id[1..end] : id);
                Assert.Equal(ids.FirstOrDefault() ?? "", facts.MessageId);
            });

    [Theory]
    [InlineData("<a.b@example.org>", "a.b@example.org")]
    [InlineData("a.b@example.org", "a.b@example.org")]
    [InlineData("<a\0b@example.org>", "")]
    [InlineData("<a\u007Fb@example.org>", "")]
    [InlineData("<<a@b>>", "<a@b")]
    [InlineData("<a@b> (note)", "a@b")]
    [InlineData("<a@b> (of <c@d>)", "a@b")]
    [InlineData("<a@b", "<a@b")]
    [InlineData("<>", "")]
    [InlineData("<é@example.org>", "é@example.org")]
    public void A_Message_ID_is_told_as_it_is_written_where_it_is_text(string written, string expected) => Assert.Equal(expected, MessageIdOf(Encoding.UTF8.GetBytes(written)));

    [Fact]
    public void Half_a_character_and_what_is_too_long_are_no_Message_ID()
    {
        Assert.Equal("", MessageIdOf([(byte)'<', 0xC3, (byte)'>']));
        var longest = new string('a', HeaderFacts.MaxMessageIdBytes);
        Assert.Equal(longest, MessageIdOf(Encoding.UTF8.GetBytes(longest)));
        Assert.Equal("", MessageIdOf(Encoding.UTF8.GetBytes(longest + "a")));
        Assert.Equal("a@b", MessageIdOf(Encoding.UTF8.GetBytes($"<a@b> ({longest})")));
    }

    private static string MessageIdOf(byte[] value)
    {
        var facts = new HeaderFacts();
        facts.Read([.. "Message-ID: "u8, .. value, .. "\r\nMessage-ID: <second@example.org>\r\n\r\n"u8]);
        return facts.MessageId;
    }

    [GeneratedRegex("^message-id[ \t]*:([^\n]*)$", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex MessageId();

    [GeneratedRegex("^received[ \t]*:", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex Received();

    [GeneratedRegex("^tls-required[ \t]*:([^\n]*)$", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex TlsRequired();
}
