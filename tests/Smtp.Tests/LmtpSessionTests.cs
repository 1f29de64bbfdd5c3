namespace MailPipeline.Smtp.Tests;

/// <summary>LMTP (RFC 2033): a reply for each accepted RCPT at the end of a message, and its own greeting.</summary>
public sealed class LmtpSessionTests
{
    private const string Begin = "LHLO x\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.com>\r\nRCPT TO:<unknown@example.com>\r\nRCPT TO:<c@example.com>\r\n";

    private static SmtpProfile Lmtp => new() { Kind = ListenerKind.Lmtp, HostName = "mx.example.com", MaxMessageBytes = 1000, MaxErrors = 5 };

    [Fact]
    public void Each_accepted_recipient_has_a_reply_of_its_own_in_their_order()
    {
        var host = Transcript.Run("""
            S: 220 mx.example.com LMTP
            C: LHLO client.example.net
            S: 250-mx.example.com
            S: 250-PIPELINING
            S: 250-DSN
            S: 250-8BITMIME
            S: 250-SIZE 1000
            S: 250-ENHANCEDSTATUSCODES
            S: 250-CHUNKING
            S: 250 LIMITS RCPTMAX=1000
            C: MAIL FROM:<a@example.net>
            S: 250 2.1.0 Ok
            C: RCPT TO:<b@example.com> NOTIFY=SUCCESS ORCPT=rfc822;b@example.org
            S: 250 2.1.5 Ok
            C: RCPT TO:<unknown@example.com>
            S: 550 5.1.1 No such user here
            C: RCPT TO:<c@example.com>
            S: 250 2.1.5 Ok
            C: DATA
            S: 354 End data with <CR><LF>.<CR><LF>
            C: Subject: x
            C:
            C: ..dot
            C: .
            S: 250 2.0.0 Ok: queued as 1E240
            S: 250 2.0.0 Ok: queued as 1E240
            C: NOOP
            S: 250 2.0.0 Ok
            C: QUIT
            S: 221 2.0.0 Bye
            """, Lmtp);
        var (_, recipients, content) = Assert.Single(host.Accepted);
        Assert.Equal(["b@example.com", "c@example.com"], recipients);
        Assert.Equal("Subject: x\r\n\r\n.dot\r\n", content);
    }

    /// <summary>RFC 2033 §4.2: one for each RCPT, though they name the same mailbox, of which there is one copy.</summary>
    [Fact]
    public void A_recipient_named_twice_has_two_replies()
    {
        var host = Play(Begin + "RCPT TO:<b@EXAMPLE.com>\r\nDATA\r\nx: y\r\n.\r\nNOOP\r\n");
        Assert.Equal("250,250,250,550,250,250,354,250,250,250,250", Codes(host));
        Assert.Equal(2, Assert.Single(host.Accepted).Recipients.Length);
    }

    [Fact]
    public void Neither_protocol_knows_the_greeting_of_the_other()
    {
        Transcript.Run("""
            S: 220 mx.example.com LMTP
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 Send LHLO first
            C: EHLO client.example.net
            S: 500 5.5.1 LMTP is spoken here; greet with LHLO
            C: HELO client.example.net
            S: 500 5.5.1 LMTP is spoken here; greet with LHLO
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 Send LHLO first
            C: HELP
            S: 214-2.0.0 Commands: LHLO MAIL RCPT DATA RSET NOOP
            S: 214-2.0.0 QUIT VRFY HELP, and what LHLO tells of
            S: 214 2.0.0 See docs/RFC.md of MailPipeline
            """, Lmtp);
        Transcript.Run("""
            S: 220 mx.example.com ESMTP
            C: LHLO client.example.net
            S: 500 5.5.2 Command not recognized
            C: MAIL FROM:<a@example.net>
            S: 503 5.5.1 Send EHLO or HELO first
            """, new SmtpProfile { HostName = "mx.example.com" });
    }

    [Theory]
    // RFC 2033 §4.2: no recipient, no DATA.
    [InlineData("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@example.com>\r\nDATA\r\nNOOP\r\n", "250,250,550,503,250")]
    // What is refused is refused of each.
    [InlineData(Begin + "DATA\r\na\nb\r\n.\r\nNOOP\r\n", "250,250,250,550,250,354,550,550,250")]
    // RFC 2033 §4.3: the last chunk has one for each, any other has one.
    [InlineData(Begin + "BDAT 3\r\nx: BDAT 3 LAST\r\ny\r\nNOOP\r\n", "250,250,250,550,250,250,250,250,250")]
    [InlineData(Begin + "BDAT 3 LAST\r\na\nbNOOP\r\n", "250,250,250,550,250,550,550,250")]
    // None where no recipient was accepted.
    [InlineData("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<unknown@example.com>\r\nBDAT 3\r\nx: BDAT 3 LAST\r\ny\r\nNOOP\r\n", "250,250,550,503,250")]
    [InlineData("BDAT 3 LAST\r\ny\r\nNOOP\r\n", "250")]
    // A chunk that is refused, and the last one on its way behind it.
    [InlineData(Begin + "BDAT 1001\r\n{1001}BDAT 1\r\nxBDAT 1 LAST\r\nxBDAT 1 LAST\r\nxNOOP\r\n", "250,250,250,550,250,552,503,503,503,250")]
    [InlineData(Begin + "BDAT 1001\r\n{1001}RSET\r\nBDAT 1 LAST\r\nxNOOP\r\n", "250,250,250,550,250,552,250,250")]
    public void The_end_of_a_message_has_as_many_replies_as_it_had_recipients(string commands, string codes) =>
        Assert.Equal(codes, Codes(Play(commands.Replace("{1001}", new string('x', 1001), StringComparison.Ordinal))));

    [Fact]
    public void Who_failed_too_often_hears_the_last_word_behind_all_replies() =>
        Assert.Equal(
            "250,250,250,550,250,500,500,500,354,550,550,421",
            Codes(Play(Begin + "HELO x\r\nHELO x\r\nHELO x\r\nDATA\r\na\nb\r\n.\r\nNOOP\r\n")));

    private static ScriptedHost Play(string commands)
    {
        var host = new ScriptedHost(Lmtp);
        host.Greet();
        host.Feed(Wire.Bytes(commands));
        return host;
    }

    /// <summary>The last line of each reply, by its code.</summary>
    private static string Codes(ScriptedHost host) => string.Join(
        ',', host.Output.Split("\r\n", StringSplitOptions.RemoveEmptyEntries).Where(line => line[3] == ' ').Select(line => line[..3]).Skip(1));
}
