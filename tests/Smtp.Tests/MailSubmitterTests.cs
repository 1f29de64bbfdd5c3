using System.Text;
using CsCheck;

namespace MailPipeline.Smtp.Tests;

/// <summary>AUTH= of MAIL (RFC 4954 §5).</summary>
public sealed class MailSubmitterTests
{
    [Theory]
    [InlineData("<>", "<>")]
    [InlineData("+3C+3E", "<>")]
    [InlineData("ann@example.org", "ann@example.org")]
    // RFC 4954 §5.1
    [InlineData("e+3Dmc2@example.com", "e=mc2@example.com")]
    [InlineData("a+2Bb@example.org", "a+b@example.org")]
    [InlineData("+22a+20b+22@example.org", "\"a b\"@example.org")]
    [InlineData("\"ann\"@example.org", "\"ann\"@example.org")]
    public void It_is_a_mailbox_in_xtext_or_nobody(string value, string expected)
    {
        Assert.True(MailSubmitter.TryRead(Encoding.UTF8.GetBytes(value), out var submitter, out var needsUtf8));
        Assert.Equal((expected, false), (submitter.ToText(), needsUtf8));
        Assert.Equal(submitter, MailSubmitter.Parse(submitter.ToText()));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<ann@example.org>")]
    [InlineData("ann")]
    [InlineData("ann@")]
    [InlineData("a=b@example.org")]
    [InlineData("a+b@example.org")]
    [InlineData("a+3d@example.org")]
    [InlineData("a+3")]
    [InlineData("a+")]
    [InlineData("ann@example.org+0D+0AX-Injected:+20yes")]
    [InlineData("+22a+0D+0A+22@example.org")]
    [InlineData("+22a+00+22@example.org")]
    [InlineData("+22a+07+22@example.org")]
    [InlineData("ann+00@example.org")]
    [InlineData("ann@example.org>+20SIZE=1")]
    [InlineData("a b@example.org")]
    public void Anything_else_is_none(string value) => Assert.False(MailSubmitter.TryRead(Encoding.UTF8.GetBytes(value), out _, out _));

    [Fact]
    public void It_is_no_longer_than_it_makes_a_command()
    {
        var local = string.Concat(Enumerable.Repeat("+61", 64));
        Assert.True(MailSubmitter.TryRead(Encoding.UTF8.GetBytes($"{local}@example.org"), out _, out _));
        Assert.False(MailSubmitter.TryRead(Encoding.UTF8.GetBytes(new string('a', 490) + "@example.org"), out _, out _));
    }

    [Theory]
    [InlineData("jos\u00e9@example.org")]
    [InlineData("jos+C3+A9@example.org")]
    public void A_mailbox_beyond_ASCII_is_said_in_UTF8_or_not_at_all(string value)
    {
        Assert.True(MailSubmitter.TryRead(Encoding.UTF8.GetBytes(value), out var submitter, out var needsUtf8));
        Assert.True(needsUtf8);
        Assert.Equal("AUTH=jos\u00e9@example.org", submitter.ParameterFor(isUtf8: true));
        Assert.Equal("AUTH=<>", submitter.ParameterFor(isUtf8: false));
    }

    /// <summary>Whatever is taken is one word of a command, and is read as the same again.</summary>
    [Fact]
    public void What_is_said_on_is_what_was_read() =>
        Gen.OneOf(
            Gen.Char["abz09.!#$%&'*/?^_`{|}~+=-<>@\" \\\u00e9"].Array[0, 40].Select(characters => new string(characters) + "@example.org"),
            Gen.Select(Gen.String[Gen.Char["abc+=0D A"], 0, 20], Gen.String[Gen.Char["abc+=0D A"], 0, 20], (a, b) => $"{a}@{b}"))
            .Sample(value =>
            {
                if (!MailSubmitter.TryRead(Encoding.UTF8.GetBytes(value), out var submitter, out _))
                    return;
                var parameter = submitter.ParameterFor(isUtf8: true);
                Assert.DoesNotContain(parameter, character => character is <= ' ' or '\x7f');
                Assert.Equal(parameter.IndexOf('='), parameter.LastIndexOf('='));
                Assert.True(MailSubmitter.TryRead(Encoding.UTF8.GetBytes(parameter["AUTH=".Length..]), out var again, out _));
                Assert.Equal(submitter, again);
            }, iter: 20_000);
}
