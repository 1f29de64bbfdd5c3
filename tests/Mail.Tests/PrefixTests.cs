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
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
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
    public void A_prefix_has_a_bound()
    {
        var prefix = new MessagePrefix();
        while (prefix.SizeBytes < MessagePrefix.MaxBytes - 512)
            prefix.Add("x", new string('y', 512 - "x: \r\n".Length));
        Assert.Throws<ArgumentException>(() => prefix.Add("x", new string('y', 513 - "x: \r\n".Length)));
        prefix.Add("x", new string('y', 512 - "x: \r\n".Length));
        Assert.Equal(MessagePrefix.MaxBytes, prefix.SizeBytes);
        Assert.Throws<ArgumentException>(() => prefix.Add("x:\r\n"u8));
    }

    [Theory]
    [InlineData("a: b\r\n", true)]
    [InlineData("a: b\r\n c\r\n\td\r\ne:\r\n", true)]
    [InlineData("a: ö\r\n", true)]
    [InlineData("a: b", false)]
    [InlineData("a: b\n", false)]
    [InlineData("a: b\r", false)]
    [InlineData("a: b\rc\r\n", false)]
    [InlineData("a: b\nc: d\r\n", false)]
    [InlineData("a: b\0\r\n", false)]
    [InlineData("\r\n", false)]
    [InlineData("a: b\r\n\r\n", false)]
    [InlineData("a: b\r\n \t\r\n", false)]
    [InlineData(" a: b\r\n", false)]
    [InlineData(": b\r\n", false)]
    [InlineData("a b: c\r\n", false)]
    [InlineData("ab\r\n", false)]
    [InlineData("a: b\r\nX-Mailbox-Line: ", false)]
    public void Only_whole_fields_go_in_front(string fields, bool areTaken)
    {
        var prefix = new MessagePrefix();
        var bytes = System.Text.Encoding.UTF8.GetBytes(fields);
        if (areTaken)
            prefix.Add(bytes);
        else
            Assert.Throws<ArgumentException>(() => prefix.Add(bytes));
        Assert.Equal(areTaken ? bytes.Length : 0, prefix.SizeBytes);
    }

    [Fact]
    public void A_value_begins_no_other_field_and_no_line_is_too_long()
    {
        var prefix = new MessagePrefix();
        Assert.Throws<ArgumentException>(() => prefix.Add("a", "b\r\nBcc: c"));
        Assert.Throws<ArgumentException>(() => prefix.Add("a", "b\nc"));
        Assert.Throws<ArgumentException>(() => prefix.Add("a: b\r\nc", "d"));
        Assert.Throws<ArgumentException>(() => prefix.Add("a", new string('x', MessagePrefix.MaxLineBytes - 2)));
        prefix.Add("a", new string('x', MessagePrefix.MaxLineBytes - 3));
        Assert.Equal(MessagePrefix.MaxLineBytes + 2, prefix.SizeBytes);
    }

    [Fact]
    public async Task What_checks_said_of_a_message_is_kept_with_it_and_holds_its_recipients_from_the_start()
    {
        // At the same time, so that they share a transaction.
        var messages = await Task.WhenAll(Enumerable.Range(0, 12).Select(async number =>
        {
            var id = await Store.Messages.NextMessageIdAsync(default);
            var message = new Envelope(
                id, "sender@example.org", ["a@example.net", "b@example.net"], 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "", "",
                number % 2 == 0 ? $"rule {number}" : "");
            await using var writer = Store.Messages.CreateContent(id);
            await writer.AppendAsync("x"u8.ToArray(), default);
            await Store.Messages.AcceptAsync(message, writer, default, null, number % 3 == 0 ? ["one", $"tag{number}"] : null);
            return message;
        }));
        var unrouted = await Store.Queue.FindUnroutedAsync([.. messages.Select(message => message.MessageId)], default);
        Assert.Equal(messages.OrderBy(message => message.MessageId).Select(message => message.HoldReason), unrouted.Select(message => message.HoldReason));

        var made = await Store.Queue.RouteAsync([.. unrouted.Select(message => StoreFixture.Route(message, RecipientRoute.Remote))]);
        Assert.Equal(6 * 2, made.Count);
        for (var number = 0; number < messages.Length; number++)
        {
            var found = (await Store.History.FindAsync(messages[number].MessageId, default))!;
            var reason = messages[number].HoldReason;
            Assert.Equal(reason, found.HoldReason);
            Assert.Equal(number % 3 == 0 ? ["one", $"tag{number}"] : [], found.Tags);
            Assert.Equal(2, found.Recipients.Count);
            Assert.All(found.Recipients, recipient => Assert.Equal(
                (reason.Length > 0 ? RecipientState.Held : RecipientState.Queued, reason), (recipient.State, recipient.HoldReason)));
        }
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
