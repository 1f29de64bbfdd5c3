using MailPipeline.Storage;
using MailPipeline.Storage.Postgres;
using MailPipeline.Storage.Sqlite;

namespace MailPipeline.Mail.Tests;

/// <summary>What is asked again and again reads what it is about, however much else there is.</summary>
public abstract partial class StoreTests
{
    /// <summary>The engine's plan for each statement names the index; what it reads all of is allowed by name.</summary>
    [Fact]
    public async Task What_is_asked_again_and_again_goes_by_an_index()
    {
        await InsertRecipientsAsync(3000);
        await Store.RunAsync("INSERT INTO unrouted_timed (message_id, recipients, parameters, release_at) SELECT id, '', '', 9000000000000 FROM recipients");
        await Store.RunAsync("INSERT INTO deadlines (message_id, due_at, kind, look_at) SELECT id, 9000000000000, 1, 9000000000000 FROM recipients");
        await Store.RunAsync("INSERT INTO greylist (triplet, first_at, passes, expires_at) SELECT CAST(id AS TEXT), 0, 0, 9000000000000 FROM recipients");
        await Store.RunAsync("INSERT INTO bans (network, since, until_at, set_by, reason) SELECT CAST(id AS TEXT), 0, 9000000000000, '', '' FROM recipients");
        await Store.RunAsync("INSERT INTO event_outbox (recipient_id, number, receiver, kind, details, written_at, at, next_at, status, reply, host, reply_class) SELECT id, 1, CASE WHEN id % 2 = 0 THEN 'a' ELSE 'b' END, 1, 0, id, 0, 0, '', '', '', 0 FROM recipients");
        await Store.RunAsync("INSERT INTO greylist_networks (network, passes, expires_at) SELECT CAST(id AS TEXT), 0, 9000000000000 FROM recipients");
        await Store.RunAsync("INSERT INTO domain_queues (domain, due_at, failures, backoff_until, reason) SELECT CAST(id AS TEXT), 9000000000000, 0, 0, '' FROM recipients");
        if (!Store.Database.SingleProcess)
            await Store.RunAsync("ANALYZE");
        await PlanAsync(HeldDomainStore.s_released, "domain_queues_held", HeldDomainStore.Piece);
        await PlanAsync(RuleTargets.s_all, "recipients_due", "''", 0, 0, RuleTargets.Page);
        await PlanAsync(RuleTargets.s_ofDomain, "recipients_due", "'example.net'", 0, 0, RuleTargets.Page);
        await PlanAsync(RuleTargets.s_ofFlow, "recipients_flows", "'example.net'", 0, 0, RuleTargets.Page, "'example.org'");
        await PlanAsync(RuleTargets.s_held, "recipients_held", 0, RuleTargets.Page);
        await PlanAsync(QueueStore.s_dueDomains, "domain_queues_wake", 1, 0, "''", 500);
        await PlanAsync(QueueStore.s_dueDomainsOfOpenRoutes, "domain_queues_wake", 1, 0, "''", 500, 1, 0, 0);
        await PlanAsync(QueueStore.s_dueDomainsOfOpenRoutes, "recipients_due", 1, 0, "''", 500, 1, 0, 0);
        await PlanAsync(FlowStore.s_heads, "recipients_flows", "'example.net'", 1, 0, 0, "''", 500);
        await PlanAsync(FlowStore.s_following, "recipients_flows", Ids, "'example.net'", 1, 5);
        Assert.DoesNotContain("recipients_due", await ExplainAsync(FlowStore.s_heads, "'example.net'", 1, 0, 0, "''", 500), StringComparison.Ordinal);
        Assert.DoesNotContain("recipients_due", await ExplainAsync(FlowStore.s_following, Ids, "'example.net'", 1, 5), StringComparison.Ordinal);
        await PlanAsync(FlowStore.s_ofFlow, "recipients_flows", "'example.net'", "'example.org'", 0, 0, 1, 100);
        await PlanAsync(MeasureStore.s_dueOfSender, "recipients_flows", "'example.org'", 1);
        await PlanAsync(MeasureStore.s_countOfSender, "recipients_flows", "'example.org'");
        await PlanAsync(OwnerlessStore.s_domains, "recipients_due", "''", 1, 100);
        await PlanAsync(OwnerlessStore.s_ownerless, "recipients_due", "'example.net'", 1);
        await PlanAsync(UnreportedStore.s_due, Store.Database.SingleProcess ? "AND due_at<?)" : "(due_at <= ", 0, 0, 500);
        await PlanAsync(TakeBackStore.s_expired, Store.Database.SingleProcess ? "SCALAR SUBQUERY" : "InitPlan", 0, 0, 500);
        await PlanAsync(QueueStore.s_batchesOf, "claims_domain", "'example.net'");
        await PlanAsync(QueueStore.s_batchesHeld, "claims_batch", Ids);
        await PlanAsync(MeasureStore.s_page, "recipients_due", 1, "''", 0, 0, MeasureStore.Page);
        await PlanAsync(MeasureStore.s_endOfPage, "recipients_due", "''", 0, 0, MeasureStore.Page);
        await PlanAsync(MeasureStore.s_pageOfFlows, "recipients_flows", 1, "''", "''", 0, 0, MeasureStore.Page);
        await PlanAsync(MeasureStore.s_endOfFlows, "recipients_flows", "''", "''", 0, 0, MeasureStore.Page);
        await PlanAsync(SampleStore.s_few, Store.Database.SingleProcess ? "USING COVERING INDEX recipients_" : "Index Only Scan using recipients_", SampleStore.Few);
        await PlanAsync(SampleStore.s_few, "recipients_held", SampleStore.Few);
        await PlanAsync(SampleStore.s_groups, "queue_counts", 1, 200);
        await PlanAsync(WaitingListStore.s_rows, Store.Database.SingleProcess ? "r USING INTEGER PRIMARY KEY" : "recipients_pkey", Ids);
        await PlanAsync(WaitingListStore.s_endOfWindow, "recipients_due", "'example.net'", 1, 2000);
        await PlanAsync(WaitingStore.s_domainsOf, Store.Database.SingleProcess ? "h USING INTEGER PRIMARY KEY" : "recipients_pkey", Ids);
        await PlanAsync(MeasureStore.s_recipients, Store.Database.SingleProcess ? "recipients USING INTEGER PRIMARY KEY" : "recipients_pkey", Ids);
        await PlanAsync(MeasureStore.s_domainsHeld, "recipients_due");
        await PlanAsync(QueueStore.s_unroutedTimed, "unrouted_timed_release", 0, 1, 500, 1);
        await PlanAsync(DeadlineStore.s_due, "deadlines_look", 1, 0, 0, 200);
        await PlanAsync(EventStore.s_next, "event_outbox_order", "'a'", 100);
        await PlanAsync(EventStore.s_dropOld, "event_outbox_order", "'a'", 1, 500);
        await PlanAsync(EventStore.s_dropFirst, "event_outbox_order", "'a'", 500);
        await PlanAsync(BanStore.s_expired, "bans_until", 1, 500);
        await PlanAsync(GreylistStore.s_expired, "greylist_expires", 1, 500);
        await PlanAsync(GreylistStore.s_expiredNetworks, "greylist_networks_expires", 1, 500);
        await PlanAsync(MessageHistory.s_page, Store.Database.SingleProcess ? "PRIMARY KEY" : "messages_pkey", 0, 1, MessageHistory.Page);
        await PlanAsync(MessageHistory.s_old, Store.Database.SingleProcess ? "PRIMARY KEY" : "messages_pkey", 0, 1, 2);
        if (Store.Database.SingleProcess)
        {
            await PlanAsync(ContentLog.s_live, "COVERING INDEX chunks_segment (segment>? AND segment<?)", 1, 2);
            await PlanAsync(ContentLog.s_chunksOf, "INDEX chunks_segment (segment=?)", 1);
        }
    }

    /// <summary>Tables are empty when most plans are made, and a plan is kept.</summary>
    [Fact]
    public async Task What_few_rows_name_is_found_by_its_key_though_the_plan_was_made_while_there_was_nothing()
    {
        foreach (var plan in (string[])[
            await ExplainAsync(FlowStore.s_rows, Ids), await ExplainAsync(QueueStore.s_due, "'example.net'", 1, 10, 0, 0),
            await ExplainAsync(QueueStore.s_unroutedOf, Ids)])
        {
            Assert.True(
                plan.Contains(Store.Database.SingleProcess ? "m USING INTEGER PRIMARY KEY (rowid=?)" : "messages_pkey", StringComparison.Ordinal)
                && !plan.Contains("Hash", StringComparison.Ordinal) && !plan.Contains("Seq Scan", StringComparison.Ordinal), plan);
        }
    }

    [Fact]
    public async Task Counting_what_waits_reads_the_index_and_no_row()
    {
        var plan = await ExplainAsync(MeasureStore.s_page, 1, "''", 0, 0, MeasureStore.Page);
        Assert.Contains(Store.Database.SingleProcess ? "recipients USING COVERING INDEX recipients_due" : "Index Only Scan using recipients_due", plan, StringComparison.Ordinal);
        plan = await ExplainAsync(MeasureStore.s_pageOfFlows, 1, "''", "''", 0, 0, MeasureStore.Page);
        Assert.Contains(Store.Database.SingleProcess ? "recipients USING COVERING INDEX recipients_flows" : "Index Only Scan using recipients_flows", plan, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_domain_that_backs_off_is_listed_from_the_end_of_its_backoff()
    {
        var now = Store.Time.GetUtcNow();
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net");
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(1, now.AddMinutes(5), "no route"));
        Assert.Empty(await DueDomainsAsync());
        Store.Time.Advance(TimeSpan.FromMinutes(6));
        Assert.Equal([new DueDomain("example.net", now.AddMinutes(5))], await DueDomainsAsync());
    }

    /// <summary>What has nobody to work on it is not woken; what has is, wherever it is addressed.</summary>
    [Fact]
    public async Task Only_domains_of_open_routes_are_listed_and_none_of_those_is_missed()
    {
        await Store.Directory.AddDomainAsync("ours.example");
        foreach (var (address, route) in new[]
        {
            ("a@good.example", RecipientRoute.Remote), ("a@failing.example", RecipientRoute.Remote), ("a@ours.example", RecipientRoute.Local),
            ("a@new.example", RecipientRoute.Remote), ("a@gone.example", RecipientRoute.Local),
        })
        {
            await Store.QueueAsync("x"u8.ToArray(), route, address);
        }
        // Routed before they became a domain of ours, and one of others.
        await Store.Directory.AddDomainAsync("new.example");
        await Store.Queue.SetBackoffAsync("failing.example", new DomainBackoff(2, Store.Time.GetUtcNow(), "no route"));

        // What the directory says is believed too, for all that lies behind the first recipients.
        Assert.Equal(["gone.example", "good.example", "new.example"], await ListAsync(new(Local: false, Remote: true, Failing: false)));
        Assert.Equal(["failing.example"], await ListAsync(new(Local: false, Remote: false, Failing: true)));
        Assert.Equal(["gone.example", "new.example", "ours.example"], await ListAsync(new(Local: true, Remote: false, Failing: false)));
        Assert.Equal(["failing.example", "gone.example", "good.example", "new.example"], await ListAsync(new(Local: false, Remote: true, Failing: true)));
        Assert.Equal(5, (await ListAsync(OpenRoutes.All)).Count());

        async Task<IEnumerable<string>> ListAsync(OpenRoutes open) =>
            (await Store.Queue.ListDueDomainsAsync(Store.Time.GetUtcNow(), new DueDomain("", DateTimeOffset.UnixEpoch), 10, default, open))
            .Select(due => due.Domain).Order(StringComparer.Ordinal);
    }

    [Fact]
    public async Task Whose_worker_waits_itself_counts_as_waiting_since_the_end_of_its_domains_back_off()
    {
        var start = Store.Time.GetUtcNow();
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net", "c@example.net");
        await Store.TakeAsync(1, "example.net", [recipients[0]], begun: false, default);
        await Store.TakeAsync(2, "example.net", [recipients[1]], begun: true, default);
        Store.Time.Advance(TimeSpan.FromMinutes(1));
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.com");
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 4, 2, 1, 2, 0, 0, start), await MeasureAsync());

        // Limited by its claims, backing off, and back from it.
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 4, 2, 1, 1, 0, 1, start), await MeasureAsync(mostClaims: 2));
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(1, start.AddHours(1), "no route"));
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 4, 2, 1, 1, 1, 0, start.AddMinutes(1)), await MeasureAsync());
        Store.Time.Advance(TimeSpan.FromHours(2));
        await Store.Claims.BeginAsync(1, default);
        await Store.Queue.SetBackoffAsync("example.com", new DomainBackoff(0, start.AddHours(1), ""));
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 4, 2, 0, 1, 0, 1, start.AddHours(1)), await MeasureAsync());
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(0, start.AddHours(1), ""));
        Assert.Equal(new RouteMeasure(RecipientRoute.Remote, 4, 2, 0, 2, 0, 0, start.AddHours(1)), await MeasureAsync());

        async Task<RouteMeasure> MeasureAsync(int mostClaims = 5) => Assert.Single((await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = mostClaims }, isPaused: false, default)).Routes);
    }

    [Fact]
    public async Task More_than_a_page_is_counted_once()
    {
        const int Count = MeasureStore.Page + 10;
        await InsertRecipientsAsync(Count);
        var measure = await Store.Measures.MeasureAsync(QueueState.Unknown with { InitialConcurrency = 1 }, isPaused: false, default);
        Assert.Equal(
            [new RouteMeasure(RecipientRoute.Remote, Count, 0, 0, Count, 0, 0, DateTimeOffset.FromUnixTimeMilliseconds(1))], measure.Routes);
    }

    [Fact]
    public async Task What_is_finished_is_forgotten_behind_more_than_a_page_of_what_stays()
    {
        var numbers = Store.Database.SingleProcess
            ? "(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 21000) SELECT i FROM n) AS n" : "generate_series(1, 21000) AS n(i)";
        // Ids as of messages in maildrops, and one that is finished behind them; all old, and then some that are young.
        await Store.RunAsync(
            $"""
            INSERT INTO messages (id, accepted_at, sender, flow, size_bytes, body, trace_parent, content_refs)
            SELECT 1000000 + i, CASE WHEN i > 20500 THEN 2000 ELSE 0 END, '', '', 1, 0, '', CASE WHEN i IN (7, 10500, 20400, 20900) THEN 0 ELSE 1 END FROM {numbers}
            """);
        Assert.Equal(3, await Store.History.ForgetAsync(DateTimeOffset.FromUnixTimeMilliseconds(1000), default));
        Assert.Equal(0, await Store.History.ForgetAsync(DateTimeOffset.FromUnixTimeMilliseconds(1000), default));
        Assert.Equal(1, await Store.History.ForgetAsync(DateTimeOffset.FromUnixTimeMilliseconds(3000), default));
        Assert.Equal(20_996, (await Store.CountAsync()).Messages);
    }

    /// <summary>Due, one a millisecond, of two domains.</summary>
    private async Task InsertRecipientsAsync(int count)
    {
        var message = await Store.AcceptAsync("x"u8.ToArray(), "a@example.org");
        var numbers = Store.Database.SingleProcess
            ? $"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT i FROM n) AS n" : $"generate_series(1, {count}) AS n(i)";
        await Store.RunAsync(
            $"""
            INSERT INTO recipients (id, address, original, domain, route, flow, state, attempts, next_attempt_at, claim, updated_at)
            SELECT {RecipientIds.Of(message.MessageId, 0)} + i, 'a@example.net', '', CASE WHEN i % 3 = 0 THEN 'example.com' ELSE 'example.net' END, 0, '', 0, 0, i, 0, 0 FROM {numbers}
            """);
    }

    [Fact]
    public async Task A_window_reads_on_by_its_index_and_sorts_nothing()
    {
        foreach (var plan in (string[])[
            await ExplainAsync(QueueStore.s_due, "'example.net'", 1, 10, 0, 0), await ExplainAsync(QueueStore.s_dueOfRoute, "'example.net'", 1, 10, 0, 0, 1)])
        {
            Assert.Contains("recipients_due", plan, StringComparison.Ordinal);
            Assert.DoesNotContain("Sort", plan, StringComparison.Ordinal);
            Assert.DoesNotContain("TEMP B-TREE", plan, StringComparison.Ordinal);
        }
    }

    /// <summary>A set of ids, as each engine writes it.</summary>
    private string Ids => Store.Database.SingleProcess ? "'[1,2,3]'" : "'{1,2,3}'";

    private async Task PlanAsync(Statement statement, string index, params object[] values) =>
        Assert.Contains(index, await ExplainAsync(statement, values), StringComparison.Ordinal);

    /// <summary>
    /// The plan as text; PostgreSQL's as readers have it: with the settings of their connections, and for whatever values come, for it is kept.
    /// </summary>
    private async Task<string> ExplainAsync(Statement statement, params object[] values)
    {
        var sql = Store.Database.Engine.Dialect.Translate(statement.Sql, set: true);
        for (var i = values.Length; i > 0 && Store.Database.SingleProcess; i--)
            sql = sql.Replace($"${i}", $"{values[i - 1]}", StringComparison.Ordinal);
        var types = values.Select(value => value is not string text ? "BIGINT" : text == Ids ? "BIGINT[]" : "TEXT");
        var execute = values.Length == 0 ? "question" : $"question ({string.Join(", ", values)})";
        var connection = Store.Connect();
        await using (connection)
        {
            await connection.OpenAsync();
            await using var command = connection.CreateCommand();
            command.CommandText = Store.Database.SingleProcess
                ? $"EXPLAIN QUERY PLAN {sql}"
                : $"""
                {PostgresEngine.IndexedPlans}; SET plan_cache_mode = force_generic_plan;
                PREPARE question {(values.Length == 0 ? "" : $"({string.Join(", ", types)})")} AS {sql}; EXPLAIN EXECUTE {execute}; DEALLOCATE question
                """;
            await using var reader = await command.ExecuteReaderAsync();
            var lines = new List<string>();
            while (await reader.ReadAsync())
                lines.Add(reader.GetString(reader.FieldCount - 1));
            return string.Join('\n', lines);
        }
    }
}
