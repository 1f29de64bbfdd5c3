namespace MailPipeline.Mail.Tests;

/// <summary>The fields in front of a message, on both engines.</summary>
public abstract partial class StoreTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1000)]
    [InlineData(40_000)]
    [InlineData(700_000)]
    public async Task A_message_is_its_prefix_and_its_content_and_the_last_field_added_is_on_top(int size)
    {
        var content = new byte[size];
        Random.Shared.NextBytes(content);
        var prefix = new MessagePrefix();
        prefix.Add("Date: today\r\nMessage-ID: <1@example.org>\r\n"u8);
        prefix.Add(default);
        prefix.Add("Received: from a by b\r\n"u8);
        prefix.Add("Authentication-Results: b; spf=pass\r\n"u8);
        var message = await AcceptAsync(content, prefix);

        var expected = (byte[])[
            .. "Authentication-Results: b; spf=pass\r\nReceived: from a by b\r\nDate: today\r\nMessage-ID: <1@example.org>\r\n"u8, .. content];
        Assert.Equal(expected, await Store.ReadAsync(message.MessageId));
        Assert.Equal(expected.Length, (await Store.History.FindAsync(message.MessageId, default))!.SizeBytes);

        // It goes with the content, when nobody needs either.
        var recipients = (await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)])).Select(row => row.Recipient).ToList();
        Assert.All(recipients, recipient => Assert.Equal((expected.Length, "example.org"), (recipient.SizeBytes, recipient.Flow)));
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: true, default);
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        Assert.Equal(expected, await Store.ReadAsync(message.MessageId));
        await Store.Claims.RecordDeliveredAsync(7, [Store.Result(recipients[1], AttemptOutcome.Delivered, "2.0.0", "250 ok")], default);
        Assert.Empty(await Store.ReadAsync(message.MessageId));
        Assert.Equal(0, await CountChunksAsync(message));
    }

    [Theory]
    [InlineData(1000)]
    [InlineData(40_000)]
    public async Task What_fits_into_a_chunk_is_one_with_its_prefix(int size)
    {
        var prefix = new MessagePrefix();
        prefix.Add("Received: from a by b\r\n"u8);
        var message = await AcceptAsync(new byte[size], prefix);

        Assert.Equal(1, await CountChunksAsync(message));
    }

    [Fact]
    public async Task Storage_is_not_asked_for_what_comes_behind_the_last_octet()
    {
        var message = await AcceptAsync(new byte[3 * Store.Options.ChunkBytes], new MessagePrefix());

        var read = 0L;
        await foreach (var piece in Store.Messages.ReadContentAsync(message.MessageId, default, sizeBytes: 2 * Store.Options.ChunkBytes))
            read += piece.Length;
        Assert.Equal(2 * Store.Options.ChunkBytes, read);
    }

    [Fact]
    public void A_prefix_has_a_bound()
    {
        var prefix = new MessagePrefix();
        prefix.Add(new byte[MessagePrefix.MaxBytes - 1]);
        Assert.Throws<ArgumentException>(() => prefix.Add("ab"u8));
        prefix.Add("a"u8);
        Assert.Equal(MessagePrefix.MaxBytes, prefix.SizeBytes);
    }

    [Theory]
    [InlineData("Ann@Example.org", "list@example.net", "ann@example.org")]
    [InlineData("", "You@Example.NET", "example.net")]
    [InlineData("", "", "")]
    public void A_message_flows_with_those_of_its_account_or_of_its_sender_s_domain(string account, string sender, string flow) =>
        Assert.Equal(flow, FlowKey.Of(account, sender));

    private async Task<long> CountChunksAsync(Envelope message) => (await Store.Database.QueryAsync(
        new("SELECT COUNT(*) FROM chunks WHERE id BETWEEN $1 << 16 AND ($1 << 16) + 65535"), r => r.GetInt64(0), default, message.MessageId))[0];

    private async Task<Envelope> AcceptAsync(byte[] content, MessagePrefix prefix)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(
            id, "sender@example.org", ["a@example.net", "b@example.net"], prefix.SizeBytes + content.Length, BodyType.SevenBit, Store.Time.GetUtcNow(), "",
            FlowKey.Of("", "sender@example.org"));
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        await Store.Messages.AcceptAsync(message, writer, default, prefix);
        return message;
    }
}
