using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>Rules about mail that waits: what is typed is judged once, what they fit is what is told of it everywhere.</summary>
public sealed class RuleTests : IAsyncLifetime
{
    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private Rules Rules => _operator.Get<Rules>();

    public async ValueTask InitializeAsync() => _operator = await AdministrationFixture.OpenAsync();

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task What_a_dry_run_counts_is_what_is_held_and_nothing_is_written_before()
    {
        var queued = await _operator.QueueAsync("a@one.example", "b@two.example", "c@two.example");
        await _operator.ClaimAsync(1, queued[0]);
        var draft = new RuleDraft { Domain = "*.Example", Sender = "ANN@example.org", Why = "test" };
        var tried = Assert.IsType<RuleTried>(await AddAsync("hold", RuleAct.Hold, draft, isDryRun: true));
        Assert.Equal(new RuleCount(3, 1, 2, 3, IsExact: true), tried.Rule.Count);
        Assert.Empty((await Rules.ListAsync(Cancellation)).Rules);
        Assert.Empty(await HeldAsync());

        Assert.IsType<RuleAdded>(await AddAsync("hold", RuleAct.Hold, draft));
        // Who is being tried is not held.
        var held = await HeldAsync();
        Assert.Equal(["b@two.example", "c@two.example"], held.SelectMany(entry => entry.Recipients).Order());
        Assert.Equal(new HeldByOperator(_operator.Time.GetUtcNow(), "ann", "hold", "test"), held[0].Wait);
        var groups = await _operator.Queue.GroupAsync(WaitingBy.Reason, 20, Cancellation);
        Assert.Equal([("heldByOperator", 2L), ("beingTried", 1L)], groups.Groups.Select(group => (group.Key, group.Waiting)));
        var overview = await _operator.Queue.FindAsync(10, 10, Cancellation);
        Assert.Equal(new HeldByOperator(_operator.Time.GetUtcNow(), "ann", "hold", "test"), overview.Domains.Single(domain => domain.Domain == "two.example").Reason);
        var message = Assert.IsType<MessageFound>(await _operator.Messages.FindAsync(MessageIds.ToText(queued[0].MessageId), Cancellation));
        Assert.Equal([WaitKind.BeingTried, WaitKind.HeldByOperator, WaitKind.HeldByOperator], message.Recipients.Select(recipient => recipient.Wait!.Kind));

        Assert.IsType<RuleRemoved>(await Rules.RemoveAsync("hold", AdministrationFixture.By));
        Assert.Empty(await HeldAsync());
    }

    [Fact]
    public async Task A_suspended_destination_has_a_word_of_its_own_and_an_end()
    {
        await _operator.QueueAsync("a@one.example");
        var until = _operator.Time.GetUtcNow().AddHours(1);
        Assert.IsType<RuleAdded>(await AddAsync("quiet", RuleAct.Suspend, new() { Domain = "one.example", Until = until, Why = "test" }));
        var listing = await _operator.Queue.ListAsync(new() { Reason = WaitKind.Suspended }, null, 10, Cancellation);
        Assert.Equal(new Suspended(_operator.Time.GetUtcNow(), "ann", "quiet", "test", until), Assert.Single(listing.Entries).Wait);
        _operator.Time.Advance(TimeSpan.FromHours(1));
        Assert.Empty((await _operator.Queue.ListAsync(new() { Reason = WaitKind.Suspended }, null, 10, Cancellation)).Entries);
        Assert.Null((await Rules.ListAsync(Cancellation)).Rules[0].Count);
    }

    [Fact]
    public async Task What_is_changed_takes_the_place_of_what_was_said_and_the_rest_stays()
    {
        Assert.IsType<RuleAdded>(await AddAsync("slow", RuleAct.Rate, new() { Domain = "one.example", PerSecond = 5, Why = "test" }));
        var changed = Assert.IsType<RuleChanged>(await Rules.ChangeAsync("slow", new() { PerSecond = 50 }, endsNever: false, AdministrationFixture.By, Cancellation));
        Assert.Equal((5d, 50d, "one.example", "test"), (changed.Before.Rate, changed.Rule.Rule.Rate, changed.Rule.Rule.Conditions.Domain!.Text, changed.Rule.Rule.Why));
        Assert.IsType<NotARule>(await Rules.ChangeAsync("slow", new() { Sender = "a@example.org" }, endsNever: false, AdministrationFixture.By, Cancellation));
        Assert.IsType<NoSuchRule>(await Rules.ChangeAsync("fast", new() { PerSecond = 50 }, endsNever: false, AdministrationFixture.By, Cancellation));
        Assert.Equal(50, Assert.IsType<RuleFound>(await Rules.FindAsync("slow", Cancellation)).Rule.Rule.Rate);
    }

    [Fact]
    public async Task What_is_done_once_is_made_only_where_it_fits_something_and_is_not_changed()
    {
        var draft = new RuleDraft { Domain = "one.example", Text = "stopped", Why = "test" };
        Assert.IsType<RuleFitsNothing>(await AddAsync("stop", RuleAct.Bounce, draft));
        await _operator.QueueAsync("a@one.example");
        Assert.Equal(1, Assert.IsType<RuleAdded>(await AddAsync("stop", RuleAct.Bounce, draft)).Rule.Count!.Recipients);
        Assert.IsType<RuleAlreadyThere>(await AddAsync("stop", RuleAct.Bounce, draft));
        Assert.IsType<RuleIsDoneOnce>(await Rules.ChangeAsync("stop", new() { Text = "x" }, endsNever: false, AdministrationFixture.By, Cancellation));
    }

    private async Task<IReadOnlyList<QueueEntry>> HeldAsync() =>
        (await _operator.Queue.ListAsync(new() { Reason = WaitKind.HeldByOperator }, null, 10, Cancellation)).Entries;

    private Task<RuleResult> AddAsync(string name, RuleAct act, RuleDraft draft, bool isDryRun = false) =>
        Rules.AddAsync(name, act, draft, isDryRun, AdministrationFixture.By, Cancellation);
}
