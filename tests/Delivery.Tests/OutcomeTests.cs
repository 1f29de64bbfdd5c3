using MailPipeline.Delivery.Batches;
using MailPipeline.Mail;
using MailPipeline.Smtp;

namespace MailPipeline.Delivery.Tests;

/// <summary>What each reply means at each step.</summary>
public sealed class OutcomeTests
{
    [Theory]
    [InlineData("250 2.0.0 Ok", "FinalDot", "Delivered 2.0.0")]
    [InlineData("250 2.6.0 Ok", "FinalDot", "Delivered 2.6.0")]
    [InlineData("200 Ok", "FinalDot", "Delivered 2.0.0")]
    [InlineData("299 Ok", "FinalDot", "Delivered 2.0.0")]
    [InlineData("354 Hm", "FinalDot", "Uncertain 4.4.2")]
    [InlineData("450 4.2.1 No", "FinalDot", "Deferred 4.2.1")]
    [InlineData("452 No", "FinalDot", "Deferred 4.0.0")]
    [InlineData("550 5.7.1 No", "FinalDot", "Failed 5.7.1")]
    [InlineData("552 No", "FinalDot", "Failed 5.0.0")]
    [InlineData("500 What", "FinalDot", "Failed 5.0.0")]
    [InlineData("250 2.6.0 Ok", "LastChunk", "Delivered 2.6.0")]
    [InlineData("354 Hm", "LastChunk", "Uncertain 4.4.2")]
    [InlineData("452 4.2.2 Full", "LastChunk", "Deferred 4.2.2")]
    [InlineData("552 5.3.4 Too big", "LastChunk", "Failed 5.3.4")]
    [InlineData("503 5.5.1 Sequence", "LastChunk", "Deferred 4.0.0")]
    [InlineData("250 Ok", "Data", "Deferred 4.0.0")]
    [InlineData("354 Hm", "Mail", "Deferred 4.0.0")]
    [InlineData("451 4.7.1 Greylisted", "Rcpt", "Deferred 4.7.1")]
    [InlineData("550 5.1.1 Unknown", "Rcpt", "Failed 5.1.1")]
    [InlineData("550 Unknown", "Rcpt", "Failed 5.0.0")]
    [InlineData("552 5.2.2 Too many", "Rcpt", "Deferred 4.0.0")]
    [InlineData("552 5.3.4 Too big", "Mail", "Failed 5.3.4")]
    [InlineData("503 5.5.1 Sequence", "Rcpt", "Deferred 4.0.0")]
    [InlineData("502 5.5.1 Unknown", "Mail", "Deferred 4.0.0")]
    [InlineData("501 5.1.7 Bad sender", "Mail", "Failed 5.1.7")]
    [InlineData("530 5.7.0 TLS first", "Mail", "Failed 5.7.0")]
    [InlineData("554 5.5.1 None", "Data", "Failed 5.5.1")]
    [InlineData("421 4.3.2 Bye", "FinalDot", "Deferred 4.3.2")]
    public void A_reply_has_one_meaning(string line, string step, string expected)
    {
        var reply = Parse(line);
        var outcome = RemoteReply.Outcome(reply, Enum.Parse<TransactionStep>(step));
        Assert.Equal(expected, $"{outcome} {RemoteReply.Status(reply, outcome)}");
    }

    [Fact]
    public void Only_a_2xx_behind_the_dot_is_a_delivery()
    {
        foreach (var step in Enum.GetValues<TransactionStep>())
        {
            for (var code = 200; code < 600; code++)
            {
                var outcome = RemoteReply.Outcome(new SmtpReply(code, status: null, ["text"]), step);
                var isEnd = step is TransactionStep.FinalDot or TransactionStep.LastChunk;
                Assert.Equal(isEnd && code < 300, outcome == AttemptOutcome.Delivered);
                Assert.Equal(isEnd && code is >= 300 and < 400, outcome == AttemptOutcome.Uncertain);
            }
        }
    }

    [Fact]
    public void A_long_reply_is_cut_and_keeps_the_text_of_the_line_that_decided()
    {
        Assert.InRange(RemoteReply.Line(new SmtpReply(550, status: null, [new string('x', 5000)])).Length, 400, 600);
        var many = RemoteReply.Line(new SmtpReply(451, status: null, [.. Enumerable.Repeat("250 and so on", 100), "Later"]));
        Assert.StartsWith("451 250 and so on 250", many, StringComparison.Ordinal);
        Assert.EndsWith("... Later", many, StringComparison.Ordinal);
        Assert.InRange(many.Length, 400, 600);
        Assert.InRange(RemoteReply.Line(new SmtpReply(451, status: null, [new string('x', 400), new string('y', 5000)])).Length, 400, 600);
    }

    private static SmtpReply Parse(string line)
    {
        var bytes = new System.Buffers.ReadOnlySequence<byte>(System.Text.Encoding.ASCII.GetBytes(line + "\r\n"));
        Assert.Equal(ReplyStatus.Reply, new ReplyParser().TryRead(ref bytes, out var reply));
        return reply!;
    }
}
