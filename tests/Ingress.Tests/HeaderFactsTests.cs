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
                        "TLS-Required: Not\r\n", "TLS-Received: no\r\n", "TLS-Required: No\r\n yes\r\n", " TLS-Required: No\r\n")
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
            });

    [GeneratedRegex("^received[ \t]*:", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex Received();

    [GeneratedRegex("^tls-required[ \t]*:([^\n]*)$", RegexOptions.IgnoreCase | RegexOptions.Multiline)]
    private static partial Regex TlsRequired();
}
