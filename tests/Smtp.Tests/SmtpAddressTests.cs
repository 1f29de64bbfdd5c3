using CsCheck;

namespace MailPipeline.Smtp.Tests;

public sealed class SmtpAddressTests
{
    [Theory]
    [InlineData("a@b")]
    [InlineData("user@example.com")]
    [InlineData("User.Name+tag=x@EXAMPLE.com")]
    [InlineData("!#$%&'*+-/=?^_`{|}~@example.com")]
    [InlineData("\"quoted local\"@example.com")]
    [InlineData("\"a@b>c\"@example.com")]
    [InlineData("\"with \\\" and \\\\\"@example.com")]
    [InlineData("\"\"@example.com")]
    [InlineData("user@[192.0.2.1]")]
    [InlineData("user@[IPv6:2001:db8::1]")]
    [InlineData("user@[ipv6:::ffff:192.0.2.1]")]
    [InlineData("user@[x400:any/thing]")]
    [InlineData("user@under_score.example.com")]
    public void Addresses_of_the_grammar_are_taken_and_kept_as_written(string text)
    {
        Assert.True(SmtpAddress.TryParse(text, out var address));
        Assert.Equal(text, address!.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a")]
    [InlineData("@example.com")]
    [InlineData("a@")]
    [InlineData(".a@example.com")]
    [InlineData("a.@example.com")]
    [InlineData("a..b@example.com")]
    [InlineData("a b@example.com")]
    [InlineData("a@example..com")]
    [InlineData("a@example.com.")]
    [InlineData("a@-example.com")]
    [InlineData("a@example-.com")]
    [InlineData("a@exa mple.com")]
    [InlineData("a@b@c")]
    [InlineData("\"a@example.com")]
    [InlineData("\"a\"b@example.com")]
    [InlineData("\"a\\\"@example.com")]
    [InlineData("a@[192.0.2.256]")]
    [InlineData("a@[192.0.2]")]
    [InlineData("a@[192.0.2.1")]
    [InlineData("a@[IPv6:2001:db8::g]")]
    [InlineData("a@[IPv6:fe80::1%eth0]")]
    [InlineData("a@[]")]
    [InlineData("a@[:x]")]
    [InlineData("a@[tag:]")]
    [InlineData("a\0b@example.com")]
    [InlineData("a@exam\rple.com")]
    [InlineData("jos\u00e9@example.com")]
    public void What_the_grammar_does_not_know_is_refused(string text) =>
        Assert.False(SmtpAddress.TryParse(text, out _));

    [Fact]
    public void Domains_compare_without_case_and_local_parts_with_it()
    {
        Assert.Equal(SmtpAddress.Parse("a@Example.COM"), SmtpAddress.Parse("a@example.com"));
        Assert.Equal("example.com", SmtpAddress.Parse("a@Example.COM").Domain);
        Assert.NotEqual(SmtpAddress.Parse("A@example.com"), SmtpAddress.Parse("a@example.com"));
    }

    [Fact]
    public void A_quoted_local_part_is_the_same_mailbox_as_the_unquoted_one()
    {
        Assert.Equal(SmtpAddress.Parse("\"ab\\c\"@example.com"), SmtpAddress.Parse("abc@example.com"));
        Assert.Equal("a \"b", SmtpAddress.Parse("\"a \\\"b\"@example.com").LocalPart);
    }

    [Theory]
    [InlineData("\"ann\"@example.org", "ann@example.org")]
    [InlineData("\"a\\nn\"@example.org", "ann@example.org")]
    [InlineData("\"a b\"@example.org", "\"a b\"@example.org")]
    [InlineData("\"a\\\"b\"@example.org", "\"a\\\"b\"@example.org")]
    [InlineData("\"x@y\"@example.org", "\"x@y\"@example.org")]
    [InlineData("\".a\"@example.org", "\".a\"@example.org")]
    [InlineData("Ann@Example.org", "Ann@Example.org")]
    public void The_canonical_form_has_only_the_quotes_it_needs(string text, string canonical)
    {
        Assert.Equal(canonical, SmtpAddress.Parse(text).Canonical);
        Assert.Equal(SmtpAddress.Parse(text), SmtpAddress.Parse(canonical));
    }

    [Fact]
    public void Utf8_is_taken_only_where_it_is_asked_for()
    {
        Assert.True(SmtpAddress.TryParse("jos\u00e9@ex\u00e4mple.com", out var address, allowUtf8: true));
        Assert.True(address!.NeedsSmtpUtf8);
        Assert.Equal("jos\u00e9", address.LocalPart);
        Assert.Equal("xn--exmple-cua.com", address.Domain);
        Assert.False(SmtpAddress.TryParse([(byte)'a', 0xC3, (byte)'@', (byte)'b'], allowUtf8: true, out _));
    }

    [Fact]
    public void Lengths_end_at_what_a_path_can_hold_and_not_at_what_it_must_hold()
    {
        // RFC 5321 §4.5.3.1.1: 64 octets are the least a server takes; forwarders and mailing lists write more (SRS, VERP).
        Assert.True(SmtpAddress.TryParse(new string('a', 65) + "@example.com", out _));
        Assert.True(SmtpAddress.TryParse(new string('a', 256) + "@example.com", out _));
        Assert.False(SmtpAddress.TryParse(new string('a', 257) + "@example.com", out _));

        var label = new string('d', 63);
        Assert.True(SmtpAddress.TryParse($"{new string('a', 256)}@{label}.{label}.{label}.{label}", out _));
        Assert.False(SmtpAddress.TryParse($"a@{label}.{label}.{label}.{label}.d", out _));
        Assert.False(SmtpAddress.TryParse($"a@{label}d.com", out _));
        Assert.False(SmtpAddress.TryParse(new string('a', 100_000), out _));
    }

    [Fact]
    public void Printing_and_parsing_gives_the_same_address() =>
        Gen.Select(Addresses.Local, Addresses.Domain, (local, domain) => $"{local}@{domain}")
            .Where(text => text.Length <= SmtpLimits.PathBytes - 2)
            .Sample(text =>
            {
                Assert.True(SmtpAddress.TryParse(text, out var address), text);
                Assert.Equal(text, address!.Text);
                Assert.Equal(address, SmtpAddress.Parse(address.ToString()));
                Assert.True(SmtpPath.TryRead(Wire.Bytes($"<{text}>"), false, out var path, out var length), text);
                Assert.Equal(address, path);
                Assert.Equal(text.Length + 2, length);
            });

    [Fact]
    public void Any_octets_at_all_are_parsed_without_an_exception() =>
        Gen.Byte.Array[0, 300].Sample(octets =>
        {
            _ = SmtpAddress.TryParse(octets, allowUtf8: true, out _);
            _ = SmtpPath.TryRead(octets, allowUtf8: true, out _, out _);
        });

    [Theory]
    [InlineData("<>", null)]
    [InlineData("<a@example.com>", "a@example.com")]
    [InlineData("<@relay.example.com:a@example.com>", "a@example.com")]
    [InlineData("<@one.example.com,@two.example.com:a@example.com>", "a@example.com")]
    [InlineData("<Postmaster>", "Postmaster")]
    [InlineData("<\"a>b\"@example.com> SIZE=1", "\"a>b\"@example.com")]
    public void Paths_are_read_with_source_routes_ignored(string text, string? expected)
    {
        Assert.True(SmtpPath.TryRead(Wire.Bytes(text), false, out var address, out _));
        Assert.Equal(expected, address?.Text);
    }

    [Theory]
    [InlineData("")]
    [InlineData("a@example.com")]
    [InlineData("<a@example.com")]
    [InlineData("<@relay.example.com>")]
    [InlineData("<@relay.example.com:>")]
    [InlineData("<relay.example.com:a@example.com>")]
    [InlineData("<@-:a@example.com>")]
    [InlineData("<< a@example.com>>")]
    public void Broken_paths_are_refused(string text) =>
        Assert.False(SmtpPath.TryRead(Wire.Bytes(text), false, out _, out _));

    private static class Addresses
    {
        private static readonly Gen<string> s_atom =
            Gen.OneOfConst([.. "abcXYZ019!#$%&'*+-/=?^_`{|}~"]).Array[1, 8].Select(chars => new string(chars));

        private static readonly Gen<string> s_quoted =
            Gen.Char[(char)32, (char)126].Array[0, 12].Select(chars => "\"" + string.Concat(chars.Select(c => c is '"' or '\\' ? $"\\{c}" : $"{c}")) + "\"");

        private static readonly Gen<string> s_label =
            Gen.OneOfConst([.. "abcXYZ019"]).Array[1, 10].Select(chars => new string(chars));

        public static Gen<string> Local { get; } = Gen.OneOf(s_atom.Array[1, 4].Select(atoms => string.Join('.', atoms)), s_quoted);

        public static Gen<string> Domain { get; } = Gen.OneOf(
            s_label.Array[1, 5].Select(labels => string.Join('.', labels)),
            Gen.Byte.Array[4].Select(b => $"[{b[0]}.{b[1]}.{b[2]}.{b[3]}]"),
            Gen.Byte.Array[16].Select(b => $"[IPv6:{new System.Net.IPAddress(b)}]"));
    }
}
