using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using CsCheck;

namespace MailPipeline.Smtp.Tests;

/// <summary>Which domains and which addresses are the same.</summary>
public sealed class MailNameTests
{
    [Theory]
    [InlineData("example.org", "example.org")]
    [InlineData("B\u00dcCHER.Example", "xn--bcher-kva.example")]
    [InlineData("bu\u0308cher.example", "xn--bcher-kva.example")]
    [InlineData("b\u00fccher\u3002example", "xn--bcher-kva.example")]
    [InlineData("\uff42\u00fccher\uff0eexample", "xn--bcher-kva.example")]
    // IDNA 2008 keeps apart what the one before it did not.
    [InlineData("fa\u00df.example", "xn--fa-hia.example")]
    [InlineData("\u03b2\u03cc\u03bb\u03bf\u03c2.example", "xn--nxasmm1c.example")]
    [InlineData("\u65e5\u672c\u8a9e.example", "xn--wgv71a119e.example")]
    [InlineData("\ud55c\uad6d.example", "xn--3e0b707e.example")]
    [InlineData("\u1112\u1161\u11ab\u1100\u116e\u11a8.example", "xn--3e0b707e.example")]
    [InlineData("col\u00b7legi.example", "xn--collegi-xma.example")]
    [InlineData("\u05d0\u05d1.example", "xn--4dbc.example")]
    public void A_domain_has_one_name_in_ASCII(string domain, string ascii)
    {
        Assert.Equal(ascii, DomainName.ToAscii(domain));
        Assert.Equal(ascii, DomainName.ToAscii(DomainName.ToUnicode(ascii)));
    }

    [Theory]
    [InlineData("\ufb01sch.example")]
    [InlineData("\u212b\u2044.example")]
    [InlineData("a\u00adb\u00fc.example")]
    [InlineData("\u0301a.example")]
    [InlineData("b\u00fc--x.example")]
    [InlineData("-\u00fc.example")]
    [InlineData("\u00fc-.example")]
    [InlineData("\u00fc..example")]
    [InlineData("\u00fc_.example")]
    [InlineData("a\u00b7b.example")]
    [InlineData("\u30fba.example")]
    [InlineData("\u0660\u06f0.example")]
    [InlineData("\u00fc\u200d.example")]
    [InlineData("\u00fc\uff1e.example")]
    [InlineData("\u00fc\uff20evil.example")]
    [InlineData("\u00fc\r\nRCPT.example")]
    [InlineData("\u2028.example")]
    [InlineData("\u0080.example")]
    [InlineData("\ud800.example")]
    [InlineData("\ud83d\ude00.example")]
    [InlineData("\u05d0a.example")]
    public void What_the_DNS_cannot_hold_is_no_domain(string domain) => Assert.Null(DomainName.ToAscii(domain));

    [Fact]
    public void A_domain_is_no_longer_than_the_DNS_has_it()
    {
        Assert.Null(DomainName.ToAscii($"{new string('\u00fc', 64)}.example"));
        Assert.Null(DomainName.ToAscii(string.Join('.', Enumerable.Repeat(new string('\u65e5', 15), 17))));
    }

    [Theory]
    [InlineData("xn--bcher-kva.example", "b\u00fccher.example")]
    [InlineData("XN--bcher-kva.example", "b\u00fccher.example")]
    [InlineData("example.org", "example.org")]
    // Not the form of anything: of a control, of a capital, of nothing.
    [InlineData("xn--a.example", "xn--a.example")]
    [InlineData("xn--bcher-2pa.example", "xn--bcher-2pa.example")]
    [InlineData("xn--.example", "xn--.example")]
    [InlineData("xn--bcher-kva8445foa.example", "xn--bcher-kva8445foa.example")]
    public void People_read_what_an_A_label_stands_for(string ascii, string unicode) => Assert.Equal(unicode, DomainName.ToUnicode(ascii));

    [Theory]
    [InlineData("jos\u00e9@b\u00fccher.example", "jose\u0301@xn--bcher-kva.example")]
    [InlineData("JOS\u00c9@example.org", "jos\u00e9@Example.ORG")]
    [InlineData("\u1e69@example.org", "s\u0307\u0323@example.org")]
    [InlineData("\u01f0@example.org", "J\u030c@example.org")]
    [InlineData("@B\u00dccher.example", "@xn--bcher-kva.example")]
    public void A_mailbox_has_one_key(string one, string other) => Assert.Equal(MailName.Key(one), MailName.Key(other));

    /// <summary>Compatibility and likeness are no sameness: whoever owned the one would get the mail of the other.</summary>
    [Theory]
    [InlineData("ann@example.org", "\uff41nn@example.org")]
    [InlineData("ann@example.org", "\u0430nn@example.org")]
    [InlineData("office@example.org", "o\ufb03ce@example.org")]
    [InlineData("jose@example.org", "jos\u00e9@example.org")]
    [InlineData("strasse@example.org", "stra\u00dfe@example.org")]
    [InlineData("i@example.org", "\u0131@example.org")]
    [InlineData("a@fass.example", "a@fa\u00df.example")]
    [InlineData("a@example.org", "a@ex\u0430mple.org")]
    [InlineData("\u1100\u1161@example.org", "\u1100@example.org")]
    public void What_only_looks_the_same_is_not(string one, string other) => Assert.NotEqual(MailName.Key(one), MailName.Key(other));

    [Fact]
    public void A_key_is_its_own_key() =>
        Gen.String[Gen.OneOf(Gen.Char['a', 'z'], Gen.Char['\u00c0', '\u0370'], Gen.Char['\u1e00', '\u1fff'], Gen.OneOfConst('\u0301', '\u0323', '\u1100', '\u1161', '\u11a8', '\ud800', '@', '.'))]
            .Sample(name => Assert.Equal(MailName.Key(name), MailName.Key(MailName.Key(name))));

    /// <summary>What Python's unicodedata of Unicode 14 makes of them.</summary>
    [Fact]
    public void Every_character_is_composed_as_another_implementation_does()
    {
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var character = 0x80; character <= 0x10FFFF; character++)
        {
            if (!Rune.IsValid(character))
                continue;
            var text = new Rune(character).ToString();
            foreach (var form in new[] { text, $"e{text}", $"{text}\u0323\u0301", $"{text}\u0301\u0323", $"\u1100{text}", $"\uac00{text}" })
                digest.AppendData(Encoding.UTF8.GetBytes(ComposedForm.Of(form)));
        }

        Assert.Equal("7654F70CDA6227CFEF961A24E15C0F773A0BD1F1B06F94465E1B6FBCA9643D30", Convert.ToHexString(digest.GetHashAndReset()));
    }

    [Fact]
    public void Composed_text_is_what_its_parts_are_put_together_to() =>
        Gen.Int[0, 0x10FFFF].Where(Rune.IsValid).Array[1, 6].Sample(characters =>
        {
            var text = string.Concat(characters.Select(character => new Rune(character).ToString()));
            var composed = ComposedForm.Of(text);
            Assert.Equal(composed, ComposedForm.Of(composed));
            Assert.True(composed.Length <= text.Length * 3, string.Join(' ', characters.Select(character => character.ToString("X", CultureInfo.InvariantCulture))));
        });
}
