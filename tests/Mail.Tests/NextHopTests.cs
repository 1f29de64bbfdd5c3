namespace MailPipeline.Mail.Tests;

public sealed class NextHopTests
{
    [Theory]
    [InlineData("mail.example.net", "mail.example.net", 25, false, "mail.example.net:25")]
    [InlineData("mail.example.net:2525", "mail.example.net", 2525, false, "mail.example.net:2525")]
    [InlineData("[2001:db8::1]:25", "2001:db8::1", 25, false, "[2001:db8::1]:25")]
    [InlineData("2001:db8::1", "2001:db8::1", 25, false, "[2001:db8::1]:25")]
    [InlineData("lmtp:mail.example.net", "mail.example.net", 24, true, "lmtp:mail.example.net:24")]
    [InlineData("LMTP:127.0.0.1:2424", "127.0.0.1", 2424, true, "lmtp:127.0.0.1:2424")]
    [InlineData("lmtp:[::1]:2424", "::1", 2424, true, "lmtp:[::1]:2424")]
    [InlineData("lmtp:/run/dovecot/lmtp", "/run/dovecot/lmtp", 24, true, "lmtp:/run/dovecot/lmtp")]
    // A container that is called so.
    [InlineData("lmtp:2424", "lmtp", 2424, false, "lmtp:2424")]
    [InlineData("mail_store", "mail_store", 25, false, "mail_store:25")]
    [InlineData("mail.b\u00fccher.example:2525", "mail.xn--bcher-kva.example", 2525, false, "mail.xn--bcher-kva.example:2525")]
    public void A_next_hop_is_read_as_it_is_written(string text, string host, int port, bool isLmtp, string written)
    {
        Assert.True(NextHop.TryParse(text, out var hop));
        Assert.Equal(new NextHop(host, port, isLmtp), hop);
        Assert.Equal(written, hop.ToString());
        Assert.True(NextHop.TryParse(written, out var again));
        Assert.Equal(hop, again);
    }

    [Theory]
    [InlineData("")]
    [InlineData("/run/dovecot/lmtp")]
    [InlineData("lmtp:")]
    [InlineData("lmtp:/")]
    [InlineData("lmtp:a b")]
    [InlineData("smtp://host")]
    [InlineData("host:0")]
    [InlineData("host:70000")]
    [InlineData("192.0.2.256")]
    [InlineData("-a.example")]
    [InlineData("a..b")]
    [InlineData("\ufb01sch.example")]
    public void What_is_none_is_refused(string text) => Assert.False(NextHop.TryParse(text, out _));

    [Fact]
    public void The_path_of_a_socket_has_the_bound_of_the_system()
    {
        Assert.True(NextHop.TryParse("lmtp:/" + new string('a', 106), out _));
        Assert.False(NextHop.TryParse("lmtp:/" + new string('a', 107), out _));
    }
}
