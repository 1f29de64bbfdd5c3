using MailPipeline.Mail;
using MailPipeline.Queue.Policies;

namespace MailPipeline.Queue.Tests;

/// <summary>What replies are about: by what is built in, and by what an operator says.</summary>
public sealed class ReplyClassesTests
{
    [Theory]
    [InlineData("5.1.1", "550 5.1.1 No such user here", ReplyClass.Mailbox)]
    [InlineData("5.2.1", "550 5.2.1 The account is closed", ReplyClass.Mailbox)]
    [InlineData("5.0.0", "550 User unknown", ReplyClass.Mailbox)]
    [InlineData("5.7.1", "550 5.7.1 Recipient not found", ReplyClass.Mailbox)]
    [InlineData("4.0.0", "450 busy", ReplyClass.Mailbox)]
    [InlineData("5.1.2", "Domain not found", ReplyClass.Domain)]
    [InlineData("5.1.10", "The domain takes no mail (null MX)", ReplyClass.Domain)]
    [InlineData("5.4.6", "554 5.4.6 Too many hops", ReplyClass.Domain)]
    [InlineData("5.0.0", "556 no mail", ReplyClass.Domain)]
    [InlineData("4.2.2", "452 4.2.2 try again", ReplyClass.Quota)]
    [InlineData("5.7.1", "554 5.7.1 Mailbox is full", ReplyClass.Quota)]
    [InlineData("4.3.1", "452 4.3.1 Insufficient system storage", ReplyClass.Quota)]
    [InlineData("4.0.0", "452 wait", ReplyClass.Quota)]
    [InlineData("4.7.1", "450 4.7.1 Greylisted, try again in 5 minutes", ReplyClass.Policy)]
    [InlineData("5.7.26", "550 5.7.26 Unauthenticated mail is not accepted: DMARC policy", ReplyClass.Policy)]
    [InlineData("5.7.1", "554 5.7.1 <x@example.org>: Relay access denied", ReplyClass.Policy)]
    [InlineData("5.1.8", "550 5.1.8 Domain of sender not found", ReplyClass.Policy)]
    [InlineData("5.7.1", "554 5.7.1 Blocked, see https://www.spamhaus.example/query: listed by Spamhaus", ReplyClass.Reputation)]
    [InlineData("5.7.606", "550 5.7.606 Access denied, banned sending IP", ReplyClass.Reputation)]
    [InlineData("4.7.25", "450 4.7.25 Client host has no name", ReplyClass.Reputation)]
    [InlineData("5.7.1", "554 5.7.1 This message looks like spam", ReplyClass.Content)]
    [InlineData("5.3.4", "552 5.3.4 Message too big for system", ReplyClass.Content)]
    [InlineData("5.0.0", "552 Message size exceeds the limit", ReplyClass.Content)]
    [InlineData("5.6.0", "554 5.6.0 Bad header", ReplyClass.Content)]
    [InlineData("4.7.28", "421 4.7.28 An unusual rate of mail from your address", ReplyClass.Rate)]
    [InlineData("4.7.0", "421 4.7.0 Too many connections from 192.0.2.1", ReplyClass.Rate)]
    [InlineData("4.7.650", "451 4.7.650 The mail server has been limited", ReplyClass.Rate)]
    [InlineData("4.5.3", "452 4.5.3 Too many recipients", ReplyClass.Rate)]
    [InlineData("4.5.0", "The answer to the final dot has no end", ReplyClass.Protocol)]
    [InlineData("5.6.7", "The message needs SMTPUTF8, which the far end does not offer", ReplyClass.Protocol)]
    [InlineData("5.0.0", "503 bad sequence", ReplyClass.Protocol)]
    [InlineData("4.4.1", "connection refused", ReplyClass.Network)]
    [InlineData("4.4.3", "DNS gave no answer", ReplyClass.Network)]
    [InlineData("4.4.2", "mx.example.net closed the connection after the final dot", ReplyClass.Network)]
    [InlineData("4.7.4", "mx.example.net does not offer STARTTLS, and TLS is required", ReplyClass.Tls)]
    [InlineData("4.7.5", "the TLS handshake did not end", ReplyClass.Tls)]
    [InlineData("5.7.0", "530 5.7.0 Must issue a STARTTLS command first", ReplyClass.Tls)]
    [InlineData("4.3.0", "451 4.3.0 Something is wrong here", ReplyClass.Other)]
    [InlineData("4.3.0", "The content of the message cannot be read now", ReplyClass.Other)]
    [InlineData("4.0.0", "451 later", ReplyClass.Other)]
    [InlineData("", "", ReplyClass.Other)]
    [InlineData("x.y.z", "4", ReplyClass.Other)]
    // Not a reply: our own words are not looked through.
    [InlineData("4.3.2", "This system is busy; throttled", ReplyClass.Other)]
    public void A_reply_is_about(string status, string reply, ReplyClass expected) => Assert.Equal(expected, ReplyClasses.Of(status, reply));

    [Fact]
    public void The_first_entry_that_fits_host_and_text_counts_before_what_is_built_in()
    {
        var table = new ReplyTable(
        [
            new() { Host = "*.google.example", Text = "Unusual Rate", Class = ReplyClass.Rate, RetrySteps = [TimeSpan.FromHours(3)] },
            new() { Host = "mx.example.net", Text = "5.1.1", Class = ReplyClass.Policy, Then = ReplyThen.Retry },
            new() { Text = "go away", Class = ReplyClass.Reputation, Then = ReplyThen.Bounce },
            new() { Host = "*.google.example", Class = ReplyClass.Content },
            new() { Host = "192.0.2.7", Class = ReplyClass.Network },
        ]);

        Assert.Equal((ReplyClass.Rate, null, 1), Of("mx1.google.example[192.0.2.1]:25", "421 4.7.0 unusual rate"));
        Assert.Equal((ReplyClass.Content, null, 0), Of("MX1.Google.example[192.0.2.1]:25", "421 4.7.0 something"));
        Assert.Equal((ReplyClass.Network, null, 0), Of("google.example[192.0.2.7]:25", "connection refused", "4.4.1"));
        Assert.Equal((ReplyClass.Policy, ReplyThen.Retry, 0), Of("mx.example.net[192.0.2.1]:25", "550 5.1.1 no such user", "5.1.1"));
        Assert.Equal((ReplyClass.Mailbox, null, 0), Of("mx2.example.net[192.0.2.1]:25", "550 5.1.1 no such user", "5.1.1"));
        Assert.Equal((ReplyClass.Reputation, ReplyThen.Bounce, 0), Of("mx2.example.net[192.0.2.1]:25", "451 Go Away"));
        Assert.Equal((ReplyClass.Network, null, 0), Of("192.0.2.7", "timed out", "4.4.2"));

        (ReplyClass, ReplyThen?, int) Of(string host, string reply, string status = "4.0.0")
        {
            var verdict = table.Of(new AttemptResult(1, AttemptOutcome.Deferred, status, reply, host, default, default));
            return (verdict.Class, verdict.Then, verdict.RetrySteps.Count);
        }
    }
}
