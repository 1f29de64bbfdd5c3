using System.Buffers;
using System.Text;
using CsCheck;

namespace MailPipeline.Smtp.Tests;

public sealed class SmtpSessionTests
{
    private static SmtpProfile Mx => new() { HostName = "mx.example.com", OffersStartTls = true, MaxMessageBytes = 1000, MaxRecipients = 3 };

    private static SmtpProfile Submission => new() { Kind = ListenerKind.Submission, HostName = "mx.example.com", OffersStartTls = true, OffersAuth = true, RequiresAuth = true };

    [Fact]
    public void A_message_goes_through()
    {
        var host = Transcript.Run("""
            S: 220 mx.example.com ESMTP
            C: EHLO client.example.net
            S: 250-mx.example.com
            S: 250-STARTTLS
            S: 250-PIPELINING
            S: 250-DSN
            S: 250-8BITMIME
            S: 250-SIZE 1000
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250-DELIVERBY
            S: 250 LIMITS RCPTMAX=3
            C: MAIL FROM:<a@example.net> SIZE=20 BODY=8BITMIME
            S: 250 2.1.0 Ok
            C: RCPT TO:<b@example.com>
            S: 250 2.1.5 Ok
            C: RCPT TO:<unknown@example.com>
            S: 550 5.1.1 No such user here
            C: RCPT TO:<Postmaster>
            S: 250 2.1.5 Ok
            C: rcpt to: <b@EXAMPLE.com>
            S: 250 2.1.5 Ok
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: Subject: x
            C:
            C: ..dot
            C: .
            S: 250 2.0.0 Ok: queued as 1E240
            C: QUIT
            S: 221 2.0.0 Bye
            """, Mx);
        var (sender, recipients, content) = Assert.Single(host.Accepted);
        Assert.Equal("a@example.net", sender);
        Assert.Equal(["b@example.com", "Postmaster"], recipients);
        Assert.Equal("Subject: x\r\n\r\n.dot\r\n", content);
        Assert.True(host.IsClosed);
    }

    [Fact]
    public void Commands_out_of_order_are_refused_by_the_table() => Transcript.Run("""
        S: 220 mx.example.com ESMTP
        C: MAIL FROM:<a@example.net>
        S: 503 5.5.1 Send EHLO or HELO first
        C: DATA
        S: 503 5.5.1 Send EHLO or HELO first
        C: NOOP whatever
        S: 250 2.0.0 Ok
        C: RSET
        S: 250 2.0.0 Ok
        C: HELO client.example.net
        S: 250 mx.example.com
        C: RCPT TO:<b@example.com>
        S: 503 5.5.1 Send MAIL first
        C: DATA
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<>
        S: 250 2.1.0 Ok
        C: MAIL FROM:<>
        S: 503 5.5.1 Sender already given
        C: DATA
        S: 554 5.5.1 No valid recipients
        C: STARTTLS
        S: 503 5.5.1 Not during a mail transaction
        C: RCPT TO:<b@example.com>
        S: 250 2.1.5 Ok
        C: RSET
        S: 250 2.0.0 Ok
        C: RCPT TO:<b@example.com>
        S: 503 5.5.1 Send MAIL first
        C: MAIL FROM:<a@example.net>
        S: 250 2.1.0 Ok
        C: HELO client.example.net
        S: 250 mx.example.com
        C: RCPT TO:<b@example.com>
        S: 503 5.5.1 Send MAIL first
        C: AUTH PLAIN AGEAYg==
        S: 502 5.5.1 Command not implemented
        C: FOO
        S: 500 5.5.2 Command not recognized
        C:
        S: 500 5.5.2 Command not recognized
        C: VRFY somebody
        S: 252 2.5.0 Cannot verify the user; try to send mail
        C: QUIT now
        S: 501 5.5.4 No parameters allowed
        C: GET / HTTP/1.1
        S: 421 4.7.0 This is a mail server, closing
        C: QUIT
        """, Mx);

    /// <summary>STARTTLS and AUTH are not everywhere.</summary>
    [Fact]
    public void Help_names_no_command_that_is_refused() => Transcript.Run("""
        S: 220 mx.example.com ESMTP
        C: ETRN example.com
        S: 503 5.5.1 Send EHLO or HELO first
        C: HELO client.example.net
        S: 250 mx.example.com
        C: ETRN example.com
        S: 502 5.5.1 Command not implemented
        C: EXPN staff
        S: 502 5.5.1 Command not implemented
        C: VRFY
        S: 501 5.5.4 Syntax error in parameters
        C: VRFY b@example.com
        S: 252 2.5.0 Cannot verify the user; try to send mail
        C: HELP MAIL
        S: 214-2.0.0 Commands: EHLO HELO MAIL RCPT DATA RSET NOOP
        S: 214-2.0.0 QUIT VRFY HELP, and what EHLO tells of
        S: 214 2.0.0 See docs/RFC.md of MailPipeline
        """, Mx);

    [Fact]
    public void Bad_parameters_are_refused_by_kind() => Transcript.Run("""
        S: 220 mx.example.com ESMTP
        C: EHLO
        S: 501 5.5.4 Syntax error in parameters
        C: HELO client.example.net
        S: 250 mx.example.com
        C: MAIL
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL TO:<a@example.net>
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL FROM:a@example.net
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL FROM:<postmaster>
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL FROM:<a@example.net>SIZE=1
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<a@example.net> SIZE=1001
        S: 552 5.3.4 Message size exceeds the limit
        C: MAIL FROM:<a@example.net> SIZE=99999999999999999999
        S: 552 5.3.4 Message size exceeds the limit
        C: MAIL FROM:<a@example.net> SIZE=x
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<a@example.net> SIZE=1 SIZE=1
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<a@example.net> BODY=BINARYMIME
        S: 501 5.5.4 BODY is 7BIT or 8BITMIME, and stands once
        C: MAIL FROM:<a@example.net> RET=ALL
        S: 501 5.5.4 RET is FULL or HDRS
        C: MAIL FROM:<a@example.net> SMTPUTF8
        S: 555 5.5.4 Parameter not recognized
        C: MAIL FROM:<a@example.net>  SIZE=1000  body=7bit
        S: 250 2.1.0 Ok
        C: RCPT TO:<>
        S: 501 5.1.3 Bad recipient address syntax
        C: RCPT TO:<b>
        S: 501 5.1.3 Bad recipient address syntax
        C: RCPT TO:<b@example.com> NOTIFY=NEVER,SUCCESS
        S: 501 5.5.4 NOTIFY is NEVER alone, or some of SUCCESS, FAILURE and DELAY, each once
        C: RCPT TO:<b@example.com>
        S: 250 2.1.5 Ok
        C: RCPT TO:<c@example.com>
        S: 250 2.1.5 Ok
        C: RCPT TO:<d@example.com>
        S: 250 2.1.5 Ok
        C: RCPT TO:<e@example.com>
        S: 452 4.5.3 Too many recipients in one message
        C: DATA now
        S: 501 5.5.4 No parameters allowed
        """, Mx);

    private static SmtpProfile Utf8 => new() { HostName = "mx.example.com", OffersSmtpUtf8 = true };

    /// <summary>RFC 6531 §3.4 to §3.7.</summary>
    [Fact]
    public void Addresses_in_UTF8_come_with_SMTPUTF8_only() => Transcript.Run(AsOctets("""
        S: 220 mx.example.com ESMTP
        C: EHLO client.example.net
        S: 250-mx.example.com
        S: 250-PIPELINING
        S: 250-DSN
        S: 250-8BITMIME
        S: 250-SIZE 52428800
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-DELIVERBY
        S: 250-LIMITS RCPTMAX=1000
        S: 250 SMTPUTF8
        C: MAIL FROM:<josé@example.net>
        S: 553 5.6.7 Address needs SMTPUTF8
        C: MAIL FROM:<ann@bücher.example>
        S: 553 5.6.7 Address needs SMTPUTF8
        C: MAIL FROM:<josé@example.net> SMTPUTF8=1
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<josé@example.net> SMTPUTF8 SMTPUTF8
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<ann@example.net> AUTH=josé@example.net
        S: 555 5.5.4 Parameter not recognized
        C: MAIL FROM:<@bücher.example:ann@example.net> SMTPUTF8
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL FROM:<josé@ex ample.net> SMTPUTF8
        S: 501 5.1.7 Bad sender address syntax
        C: MAIL FROM:<ann@example.net>
        S: 250 2.1.0 Ok
        C: RCPT TO:<josé@example.com>
        S: 553 5.6.7 Address needs SMTPUTF8
        C: RCPT TO:<ann@bücher.example>
        S: 553 5.6.7 Address needs SMTPUTF8
        C: RCPT TO:<bob@example.com> ORCPT=utf-8;josé@example.com
        S: 553 5.6.7 Address needs SMTPUTF8
        C: RCPT TO:<bob@example.com> ORCPT=utf-8;jos\x{E9}@example.com
        S: 250 2.1.5 Ok
        C: RSET
        S: 250 2.0.0 Ok
        C: MAIL FROM:<josé@bücher.example> BODY=8BITMIME SMTPUTF8
        S: 250 2.1.0 Ok
        C: RCPT TO:<josé@example.com> ORCPT=utf-8;josé@example.com
        S: 250 2.1.5 Ok
        C: RCPT TO:<"jo sé"@BÜCHER.example>
        S: 250 2.1.5 Ok
        C: RCPT TO:<ann@bücher。example>
        S: 250 2.1.5 Ok
        C: RCPT TO:<ann@bü＠cher.example>
        S: 501 5.1.3 Bad recipient address syntax
        C: RCPT TO:<ann@ﬁsch.example>
        S: 501 5.1.3 Bad recipient address syntax
        C: VRFY josé SMTPUTF8
        S: 252 2.5.0 Cannot verify the user; try to send mail
        C: EXPN bücher SMTPUTF8
        S: 502 5.5.1 Command not implemented
        """), Utf8);

    [Theory]
    [InlineData("AUTH=jos\u00c3\u00a9@example.net", "553 5.6.7")]
    [InlineData("AUTH=jos\u00c3\u00a9@example.net SMTPUTF8", "250 2.1.0")]
    [InlineData("AUTH=jos\u00c3@example.net SMTPUTF8", "501 5.5.4")]
    [InlineData("AUTH=jos\u00e2\u0080\u00a8@example.net SMTPUTF8", "501 5.5.4")]
    public void A_mailbox_in_AUTH_may_be_in_UTF8_as_others(string parameters, string reply)
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com", OffersSmtpUtf8 = true, OffersAuth = true, AllowsCleartextAuth = true });
        host.Feed(Wire.Bytes($"EHLO x\r\nMAIL FROM:<ann@example.net> {parameters}\r\n"));
        Assert.StartsWith(reply, host.Output.Split("\r\n")[^2], StringComparison.Ordinal);
    }

    /// <summary>A character for each octet of UTF-8, as transcripts are sent.</summary>
    private static string AsOctets(string text) => Wire.Text(Encoding.UTF8.GetBytes(text));

    /// <summary>Not text, text in more octets than it needs, halves of pairs, and what nobody sees.</summary>
    [Theory]
    [InlineData("C3", "a lead without its rest")]
    [InlineData("A9", "a rest without its lead")]
    [InlineData("C0 AF", "an overlong slash")]
    [InlineData("E0 80 8D", "an overlong CR")]
    [InlineData("F0 80 80 8A", "an overlong LF")]
    [InlineData("C1 80", "an overlong at sign")]
    [InlineData("ED A0 80", "a surrogate")]
    [InlineData("F4 90 80 80", "beyond Unicode")]
    [InlineData("FF", "no octet of UTF-8")]
    [InlineData("C2 80", "C1")]
    [InlineData("C2 85", "the C1 for a new line")]
    [InlineData("C2 AD", "a soft hyphen")]
    [InlineData("E2 80 8D", "a joiner")]
    [InlineData("E2 80 A8", "a line separator")]
    [InlineData("E2 80 A9", "a paragraph separator")]
    [InlineData("E2 80 AE", "a turn of direction")]
    [InlineData("EF BB BF", "a byte order mark")]
    public void What_is_no_visible_UTF8_is_in_no_address(string octets, string what)
    {
        byte[] bad = Convert.FromHexString(octets.Replace(" ", "", StringComparison.Ordinal));
        foreach (var (before, after) in new[] { ("a", "b@example.com"), ("\"a ", "b\"@example.com"), ("a@b", "c.example") })
        {
            var host = new ScriptedHost(Utf8);
            byte[] address = [.. Wire.Bytes(before), .. bad, .. Wire.Bytes(after)];
            host.Feed(Wire.Bytes("EHLO x\r\nMAIL FROM:<ann@example.net> SMTPUTF8\r\nRCPT TO:<"));
            host.Feed([.. address, .. Wire.Bytes(">\r\n")]);
            Assert.True(host.Output.EndsWith("250 2.1.0 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n", StringComparison.Ordinal), $"{what}: {host.Output}");
        }
    }

    /// <summary>One place decides what a domain is called, so that nothing behind the door sees U-labels.</summary>
    [Fact]
    public void A_domain_in_U_labels_goes_on_in_A_labels()
    {
        Assert.True(SmtpAddress.TryParse("Jos\u00e9@B\u00dccher.example", out var address, allowUtf8: true));
        Assert.Equal("Jos\u00e9@xn--bcher-kva.example", address!.Text);
        Assert.Equal("Jos\u00e9", address.LocalPart);
        Assert.Equal("xn--bcher-kva.example", address.Domain);
        Assert.Equal(address, SmtpAddress.Parse("Jos\u00e9@XN--BCHER-KVA.example"));
        Assert.True(SmtpAddress.TryParse("ann@b\u00fccher.example", out var ann, allowUtf8: true));
        Assert.True(ann!.IsWrittenInUtf8);
        Assert.False(ann.NeedsSmtpUtf8);
    }

    [Fact]
    public void Recipients_beyond_the_limit_are_put_off_one_by_one_and_end_the_session_when_they_go_on()
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes("HELO x\r\nMAIL FROM:<>\r\n"));
        var named = 0;
        while (!host.IsClosed && named++ < 10_000)
            host.Feed(Wire.Bytes($"RCPT TO:<b{named}@example.com>\r\n"));
        Assert.Equal(1003, named);
        Assert.Equal(1000, host.Output.Split("452 4.5.3").Length - 1);
        Assert.EndsWith("452 4.5.3 Too many recipients in one message\r\n421 4.5.3 Too many recipients, closing\r\n", host.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_message_that_is_taken_forgives_the_recipients_that_were_too_many()
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes("HELO x\r\n"));
        for (var message = 0; message < 3; message++)
        {
            host.Feed(Wire.Bytes("MAIL FROM:<>\r\n"));
            for (var i = 0; i < 900; i++)
                host.Feed(Wire.Bytes($"RCPT TO:<b{i}@example.com>\r\n"));
            host.Feed(Wire.Bytes("DATA\r\nx: y\r\n.\r\n"));
        }

        Assert.False(host.IsClosed);
        Assert.Equal(3, host.Accepted.Count);
    }

    /// <summary>RFC 3207 §4 asks for no EHLO before it; behind it nothing has been said in any case.</summary>
    [Fact]
    public void Tls_may_come_first() => Transcript.Run("""
        S: 220 mx.example.com ESMTP
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        C: MAIL FROM:<a@example.com>
        S: 503 5.5.1 Send EHLO or HELO first
        C: STARTTLS
        S: 503 5.5.1 TLS is already active
        C: QUIT
        S: 221 2.0.0 Bye
        """, Mx);

    [Fact]
    public void Submission_wants_tls_then_authentication_then_mail() => Transcript.Run("""
        S: 220 mx.example.com ESMTP
        C: EHLO client.example.net
        S: 250-mx.example.com
        S: 250-STARTTLS
        S: 250-ETRN
        S: 250-PIPELINING
        S: 250-DSN
        S: 250-8BITMIME
        S: 250-SIZE 52428800
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-MT-PRIORITY
        S: 250-DELIVERBY
        S: 250 LIMITS RCPTMAX=1000
        C: MAIL FROM:<a@example.com>
        S: 530 5.7.0 Issue STARTTLS first
        C: AUTH PLAIN AGEAc2VjcmV0
        S: 538 5.7.11 Encryption required for authentication
        C: ETRN example.org
        S: 530 5.7.0 Issue STARTTLS first
        C: STARTTLS
        S: 220 2.0.0 Ready to start TLS
        C: MAIL FROM:<a@example.com>
        S: 503 5.5.1 Send EHLO or HELO first
        C: EHLO client.example.net
        S: 250-mx.example.com
        S: 250-ETRN
        S: 250-AUTH LOGIN PLAIN
        S: 250-PIPELINING
        S: 250-DSN
        S: 250-8BITMIME
        S: 250-SIZE 52428800
        S: 250-ENHANCEDSTATUSCODES
        S: 250-CHUNKING
        S: 250-MT-PRIORITY
        S: 250-DELIVERBY
        S: 250-REQUIRETLS
        S: 250 LIMITS RCPTMAX=1000
        C: STARTTLS
        S: 503 5.5.1 TLS is already active
        C: MAIL FROM:<a@example.com>
        S: 530 5.7.0 Authentication required
        C: AUTH CRAM-MD5
        S: 504 5.5.4 Unknown authentication mechanism
        C: AUTH PLAIN AGEAc2VjcmV0
        S: 235 2.7.0 Authentication successful
        C: AUTH PLAIN AGEAc2VjcmV0
        S: 503 5.5.1 Already authenticated
        C: ETRN Example.ORG
        S: 250 2.0.0 started example.org False
        C: ETRN @[192.0.2.1]
        S: 250 2.0.0 started [192.0.2.1] True
        C: ETRN
        S: 501 5.5.4 Syntax error in parameters
        C: ETRN @
        S: 501 5.5.4 Syntax error in parameters
        C: ETRN #queue
        S: 501 5.5.4 Syntax error in parameters
        C: ETRN example.org example.net
        S: 501 5.5.4 Syntax error in parameters
        C: MAIL FROM:<a@example.com> AUTH=<>
        S: 250 2.1.0 Ok
        C: ETRN example.org
        S: 503 5.5.1 Not during a mail transaction
        """, Submission);

    [Theory]
    [InlineData("C: AUTH PLAIN|S: 334 |C: AGEAc2VjcmV0|S: 235 2.7.0 Authentication successful")]
    [InlineData("C: AUTH PLAIN YQBhAHNlY3JldA==|S: 235 2.7.0 Authentication successful")]
    [InlineData("C: AUTH LOGIN|S: 334 VXNlcm5hbWU6|C: YQ==|S: 334 UGFzc3dvcmQ6|C: c2VjcmV0|S: 235 2.7.0 Authentication successful")]
    [InlineData("C: auth login YQ==|S: 334 UGFzc3dvcmQ6|C: c2VjcmV0|S: 235 2.7.0 Authentication successful")]
    [InlineData("C: AUTH LOGIN|S: 334 VXNlcm5hbWU6|C: *|S: 501 5.7.0 Authentication cancelled|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN|S: 334 |C: !!!|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN =|S: 501 5.5.2 Cannot decode the response")]
    [InlineData("C: AUTH|S: 501 5.5.4 Syntax error in parameters")]
    // Names and passwords that nobody has.
    [InlineData("C: AUTH LOGIN|S: 334 VXNlcm5hbWU6|C: cQBx|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH LOGIN YQ==|S: 334 UGFzc3dvcmQ6|C: YQBi|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN AHEHcQBzZWNyZXQ=|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH LOGIN|S: 334 VXNlcm5hbWU6|C: ccKFcQ==|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH LOGIN|S: 334 VXNlcm5hbWU6|C: wp8=|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN AHHCgABzZWNyZXQ=|S: 501 5.5.2 Cannot decode the response|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN AGEAd3Jvbmc=|S: 535 5.7.8 Authentication failed|C: NOOP|S: 250 2.0.0 Ok")]
    [InlineData("C: AUTH PLAIN YgBhAHNlY3JldA==|S: 535 5.7.8 Authentication failed")]
    [InlineData("C: AUTH PLAIN AGEAd3Jvbmc=|S: 535 5.7.8 Authentication failed|C: AUTH PLAIN AGEAd3Jvbmc=|S: 535 5.7.8 Authentication failed|C: AUTH PLAIN AGEAd3Jvbmc=|S: 535 5.7.8 Authentication failed|S: 421 4.7.0 Too many errors, closing")]
    public void Authentication_takes_plain_and_login_with_and_without_an_initial_response(string exchange)
    {
        var profile = new SmtpProfile { HostName = "mx.example.com", OffersAuth = true, AllowsCleartextAuth = true };
        Transcript.Run("S: 220 mx.example.com ESMTP\nC: HELO x\nS: 250 mx.example.com\n" + exchange.Replace('|', '\n'), profile);
    }

    [Fact]
    public void A_session_of_errors_is_closed()
    {
        var host = new ScriptedHost(Mx);
        for (var i = 1; i < Mx.MaxErrors; i++)
            host.Feed("FOO\r\n"u8);
        Assert.False(host.IsClosed);
        host.Feed("FOO\r\n"u8);
        Assert.True(host.IsClosed);
        Assert.EndsWith(
            "500 5.5.2 Command not recognized\r\n421 4.7.0 Too many errors, closing\r\n", host.Output, StringComparison.Ordinal);
    }

    /// <summary>421 in place of the 550 would make the client send the same message again.</summary>
    [Fact]
    public void Content_refused_for_good_is_told_so_even_where_that_is_one_error_too_many()
    {
        var host = new ScriptedHost(new SmtpProfile { HostName = "mx.example.com", MaxErrors = 1 });
        host.Feed("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\na\0b\r\n.\r\nNOOP\r\n"u8);
        Assert.Equal("250,250,250,354,550,421", string.Join(',', Codes(host.Output)));
        Assert.True(host.IsClosed);
    }

    [Theory]
    [InlineData("AUTH PLAIN {0}", 2048, "500 5.5.6 Authentication exchange line is too long")]
    [InlineData("auth login {0}", 2048, "500 5.5.6 Authentication exchange line is too long")]
    [InlineData("AUTHOR {0}", 2048, "500 5.5.2 Line too long")]
    [InlineData("AUTH LOGIN\r\n{0}", 12290, "334 VXNlcm5hbWU6\r\n500 5.5.6 Authentication exchange line is too long")]
    [InlineData("AUTH PLAIN\r\nAGEA\0c2VjcmV0", 0, "334 \r\n501 5.5.2 Cannot decode the response")]
    [InlineData("AUTH PLAIN\r\nAGEA\rc2VjcmV0", 0, "334 \r\n501 5.5.2 Cannot decode the response")]
    public void A_line_of_authentication_that_is_broken_is_refused_as_such(string lines, int length, string replies)
    {
        var profile = new SmtpProfile { HostName = "mx.example.com", OffersAuth = true, AllowsCleartextAuth = true };
        var input = Wire.Bytes("HELO x\r\n" + lines.Replace("{0}", new string('A', length), StringComparison.Ordinal) + "\r\nNOOP\r\n");
        foreach (var size in new[] { 1, 7, 1000, input.Length })
        {
            var host = new ScriptedHost(profile);
            foreach (var piece in input.Chunk(size))
                host.Feed(piece);
            Assert.Equal($"250 mx.example.com\r\n{replies}\r\n250 2.0.0 Ok\r\n", host.Output);
        }
    }

    [Fact]
    public void Where_authentication_is_not_offered_a_long_line_is_no_part_of_one()
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes("HELO x\r\nAUTH PLAIN " + new string('A', 5000) + "\r\n"));
        Assert.EndsWith("500 5.5.2 Line too long\r\n", host.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void A_session_that_never_sends_mail_is_closed()
    {
        var host = new ScriptedHost(Mx);
        for (var i = 0; i <= Mx.MaxCommandsWithoutMail; i++)
            host.Feed("NOOP\r\n"u8);
        Assert.True(host.IsClosed);
    }

    [Fact]
    public void Broken_lines_get_one_reply_each_and_hide_no_command()
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes("NOOP\nNOOP\r\nNO\rOP\r\nNO\0OP\r\n" + new string('x', 5000) + "\r\nNOOP\r\n"));
        Assert.Equal("500,250,500,500,500,250", string.Join(',', Codes(host.Output)));
    }

    [Fact]
    public void An_endless_line_takes_no_memory()
    {
        var host = new ScriptedHost(Mx);
        for (var i = 0; i < 1000; i++)
        {
            host.Feed(Wire.Bytes(new string('x', 1500)));
            Assert.InRange(host.Held, 0, SmtpLimits.ExtendedCommandLineBytes);
        }
    }

    [Theory]
    [InlineData("\r\n.\n")]
    [InlineData("\n.\r\n")]
    [InlineData("\n.\n")]
    [InlineData("\r.\r")]
    [InlineData("\r\n.\r")]
    [InlineData("\r\n\0.\r\n")]
    public void Smuggled_commands_stay_content_and_the_content_is_refused(string ending)
    {
        var host = new ScriptedHost(Mx);
        host.Feed(Wire.Bytes("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nhi" + ending + "MAIL FROM:<evil@example.net>\r\nRCPT TO:<b@example.com>\r\nDATA\r\nspoofed\r\n.\r\nQUIT\r\n"));
        Assert.Equal("250,250,250,354,550,221", string.Join(',', Codes(host.Output)));
        Assert.Empty(host.Accepted);
    }

    [Fact]
    public void Commands_pipelined_past_data_are_read_when_the_content_has_ended()
    {
        var host = new ScriptedHost(Mx);
        host.Feed("HELO x\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\na\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@example.com>\r\nDATA\r\nRSET\r\nQUIT\r\n"u8);
        Assert.Equal("250,250,250,354,250,250,550,554,250,221", string.Join(',', Codes(host.Output)));
        Assert.Equal("a\r\n", Assert.Single(host.Accepted).Content);
    }

    [Fact]
    public void A_message_ends_its_transaction_and_pardons_errors()
    {
        var host = new ScriptedHost(Mx);
        host.Feed("HELO x\r\n"u8);
        for (var i = 0; i < 10; i++)
            host.Feed(Wire.Bytes(string.Concat(Enumerable.Repeat("FOO\r\n", 15)) + "MAIL FROM:<>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n.\r\nRCPT TO:<b@example.com>\r\n"));
        Assert.False(host.IsClosed);
        Assert.Equal(10, host.Accepted.Count);
        Assert.All(host.Accepted, message => Assert.Single(message.Recipients));
    }

    [Fact]
    public void Every_line_gets_exactly_one_well_formed_reply() =>
        Gen.Select(
                Gen.OneOf(
                    Gen.OneOfConst("EHLO x", "HELO y", "MAIL FROM:<a@example.net>", "RCPT TO:<b@example.com>", "RCPT TO:<unknown@example.com>", "RSET", "BDAT 0", "BDAT 0 LAST", "NOOP",
                        "VRFY x", "HELP", "STARTTLS", "AUTH PLAIN", "AUTH LOGIN", "AGEAc2VjcmV0", "*", "mail from:<", "EXPN x", ""),
                    Gen.Char[' ', '~'].Array[0, 60].Select(chars => new string(chars)),
                    Gen.Byte.Array[0, 60].Select(bytes => Wire.Text(bytes).Replace("\n", "", StringComparison.Ordinal))).Array[1, 60],
                Gen.Int[1, 50])
            .Sample((lines, size) =>
            {
                var profile = new SmtpProfile { HostName = "mx.example.com", OffersStartTls = true, OffersAuth = true, AllowsCleartextAuth = true, MaxErrors = 1000 };
                var host = new ScriptedHost(profile);
                foreach (var piece in Wire.Bytes(string.Concat(lines.Select(line => line + "\r\n"))).Chunk(size))
                    host.Feed(piece);
                var codes = Codes(host.Output).ToArray();
                if (!host.IsClosed)
                    Assert.Equal(lines.Length, codes.Length);
                else
                    Assert.True(codes[^1] is 421);
            });

    [Fact]
    public void An_address_beyond_ascii_needs_smtputf8()
    {
        var profile = new SmtpProfile { HostName = "mx.example.com", OffersSmtpUtf8 = true };
        var host = new ScriptedHost(profile);
        host.Feed(Encoding.UTF8.GetBytes("EHLO x\r\nMAIL FROM:<jos\u00e9@example.net>\r\nMAIL FROM:<jos\u00e9@example.net> SMTPUTF8\r\nRCPT TO:<ren\u00e9@example.com>\r\nRSET\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<ren\u00e9@example.com>\r\n"));
        Assert.Equal("250,553,250,250,250,250,553", string.Join(',', Codes(host.Output)));
    }

    private static IEnumerable<int> Codes(string output)
    {
        var buffer = new ReadOnlySequence<byte>(Wire.Bytes(output));
        var parser = new ReplyParser();
        var codes = new List<int>();
        while (parser.TryRead(ref buffer, out var reply) is var status && status != ReplyStatus.Incomplete)
        {
            Assert.Equal(ReplyStatus.Reply, status);
            codes.Add(reply!.Code);
        }

        Assert.True(buffer.IsEmpty);
        return codes;
    }
}
