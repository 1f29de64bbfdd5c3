using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>What many callers of one transaction write goes to PostgreSQL as one statement for each table.</summary>
public sealed partial class Postgres_store
{
    private const int Callers = 20;

    [Fact]
    public async Task Messages_that_share_a_commit_are_inserted_by_one_statement_a_table_and_each_is_as_it_came()
    {
        // Every third is too large to be copied about in an array.
        var contents = Enumerable.Range(0, Callers).Select(i => Content(i, i % 3 == 0 ? 10_000 : 100 + i)).ToList();
        var messages = await AcceptTogetherAsync(contents);

        Assert.Equal(1, await CountAsync("SELECT COUNT(DISTINCT CAST(cmin AS TEXT)) FROM messages"));
        Assert.Equal(1, await CountAsync("SELECT COUNT(DISTINCT CAST(cmin AS TEXT)) FROM unrouted"));
        Assert.Equal(1, await CountAsync("SELECT COUNT(DISTINCT CAST(cmin AS TEXT)) FROM chunks WHERE size_bytes < 10000"));
        for (var i = 0; i < Callers; i++)
            Assert.Equal(contents[i], await Store.ReadAsync(messages[i].MessageId));
        Assert.Equal(
            messages.OrderBy(message => message.MessageId).Select(message => message.Recipients[0]),
            (await Store.Queue.FindUnroutedAsync([.. messages.Select(message => message.MessageId)], default)).Select(found => found.Recipients[0]));
    }

    [Fact]
    public async Task Recipients_of_one_hint_are_inserted_by_one_statement_and_their_attempts_and_contents_end_by_one()
    {
        var messages = await AcceptTogetherAsync([.. Enumerable.Range(0, Callers).Select(i => Content(i, 50))]);
        var made = await Store.Queue.RouteAsync([.. messages.Select(message => StoreFixture.Route(message, RecipientRoute.Remote))]);
        Assert.Equal(Callers, made.Count);
        Assert.Equal(1, await CountAsync("SELECT COUNT(DISTINCT CAST(cmin AS TEXT)) FROM recipients"));

        List<Recipient> recipients = [.. made.Select(row => row.Recipient)];
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
        var recorded = await Store.Claims.RecordDeliveredAsync(
            7, [.. recipients.Select((recipient, i) => Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", $"250 Ok {i}"))], default);

        Assert.Equal(Callers, recorded.Count);
        Assert.Equal(1, await CountAsync("SELECT COUNT(DISTINCT CAST(cmin AS TEXT)) FROM attempts"));
        Assert.Equal(Callers, await CountAsync("SELECT COUNT(DISTINCT reply) FROM attempts"));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM chunks"));
    }

    [Fact]
    public async Task One_row_that_is_refused_among_many_is_refused_alone()
    {
        var taken = await Store.AcceptAsync([1], "a@example.net");
        var again = new Envelope(taken.MessageId, "", ["b@example.net"], 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "");
        Task<Envelope>[] others;
        Task refused;
        using (Store.KeepWriterBusy())
        {
            others = [.. Enumerable.Range(0, 5).Select(i => Store.AcceptAsync(Content(i, 50), "c@example.net"))];
            refused = Store.Database.WriteAsync(transaction => MessageStore.InsertAsync(transaction, again, []));
        }

        Assert.Equal(StorageFault.Refused, (await Assert.ThrowsAsync<StorageUnavailableException>(() => refused)).Fault);
        foreach (var other in others)
            Assert.Equal(50, (await Store.ReadAsync((await other).MessageId)).Length);
        Assert.Equal(6, await CountAsync("SELECT COUNT(*) FROM messages"));
    }

    /// <summary>A small content stays in its row; a large one is compressed by LZ4 (the package of Debian has it), not by what is slow.</summary>
    [Fact]
    public async Task Content_is_kept_as_cheaply_as_the_server_can() =>
        Assert.Equal(1, await CountAsync(
            "SELECT COUNT(*) FROM pg_attribute WHERE attrelid = 'chunks'::regclass AND attname = 'bytes' AND attstorage = 'm' AND attcompression = 'l'"));

    /// <summary>A plan is kept for as long as the connection, and tables are empty when most are made.</summary>
    [Fact]
    public async Task No_question_and_no_transaction_reads_a_table_through_where_there_is_an_index()
    {
        foreach (var setting in (string[])["enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit"])
        {
            var show = new Statement($"SHOW {setting}");
            for (var i = 0; i < 3; i++)
                Assert.Equal(["off"], await Store.Database.QueryAsync(show, r => r.GetString(0), default));
            Assert.Equal(["off"], await Store.Database.WriteAsync(transaction => transaction.QueryAsync(show, r => r.GetString(0))));
        }
    }

    [Theory]
    [InlineData(
        "INSERT INTO t (a, b, c, d) VALUES ($1, $2, CAST(0 AS BIGINT), $1) ON CONFLICT DO NOTHING",
        "INSERT INTO t (a, b, c, d) SELECT given.p1, given.p2, CAST(0 AS BIGINT), given.p1 FROM unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[])) AS given (p1, p2) ON CONFLICT DO NOTHING")]
    [InlineData(
        "DELETE FROM t WHERE a = $1 AND b = $2",
        "DELETE FROM t USING unnest(CAST($1 AS BIGINT[]), CAST($2 AS TEXT[])) AS given (p1, p2) WHERE a = given.p1 AND b = given.p2")]
    public void Many_statements_of_a_kind_are_one_with_an_array_for_each_value(string one, string merged) =>
        Assert.Equal(merged, SqlDialect.Postgres.TranslateForMany(new Statement(one), ["BIGINT", "TEXT"]));

    [Theory]
    [InlineData("UPDATE t SET b = $2 WHERE a {in_1}", "UPDATE t SET b = given.p2 FROM {0} WHERE a = given.p1 RETURNING given.caller")]
    [InlineData("UPDATE t SET b = $2 WHERE a {in_1} RETURNING a", "UPDATE t SET b = given.p2 FROM {0} WHERE a = given.p1 RETURNING a, given.caller")]
    [InlineData("DELETE FROM t WHERE a = $1 AND b = $2", "DELETE FROM t USING {0} WHERE a = given.p1 AND b = given.p2 RETURNING given.caller")]
    public void Of_rows_that_others_change_too_it_says_for_whom(string one, string merged) => Assert.Equal(
        merged.Replace("{0}", "unnest(CAST($1 AS BIGINT[]), CAST($2 AS BIGINT[]), CAST($3 AS TEXT[])) AS given (caller, p1, p2)", StringComparison.Ordinal),
        SqlDialect.Postgres.TranslateForMany(new Statement(one) { Locks = SharedRows.Claims }, ["BIGINT", "BIGINT", "TEXT"]));

    [Fact]
    public async Task Each_of_many_workers_is_told_what_he_has_won_and_recorded_and_of_no_other()
    {
        var messages = await AcceptTogetherAsync([.. Enumerable.Range(0, Callers).Select(i => Content(i, 50))]);
        List<Recipient> recipients = [.. (await Store.Queue.RouteAsync([.. messages.Select(message => StoreFixture.Route(message, RecipientRoute.Remote))])).Select(row => row.Recipient)];
        // Each wants two, of which the one before him wants the first as well.
        var wanted = Enumerable.Range(0, Callers - 1).Select(i => (Recipient[])[recipients[i], recipients[i + 1]]).ToList();

        var taking = await TogetherAsync(wanted, (some, i) => Store.TakeAsync(100 + i, "example.net", some, begun: true, default));
        Assert.Equal(recipients.Select(recipient => recipient.RecipientId), taking.SelectMany(won => won).Order());
        Assert.Equal([2], taking.Take(1).Select(won => won.Count));

        var noted = await TogetherAsync(wanted, (some, i) => Store.Claims.NoteDotsAsync(100 + i, [some[1].RecipientId], default));
        Assert.Equal(taking.Select(won => won.Count > 0 ? ClaimUpdate.Applied : ClaimUpdate.ClaimLost), noted);

        // Whoever has no claim records nothing.
        var recorded = await TogetherAsync(wanted, (some, i) => Store.Claims.RecordLastDeliveredAsync(
            100 + i, [.. some.Select(recipient => Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", $"250 Ok {i}"))], taking[i].ToList(), default));
        for (var i = 0; i < wanted.Count; i++)
        {
            Assert.Equal(taking[i].Order(), recorded[i].Recorded.Order());
            Assert.Equal(taking[i].Count > 0, recorded[i].HasEnded);
        }
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM claims"));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM chunks"));
        Assert.Equal(Callers, await CountAsync("SELECT COUNT(*) FROM attempts a JOIN recipients r ON r.id = a.recipient_id WHERE a.reply = '250 Ok ' || CAST(r.claim - 100 AS TEXT)"));
    }

    [Fact]
    public async Task Two_who_drop_references_to_one_message_at_once_drop_two()
    {
        var made = await Store.QueueAsync(Content(1, 50), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.org");
        for (var i = 0; i < 3; i++)
            await Store.TakeAsync(i + 1, made[i].Address[(made[i].Address.LastIndexOf('@') + 1)..], [made[i]], begun: true, default);

        await TogetherAsync(made, (recipient, i) => Store.Claims.RecordDeliveredAsync(
            i + 1, [Store.Result(recipient, AttemptOutcome.Delivered, "2.0.0", "250 Ok")], default));

        Assert.Equal(1, await CountAsync("SELECT COUNT(*) FROM messages WHERE content_refs = 0"));
        Assert.Equal(0, await CountAsync("SELECT COUNT(*) FROM chunks"));
    }

    [Fact]
    public async Task What_is_said_of_one_claim_keeps_its_order_beside_what_is_merged()
    {
        var made = await Store.QueueAsync(Content(1, 50), RecipientRoute.Remote, "a@example.net", "b@example.net");
        for (var i = 0; i < 2; i++)
            await Store.TakeAsync(i + 1, "example.net", [made[i]], begun: true, default);

        // The first worker names a dot ahead and is refused before it; the second has ended as well.
        await TogetherAsync<Func<Task<ClaimUpdate>>, ClaimUpdate>(
            [
                () => Store.Claims.NoteDotsAsync(1, [made[0].RecipientId], default),
                () => Store.Claims.FinishAsync(1, [], [made[0].RecipientId], default),
                () => Store.Claims.FinishAsync(2, [], [made[1].RecipientId], default),
            ],
            (say, _) => say());

        Assert.Equal(2, await CountAsync("SELECT COUNT(*) FROM claims WHERE began_at = -1 AND dots LIKE '-%'"));
    }

    private async Task<TResult[]> TogetherAsync<T, TResult>(IReadOnlyList<T> callers, Func<T, int, Task<TResult>> ask)
    {
        List<Task<TResult>> asking;
        using (Store.KeepWriterBusy())
            asking = [.. callers.Select(ask)];
        return await Task.WhenAll(asking);
    }

    private async Task<List<Envelope>> AcceptTogetherAsync(IReadOnlyList<byte[]> contents)
    {
        // The ids come in a transaction of their own.
        await Store.Messages.NextMessageIdAsync(default);
        List<Task<Envelope>> accepting;
        using (Store.KeepWriterBusy())
            accepting = [.. contents.Select((content, i) => Store.AcceptAsync(content, $"r{i}@example.net"))];
        return [.. await Task.WhenAll(accepting)];
    }

    private static byte[] Content(int seed, int length)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var connection = new Npgsql.NpgsqlConnection(Store.Options.ConnectionString);
        await connection.OpenAsync(TestContext.Current.CancellationToken);
        await using var command = new Npgsql.NpgsqlCommand(sql, connection);
        return (long)(await command.ExecuteScalarAsync(TestContext.Current.CancellationToken))!;
    }
}
