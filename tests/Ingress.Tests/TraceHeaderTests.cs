using System.Net;
using System.Text;
using CsCheck;
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

    [Fact]
    public void Received_fields_are_counted_however_the_header_is_cut() =>
        Gen.Select(
                Gen.OneOfConst("Received: x\r\n", "RECEIVED: x\r\n", "received:\r\n", "Receive: x\r\n", "Received : x\r\n", " Received: x\r\n", "To: Received: x\r\n", "R\r\n", "\r\n", "\rx\r\n", "Received: a\r\n\tb\r\n")
                    .Array[0, 12].Select(string.Concat),
                Gen.Int[1, 20])
            .Sample((header, size) =>
            {
                var end = header.StartsWith("\r\n", StringComparison.Ordinal) ? 0 : header.IndexOf("\r\n\r\n", StringComparison.Ordinal);
                var lines = (end < 0 ? header : header[..end]).Split("\r\n");
                var expected = lines.Count(line => line.StartsWith("received:", StringComparison.OrdinalIgnoreCase));
                var counter = new HopCounter();
                foreach (var piece in Encoding.ASCII.GetBytes(header).Chunk(size))
                    counter.Read(piece);
                Assert.Equal(expected, counter.Count);
                Assert.Equal(end >= 0, counter.IsBody);
            });

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
