using MailPipeline.Smtp;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>REQUIRETLS (RFC 8689) beside programs that know nothing of it: none of them routes such a message, and none tries it.</summary>
public abstract partial class StoreTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_needs_REQUIRETLS_is_not_where_older_routers_look(bool hasDsn)
    {
        var message = await AcceptSafeAsync(hasDsn);
        Assert.Equal(0, await CountAsync("SELECT (SELECT COUNT(*) FROM unrouted) + (SELECT COUNT(*) FROM unrouted_dsn)"));
        var found = Assert.Single(await Store.Queue.FindUnroutedAsync([message.MessageId], default));
        Assert.Equal((BodyType.RequireTls, message.Dsn?.ToText()), (found.Body, found.Dsn?.ToText()));
        Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)]));

        // A hint within the process has the envelope as the client said it.
        message = await AcceptSafeAsync(hasDsn);
        Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]));
        Assert.Empty(await Store.Queue.RouteAsync([StoreFixture.Route(message, RecipientRoute.Remote)]));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM unrouted_timed"));
    }

    /// <summary>As programs kept it that knew REQUIRETLS first.</summary>
    [Theory]
    [InlineData(false, "INSERT INTO unrouted SELECT message_id, recipients FROM unrouted_timed")]
    [InlineData(true, "INSERT INTO unrouted_dsn SELECT message_id, recipients, parameters FROM unrouted_timed")]
    public async Task What_needs_REQUIRETLS_is_routed_from_where_other_messages_are_as_well(bool hasDsn, string move)
    {
        var message = await AcceptSafeAsync(hasDsn);
        await Store.Database.WriteAsync(async transaction =>
            await transaction.ExecuteAsync(new Statement(move)) + await transaction.ExecuteAsync(new Statement("DELETE FROM unrouted_timed")));
        var found = Assert.Single(await Store.Queue.ListUnroutedAsync(0, Store.Time.GetUtcNow(), 10, default));
        Assert.Single(await Store.Queue.RouteAsync([StoreFixture.Route(found, RecipientRoute.Remote)]));
        Assert.Empty(await Store.Queue.FindUnroutedAsync([message.MessageId], default));
    }

    /// <summary>By the statement with which workers before REQUIRETLS claim, and the number that they read in a command.</summary>
    [Fact]
    public async Task A_worker_that_knows_no_REQUIRETLS_wins_no_claim_for_it()
    {
        var made = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "x@example.net", "y@example.net");
        var command = new BatchCommand(7, "example.net", [made[0] with { Body = BodyType.RequireTls }, made[1]]).ToDeliverMessages();
        var before = new Statement("UPDATE recipients SET claim = $2 WHERE id {in_1} AND state + 0 = 0 AND claim = 0 AND attempts = $3") { Locks = SharedRows.Recipients };
        var won = new List<int>();
        foreach (var recipient in command.Recipients)
        {
            won.Add(await Store.Database.WriteAsync(async transaction =>
                await transaction.ExecuteAsync(before, SqlValue.FromIds([recipient.RecipientId]), 900, recipient.Attempts)));
        }

        Assert.Equal([0, 1], won);
        var claim = await Store.Claims.TakeAsync(7, "example.net", command.ToBatchCommand().Recipients, begun: true, default);
        Assert.Equal([made[0].RecipientId], claim.Won);
    }

    private async Task<Envelope> AcceptSafeAsync(bool hasDsn)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var dsn = hasDsn ? new EnvelopeDsn(MailDsn.Parse("RET=FULL ENVID=QQ1"), [s_success]) : null;
        var message = new Envelope(id, "sender@example.org", ["x@example.net"], 1, BodyType.RequireTls, Store.Time.GetUtcNow(), "", Dsn: dsn);
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        return message;
    }
}
