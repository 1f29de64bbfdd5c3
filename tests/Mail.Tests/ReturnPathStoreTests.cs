using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>The sender that a forwarded recipient was given.</summary>
public abstract partial class StoreTests
{
    [Theory]
    [InlineData(null)]
    [InlineData("NOTIFY=FAILURE ORCPT=rfc822;first@example.com")]
    public async Task A_recipient_keeps_the_sender_that_he_was_given_and_the_others_that_of_the_message(string? notify)
    {
        const string rewritten = "SRS0=AAAAAAAA=AA=example.org=sender@srs.example";
        var dsn = notify is null ? null : RcptDsn.Parse(notify);
        var message = await Store.AcceptAsync("x"u8.ToArray(), "a@example.org", "b@example.net");
        var made = await Store.Queue.RouteAsync([new RoutedMessage(message,
        [
            new("a@example.net", "a@example.org", "example.net", RecipientRoute.Remote, dsn, ReturnPath: rewritten),
            new("b@example.net", "", "example.net", RecipientRoute.Remote, dsn),
        ])]);
        Assert.Equal([rewritten, message.Sender], made.Select(one => one.Recipient.Sender));

        var due = await Store.Queue.ListDueAsync("example.net", Store.Time.GetUtcNow(), 10, default);
        Assert.Equal([rewritten, message.Sender], due.OrderBy(recipient => recipient.RecipientId).Select(recipient => recipient.Sender));
        var timeline = (await Store.History.FindAsync(message.MessageId, default))!;
        Assert.Equal(message.Sender, timeline.Sender);
        Assert.Equal([rewritten, ""], timeline.Recipients.Select(recipient => recipient.ReturnPath));
    }

    [Fact]
    public async Task One_who_is_held_keeps_it_too()
    {
        var message = await Store.AcceptAsync("x"u8.ToArray(), "a@example.org");
        Assert.Empty(await Store.Queue.RouteAsync([new RoutedMessage(
            message with { HoldReason = "looked at first" }, [new("a@example.net", "a@example.org", "example.net", RecipientRoute.Remote, ReturnPath: "SRS0=x@srs.example")])]));
        var recipient = Assert.Single((await Store.History.FindAsync(message.MessageId, default))!.Recipients);
        Assert.Equal((RecipientState.Held, "looked at first", "SRS0=x@srs.example"), (recipient.State, recipient.HoldReason, recipient.ReturnPath));
    }
}
