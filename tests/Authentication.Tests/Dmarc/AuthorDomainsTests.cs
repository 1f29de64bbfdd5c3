using System.Text;
using CsCheck;
using MailPipeline.Authentication.Dmarc;

namespace MailPipeline.Authentication.Tests.Dmarc;

/// <summary>Of which domains a message says that it is, whatever its From looks like.</summary>
public sealed class AuthorDomainsTests
{
    [Theory]
    [InlineData("From: ann@example.org\r\n", "example.org")]
    [InlineData("FROM : Ann <ann@EXAMPLE.org>\r\n", "example.org")]
    [InlineData("Subject: x\r\nFrom: \"ceo@bank.example\" <ann@example.org>\r\nTo: bob@example.net\r\n", "example.org")]
    [InlineData("From:\r\n =?utf-8?q?ceo=40bank.example?=\r\n <ann@example.org>\r\n", "example.org")]
    [InlineData("From: ann@example.org (a comment, bob@example.net)\r\n", "example.org")]
    [InlineData("From: ann@example.org, Bob <bob@example.net>, eve@example.org\r\n", "example.org example.net")]
    [InlineData("From: Team: ann@example.org, bob@example.net;\r\n", "example.org example.net")]
    [InlineData("From: Nobody:;\r\n", "")]
    [InlineData("From: ann@b\u00FCcher.example\r\n", "xn--bcher-kva.example")]
    [InlineData("From: \u00FCmit@example.org\r\n", "example.org")]
    [InlineData("From: ann@[192.0.2.1]\r\n", "")]
    [InlineData("Sender: ann@example.org\r\nX-From: bob@example.net\r\n", "")]
    [InlineData("", "")]
    // No list of addresses, or more than one field: all that a reader may take for the author.
    [InlineData("From: ceo@bank.example <ann@example.org>\r\n", "! bank.example example.org")]
    [InlineData("From: ceo@bank.example, <ann@example.org\r\n", "! bank.example example.org")]
    [InlineData("From: ann@example.org\r\nFrom: ceo@bank.example\r\n", "! example.org bank.example")]
    [InlineData("From: Ann\r\n", "!")]
    [InlineData("From:\r\n", "!")]
    [InlineData("From: <>\r\n", "!")]
    [InlineData("From: ann@example.org.\r\n", "example.org")]
    [InlineData("From: Team: ann@example.org, Inner: bob@example.net;;\r\n", "! example.org example.net")]
    public void The_domains_of_From(string header, string domains)
    {
        var found = AuthorDomains.Of(MessageHeader.Parse(Encoding.UTF8.GetBytes(header)));
        Assert.Equal(domains, $"{(found.IsWellFormed || found.Fields == 0 ? "" : "! ")}{string.Join(' ', found.Domains)}".TrimEnd());
    }

    [Fact]
    public void What_is_too_long_is_no_list_and_names_what_stands_in_its_first_octets()
    {
        var found = AuthorDomains.Of(MessageHeader.Parse(
            Encoding.ASCII.GetBytes($"From: ann@example.org,\r\n {string.Concat(Enumerable.Repeat("x@example.net,\r\n ", 2000))}y@example.com\r\n")));
        Assert.False(found.IsWellFormed);
        Assert.Equal(["example.org", "example.net"], found.Domains);
    }

    [Fact]
    public void No_header_throws() => Gen.Select(Gen.Byte.Array[0, 200], Gen.String[Gen.Char[' ', '~'], 0, 60]).Sample((octets, plain) =>
    {
        foreach (var header in (byte[][])[octets, Encoding.ASCII.GetBytes($"From: {plain}\r\n"), [.. "From: "u8, .. octets]])
            AuthorDomains.Of(MessageHeader.Parse(header));
    });
}
