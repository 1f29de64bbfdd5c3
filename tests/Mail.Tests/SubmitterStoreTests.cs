using MailPipeline.Smtp;

namespace MailPipeline.Mail.Tests;

/// <summary>Who submitted a message (RFC 4954 §5).</summary>
public abstract partial class StoreTests
{
    [Theory]
    [InlineData("ann@example.org")]
    [InlineData("<>")]
    [InlineData("")]
    public async Task Who_submitted_a_message_is_kept_with_it(string text)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var submitter = MailSubmitter.Parse(text);
        var message = new Envelope(
            id, "sender@example.org", ["a@example.net"], 1, submitter is null ? BodyType.SevenBit : BodyType.Submitter, Store.Time.GetUtcNow(), "",
            "sender@example.org", Submitter: submitter);
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);

        // Whoever routes it need not know of that.
        var found = Assert.Single(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default));
        Assert.Equal((message.Body, null), (found.Body, found.Timing));
        var recipient = Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)])).Recipient;
        Assert.Equal(message.Body, recipient.Body);
        Assert.Equal(submitter, await new SubmitterStore(Store.Database).FindAsync(id, default));
        Assert.Null(await new SubmitterStore(Store.Database).FindAsync(id + 1, default));
    }
}
