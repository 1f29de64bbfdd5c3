using System.Text;

namespace MailPipeline.Testing.Tests;

public sealed class DsnReaderTests
{
    [Theory]
    [InlineData("message/rfc822")]
    [InlineData("text/rfc822-headers")]
    public void A_notification_names_message_recipients_and_status(string returned)
    {
        var dsn = Read($"""
            Return-Path: <>
            From: MAILER-DAEMON@mail.example
            To: sender@example.org
            Message-ID: <dsn1@mail.example>
            MIME-Version: 1.0
            Content-Type: multipart/report; report-type=delivery-status; boundary="b"

            --b
            Content-Type: text/plain

            It did not work.
            --b
            Content-Type: message/delivery-status

            Reporting-MTA: dns; mail.example

            Final-Recipient: rfc822; final@example.com
            Original-Recipient: rfc822;User@example.com
            Action: failed
            Status: 5.1.1
            Diagnostic-Code: smtp; 550 5.1.1 No such user

            Final-Recipient: rfc822; other@example.com
            Action: delayed
            Status: 4.4.1

            --b
            Content-Type: {returned}

            X-Ledger-Token: token-7
            Subject: ledger

            --b--

            """);
        Assert.NotNull(dsn);
        Assert.Equal("dsn1@mail.example", dsn.MessageId);
        Assert.Equal("token-7", dsn.Token);
        Assert.Equal(
            [
                new("User@example.com", "failed", "5.1.1", "smtp; 550 5.1.1 No such user"),
                new DsnRecipient("other@example.com", "delayed", "4.4.1", ""),
            ],
            dsn.Recipients);
    }

    [Fact]
    public void Other_mail_is_no_notification()
    {
        Assert.Null(Read("Subject: hello\n\nhello\n"));
        Assert.Null(Read("Content-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\nx\n--b--\n"));
        Assert.Null(Read(""));
    }

    private static DsnReport? Read(string text) => DsnReader.Read(Encoding.ASCII.GetBytes(text.ReplaceLineEndings("\r\n")));
}
