using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Rules of operators: what fits them, what is counted of that, and which domains nobody wakes meanwhile.</summary>
public abstract partial class StoreTests
{
    private static readonly OperatorIdentity s_ruler = new("ann", "here");

    private RuleStore Rules => new(Store.Database);

    private HeldDomainStore HeldDomains => new(Store.Database);

    [Fact]
    public async Task A_rule_is_kept_changed_and_removed_with_all_that_it_says_and_each_raises_the_version()
    {
        var conditions = new RuleConditions
        {
            Domain = new("*.example.net"), Site = new("mx.example.net"), Sender = new("<>"), SenderDomain = new("example.org"), Login = new("ann@example.org"),
            Recipient = new("bob@example.net"), MessageId = 4711, Older = TimeSpan.FromMinutes(90), Reply = "full ''",
        };
        var rule = new QueueRule("all", RuleAct.Redirect, conditions, "why") { Text = "mx.example.com:25", Rate = 0.5, Until = Store.Time.GetUtcNow().AddHours(1) };
        var version = await Rules.FindVersionAsync(default);
        var (end, added) = await Rules.AddAsync(rule, s_ruler);
        Assert.Equal((RuleAddition.Added, rule with { SetBy = "ann", Host = "here", SetAt = Store.Time.GetUtcNow() }), (end, added));
        Assert.Equal(added, await Rules.FindAsync("all", default));
        Assert.Equal(RuleAddition.NameTaken, (await Rules.AddAsync(rule, s_ruler)).End);
        Assert.True(await Rules.FindVersionAsync(default) > version);

        var changed = added with { Conditions = new() { Domain = new("example.net") }, Until = null };
        Assert.True(await Rules.ChangeAsync(added, changed, s_ruler));
        // Whoever read it before has another one in mind.
        Assert.False(await Rules.ChangeAsync(added, changed with { Why = "late" }, s_ruler));
        Assert.Equal([changed], await Rules.ListAsync(default));
        Assert.Equal(changed, await Rules.RemoveAsync("all", s_ruler));
        Assert.Null(await Rules.RemoveAsync("all", s_ruler));
        Assert.Equal(
            [OperatorAction.RuleAdded, OperatorAction.RuleChanged, OperatorAction.RuleRemoved],
            (await new AuditLog(Store.Database).ListAsync(DateTimeOffset.UnixEpoch, 10, default)).Select(entry => entry.Action).Order());
        Assert.All(
            await new AuditLog(Store.Database).ListAsync(DateTimeOffset.UnixEpoch, 10, default),
            entry => Assert.StartsWith("all: redirect to mx.example.com:25: domain ", entry.Subject, StringComparison.Ordinal));
    }

    /// <summary>However storage narrows down what is read, what is found is what fits; and what is counted is what is found.</summary>
    [Theory]
    [InlineData("domain", "one.example", 2)]
    [InlineData("domain", "*.example", 5)]
    [InlineData("domain", "*.two.example", 1)]
    [InlineData("domain", "*", 5)]
    [InlineData("domain", "nobody.example", 0)]
    [InlineData("site", "mx2.hosts.example", 2)]
    [InlineData("site", "*.hosts.example", 2)]
    [InlineData("sender", "joe@example.org", 3)]
    [InlineData("sender", "*.example.org", 1)]
    [InlineData("sender-domain", "example.org", 3)]
    [InlineData("sender-domain", "*.example.org", 1)]
    [InlineData("account", "bob@example.com", 1)]
    [InlineData("account", "example.com", 1)]
    [InlineData("recipient", "a@one.example", 1)]
    [InlineData("recipient", "list@example.org", 1)]
    [InlineData("recipient", "one.example", 2)]
    [InlineData("message", "", 2)]
    [InlineData("older", "", 3)]
    [InlineData("reply", "MAILBOX full", 1)]
    [InlineData("both", "", 1)]
    public async Task What_fits_is_found_and_counted(string asked, string value, int fitting)
    {
        await SeedRuledAsync();
        var first = (await Store.WaitingList.ReadAsync(await IdsAsync(), default)).Min(row => RecipientIds.MessageId(row.RecipientId));
        var pattern = new NamePattern(value);
        var conditions = asked switch
        {
            "domain" => new RuleConditions { Domain = pattern },
            "site" => new RuleConditions { Site = pattern },
            "sender" => new RuleConditions { Sender = pattern },
            "sender-domain" => new RuleConditions { SenderDomain = pattern },
            "account" => new RuleConditions { Login = pattern },
            "recipient" => new RuleConditions { Recipient = pattern },
            "message" => new RuleConditions { MessageId = first },
            "older" => new RuleConditions { Older = TimeSpan.FromHours(1) },
            "reply" => new RuleConditions { Reply = value },
            _ => new RuleConditions { Domain = new("*.example"), Sender = new("joe@example.org"), Reply = "mailbox" },
        };
        foreach (var page in (int[])[1, 2, 100])
        {
            var found = new List<RuleTarget>();
            for (var place = WaitingPlace.Start; place is not null;)
            {
                var read = await new RuleTargets(Store.Database).PageAsync(conditions, place, held: false, default, page);
                found.AddRange(read.Targets);
                place = read.Next;
            }
            Assert.Equal(fitting, found.Count);
            Assert.Equal(fitting, found.DistinctBy(target => target.Recipient.RecipientId).Count());
        }
        var count = await new RuleCounter(Store.Database).CountAsync(conditions, held: false, TimeSpan.FromMinutes(1), default);
        Assert.Equal((fitting, true), ((int)count.Recipients, count.IsExact));
        // And it is what counts say is held.
        await Rules.AddAsync(new QueueRule("hold", RuleAct.Hold, conditions, "why"), s_ruler);
        var groups = (await Store.Measures.MeasureAsync(QueueState.Unknown, isPaused: false, default)).Groups;
        var byReason = groups.Single(kind => kind.By == WaitingBy.Reason);
        Assert.Equal(fitting, (int)(byReason.Groups.FirstOrDefault(group => group.Key == "heldByOperator")?.Waiting ?? 0));
        Assert.Equal(5, byReason.Waiting);
        Assert.Equal(5, groups.Single(kind => kind.By == WaitingBy.Domain).Waiting);
    }

    [Fact]
    public async Task A_domain_whose_mail_is_kept_back_is_not_due_until_a_rule_ends_and_nobody_notes_one_by_rules_that_have_changed()
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@one.example", "b@two.example");
        await Rules.AddAsync(new QueueRule("hold", RuleAct.Hold, new() { Domain = new("*.example") }, "why"), s_ruler);
        var version = await Rules.FindVersionAsync(default);
        var until = Store.Time.GetUtcNow() + HeldDomainStore.Pause;
        Store.Time.Advance(TimeSpan.FromSeconds(1));
        await HeldDomains.DeferAsync(["one.example"], version, until);
        await HeldDomains.DeferBehindAsync("two.example", PlaceOf(recipients[1]), version, until);
        Assert.Empty(await DueDomainsAsync());
        Assert.Equal(0, await HeldDomains.RestoreAsync(default));

        // Another rule more lets nothing go, and what is found by the rules before it is not noted.
        await Rules.AddAsync(new QueueRule("more", RuleAct.Hold, new() { Domain = new("other.example") }, "why"), s_ruler);
        Assert.Equal(0, await HeldDomains.RestoreAsync(default));
        // What comes makes its domain due.
        await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "c@one.example");
        await HeldDomains.DeferAsync(["one.example"], version, until);
        Assert.Equal(["one.example"], (await DueDomainsAsync()).Select(due => due.Domain));
        await HeldDomains.DeferBehindAsync("one.example", PlaceOf(recipients[0]), await Rules.FindVersionAsync(default), until);
        // The one that came lies behind what was looked through.
        Assert.Equal(["one.example"], (await DueDomainsAsync()).Select(due => due.Domain));

        await Rules.RemoveAsync("hold", s_ruler);
        Assert.Equal(2, await HeldDomains.RestoreAsync(default));
        Assert.Equal(0, await HeldDomains.RestoreAsync(default));
        Assert.Equal(["one.example", "two.example"], (await DueDomainsAsync()).Select(due => due.Domain).Order());
        Assert.Equal(
            recipients.Select(recipient => recipient.NextAttemptAt.ToUnixTimeMilliseconds()),
            (await Store.WaitingList.ReadAsync([.. recipients.Select(recipient => recipient.RecipientId)], default)).Select(row => row.NextAttemptAt.ToUnixTimeMilliseconds()));
    }

    [Fact]
    public async Task What_is_done_once_is_noted_as_far_as_it_is_and_not_of_another_rule_of_its_name()
    {
        var (_, first) = await Rules.AddAsync(new QueueRule("stop", RuleAct.Bounce, new() { Domain = new("*") }, "why"), s_ruler);
        Assert.True(await Rules.AdvanceAsync(first, 3, "here", null));
        Assert.True(await Rules.AdvanceAsync(first, 2, "", Store.Time.GetUtcNow()));
        Assert.Equal((5L, Store.Time.GetUtcNow()), (await Rules.FindAsync("stop", default)) is { } done ? (done.Done, done.EndedAt!.Value) : default);
        Assert.False(await Rules.AdvanceAsync(first, 1, "", null));
        await Rules.RemoveAsync("stop", s_ruler);
        Store.Time.Advance(TimeSpan.FromSeconds(1));
        await Rules.AddAsync(new QueueRule("stop", RuleAct.Bounce, new() { Domain = new("*") }, "why"), s_ruler);
        Assert.False(await Rules.AdvanceAsync(first, 1, "", null));
    }

    private static DuePlace PlaceOf(Recipient recipient) => new(recipient.NextAttemptAt, recipient.RecipientId);

    private async Task<List<long>> IdsAsync() =>
        [.. (await Store.WaitingList.FindQueuedAsync(new WaitingFilter(), "", WaitingPlace.Start, 100, Store.Time.GetUtcNow(), default)).Ids];

    /// <summary>Five that wait: of two messages of joe's, the older one to a list; one of an account's; one from below example.org.</summary>
    private async Task SeedRuledAsync()
    {
        await RouteFromAsync("Joe@example.org", "example.org", ("a@one.example", "list@example.org"), ("b@two.example", ""));
        await RouteFromAsync("x@mail.example.org", "mail.example.org", ("c@sub.two.example", ""));
        Store.Time.Advance(TimeSpan.FromHours(1));
        await RouteFromAsync("joe@EXAMPLE.org", "example.org", ("d@one.example", ""));
        await RouteFromAsync("", "bob@example.com", ("e@three.example", ""));
        await Store.Queue.SetSiteAsync("one.example", "mx1.hosts.example,mx2.hosts.example:26");
        var tried = (await Store.Queue.ListDueAsync("two.example", Store.Time.GetUtcNow(), 10, default))[0];
        await Store.TakeAsync(7, "two.example", [tried], begun: true, default);
        await Store.Outcomes.RecordAsync(
            7, "two.example",
            [new RecipientDecision(Store.Result(tried, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 Mailbox full"), RecipientState.Queued, Store.Time.GetUtcNow().AddHours(1))], TimeSpan.Zero);
    }

    private async Task RouteFromAsync(string sender, string flow, params (string Address, string Original)[] recipients)
    {
        var id = await Store.Messages.NextMessageIdAsync(default);
        var message = new Envelope(id, sender, [.. recipients.Select(to => to.Address)], 1, BodyType.SevenBit, Store.Time.GetUtcNow(), "", flow);
        await using var writer = Store.Messages.CreateContent(id);
        await writer.AppendAsync("x"u8.ToArray(), default);
        await Store.Messages.AcceptAsync(message, writer, default);
        await Store.Queue.RouteAsync(
            [new RoutedMessage(message, [.. recipients.Select(to => new RoutedRecipient(to.Address, to.Original, to.Address.Split('@')[1], RecipientRoute.Remote))])]);
    }
}
