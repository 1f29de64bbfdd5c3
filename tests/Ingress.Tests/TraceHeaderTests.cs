using System.Net;
using System.Text;
using MailPipeline.Ingress.Headers;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Tests;

public sealed class TraceHeaderTests
{
    private static readonly DateTimeOffset s_now = new(2026, 3, 1, 4, 5, 6, TimeSpan.FromHours(2));

    [Fact]
    public void The_field_names_client_host_protocol_id_recipient_and_time() => Assert.Equal(
        "Received: from client.example.net ([192.0.2.1])\r\n\tby mx.example.com with ESMTP id 1E240\r\n\tfor <a@example.com>;\r\n\tSun, 01 Mar 2026 02:05:06 +0000\r\n",
        Write("EHLO client.example.net", IPAddress.Parse("192.0.2.1"), "a@example.com"));

    [Theory]
    [InlineData("EHLO [IPv6:2001:db8::1]", "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1])\r\n")]
    [InlineData("EHLO (comment", "Received: from unknown ([IPv6:2001:db8::1])\r\n")]
    [InlineData("HELO x;y", "Received: from unknown ([IPv6:2001:db8::1])\r\n\tby mx.example.com with SMTP id")]
    public void A_client_name_is_only_repeated_when_it_is_one(string greeting, string start) =>
        Assert.StartsWith(start, Write(greeting, IPAddress.Parse("2001:db8::1"), "a@example.com"), StringComparison.Ordinal);

    /// <summary>RFC 6531 §4.3, and its registry: one name for each way the message came with SMTPUTF8.</summary>
    [Theory]
    [InlineData(false, false, "UTF8SMTP")]
    [InlineData(true, false, "UTF8SMTPS")]
    [InlineData(false, true, "UTF8SMTPA")]
    [InlineData(true, true, "UTF8SMTPSA")]
    public void A_message_with_SMTPUTF8_says_so(bool isTls, bool hasLogin, string protocol)
    {
        var session = new SmtpSession(new SmtpProfile { HostName = "mx.example.com", OffersSmtpUtf8 = true, OffersAuth = true, AllowsCleartextAuth = true });
        if (isTls)
            session.TlsStarted();
        session.Read("EHLO client.example.net"u8);
        if (hasLogin)
        {
            Assert.Equal(SmtpAction.Authenticate, session.Read(Encoding.ASCII.GetBytes("AUTH PLAIN " + Convert.ToBase64String("\0ann\0secret"u8))).Action);
            session.Answer(null);
        }

        session.Read("MAIL FROM:<ann@example.net> SMTPUTF8"u8);
        session.Answer(null);
        Assert.Equal(protocol, TraceHeader.Protocol(session));
        session.Read(Encoding.UTF8.GetBytes("RCPT TO:<jos\u00e9@b\u00fccher.example>"));
        session.Answer(null);
        var output = new byte[TraceHeader.MaxBytes];
        // In UTF-8 only in a header that is in UTF-8 without it.
        Assert.DoesNotContain("for", Encoding.ASCII.GetString(output, 0, TraceHeader.Write(output, session, IPAddress.Loopback, 1, s_now)), StringComparison.Ordinal);
        Assert.Contains(
            "for <jos\u00e9@xn--bcher-kva.example>;", Encoding.UTF8.GetString(output, 0, TraceHeader.Write(output, session, IPAddress.Loopback, 1, s_now, mayBeUtf8: true)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Subject: \u00e9\r\n\r\nx", true)]
    [InlineData("Subject: x\r\n folded \u00e9\r\n\r\nx", true)]
    [InlineData("Subject: \u00e9", true)]
    [InlineData("\r\n\u00e9\r\nsubject: \u00e9\r\n", false)]
    [InlineData("Subject: x\r\n\r\n\u00e9\r\n\t\u00e9\r\n", false)]
    [InlineData("Subject: x\r\n\r\n--a\r\nContent-Disposition: attachment; filename=\u00e9\r\n\r\n", true)]
    [InlineData("Subject: x\r\n\r\n--a\r\ncontent-type: text/plain;\r\n name=\u00e9", true)]
    [InlineData("Subject: x\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\n\u00e9\r\n Content-Type: \u00e9\r\n", false)]
    [InlineData("Subject: x\r\n\r\nContent\u00e9-Type: x\r\n", false)]
    public void Fields_in_UTF8_are_found_however_the_message_is_cut(string message, bool areFound)
    {
        var octets = Encoding.UTF8.GetBytes(message);
        for (var size = 1; size <= octets.Length; size++)
        {
            var fields = new EightBitFields();
            foreach (var piece in octets.Chunk(size))
                fields.Read(piece);
            Assert.True(areFound == fields.AreFound, $"cut at {size}");
        }
    }

    [Fact]
    public void The_longest_names_fit()
    {
        var label = new string('d', 63);
        var domain = $"{label}.{label}.{label}.{new string('d', 59)}";
        var session = Session(domain, "EHLO " + domain, $"{new string('a', SmtpLimits.LocalPartBytes)}@{domain}");
        var output = new byte[TraceHeader.MaxBytes];
        var length = TraceHeader.Write(output, session, IPAddress.Parse("1111:2222:3333:4444:5555:6666:7777:8888"), (1L << 47) - 1, s_now);
        Assert.All(Encoding.ASCII.GetString(output, 0, length).Split("\r\n"), line => Assert.InRange(line.Length, 0, 998));
    }

    private static string Write(string greeting, IPAddress client, string recipient)
    {
        var output = new byte[TraceHeader.MaxBytes];
        return Encoding.ASCII.GetString(output, 0, TraceHeader.Write(output, Session("mx.example.com", greeting, recipient), client, 123456, s_now));
    }

    private static SmtpSession Session(string host, string greeting, string recipient)
    {
        var session = new SmtpSession(new SmtpProfile { HostName = host });
        session.Read(Encoding.ASCII.GetBytes(greeting));
        session.Read("MAIL FROM:<>"u8);
        session.Answer(null);
        session.Read(Encoding.ASCII.GetBytes($"RCPT TO:<{recipient}>"));
        Assert.Equal(250, session.Answer(null).Reply!.Code);
        return session;
    }
}
