using System.Net;

namespace MailPipeline.Smtp.Tests;

/// <summary>XCLIENT: a proxy says for whom it speaks.</summary>
public sealed class ProxiedClientTests
{
    [Fact]
    public void All_attributes_are_read_from_xtext()
    {
        var client = Read("NAME=host.example.net ADDR=192.0.2.7 PORT=4242 PROTO=ESMTP HELO=+5B192.0.2.7+5d LOGIN=ann+2Bx+40example.com DESTADDR=IPV6:2001:db8::1 destport=25")!;
        Assert.Equal(("host.example.net", IPAddress.Parse("192.0.2.7"), 4242), (client.HostName, client.Address, client.Port));
        Assert.Equal((true, "[192.0.2.7]", "ann+x@example.com"), (client.IsExtended, client.Greeting, client.Login));
        Assert.Equal((IPAddress.Parse("2001:db8::1"), 25), (client.LocalAddress, client.LocalPort));
    }

    [Fact]
    public void What_is_not_known_is_not_the_same_as_what_is_not_said()
    {
        var client = Read("NAME=[UNAVAILABLE] ADDR=[TEMPUNAVAIL] PORT=[unavailable] LOGIN=[UNAVAILABLE]")!;
        Assert.Equal(("", IPAddress.None, 0, ""), (client.HostName, client.Address, client.Port, client.Login));
        Assert.Equal((null, null, null, null), (client.IsExtended, client.Greeting, client.LocalAddress, client.LocalPort));
    }

    [Theory]
    [InlineData("")]
    [InlineData("ADDR")]
    [InlineData("ADDR=")]
    [InlineData("=192.0.2.1")]
    [InlineData("COLOUR=red")]
    [InlineData("ADDR=192.0.2.1 ADDR=192.0.2.2")]
    [InlineData("ADDR=1")]
    [InlineData("ADDR=0x7f.0.0.1")]
    [InlineData("ADDR=192.0.2.256")]
    [InlineData("ADDR=IPV6:192.0.2.1")]
    [InlineData("ADDR=host.example.net")]
    [InlineData("PORT=0")]
    [InlineData("PORT=65536")]
    [InlineData("PORT=99999999999999999999")]
    [InlineData("PROTO=LMTP")]
    [InlineData("PROTO=[UNAVAILABLE]")]
    [InlineData("NAME=not+20a+20name")]
    [InlineData("NAME=[192.0.2.1]")]
    [InlineData("HELO=a+0D+0AMAIL")]
    [InlineData("HELO=a+00")]
    [InlineData("HELO=a+20b")]
    [InlineData("LOGIN=a+4")]
    [InlineData("LOGIN=a+zz")]
    [InlineData("LOGIN=\u00e9")]
    public void What_cannot_be_is_refused(string argument)
    {
        Assert.Null(Read(argument));
        Assert.Null(Read("LOGIN=" + new string('a', 256)));
    }

    /// <summary>RFC 5321 §4.1.3: each part is decimal, whatever it begins with.</summary>
    [Theory]
    [InlineData("010.0.02.1", "10.0.2.1")]
    [InlineData("09.000.2.255", "9.0.2.255")]
    public void A_leading_zero_makes_no_part_octal(string written, string meant) =>
        Assert.Equal(IPAddress.Parse(meant), Read($"ADDR={written}")!.Address);

    [Fact]
    public void The_session_begins_anew_for_the_client_that_is_named()
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com" }, ClientTraits.NamesClients);
        host.Feed(Wire.Bytes("EHLO proxy.example.com\r\n"));
        Assert.Contains("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT\r\n", host.Output, StringComparison.Ordinal);
        var before = host.Output.Length;
        host.Feed(Wire.Bytes("""
            XCLIENT NAME=host.example.net LOGIN=ann
            MAIL FROM:<a@example.com>
            XCLIENT PROTO=SMTP HELO=client.example.net
            MAIL FROM:<a@example.com>
            XCLIENT NAME=[UNAVAILABLE]
            RSET
            XCLIENT LOGIN=unknown
            XCLIENT NAME=[UNAVAILABLE] LOGIN=[UNAVAILABLE]
            XCLIENT HELO=a+00b

            """.ReplaceLineEndings("\r\n")));
        Assert.Equal(
            "220,503,220,250,503,250,550,220,501",
            string.Join(',', host.Output[before..].Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Select(line => line[..3])));
        Assert.Equal(("", null), (host.Session.ClientHostName, host.Session.UserName));
    }

    [Fact]
    public void Who_is_not_listed_speaks_for_nobody()
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com" });
        host.Feed(Wire.Bytes("EHLO x\r\nXCLIENT ADDR=192.0.2.1\r\n"));
        Assert.DoesNotContain("XCLIENT", host.Output, StringComparison.Ordinal);
        Assert.EndsWith("\r\n550 5.7.0 You speak for nobody else here\r\n", host.Output, StringComparison.Ordinal);
    }

    private static ProxiedClient? Read(string argument) => ProxiedClient.TryRead(Wire.Bytes(argument));
}
