using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>What an operator does to mail on its way, and what he is told of it.</summary>
public sealed class MailTests : IAsyncLifetime
{
    private AdministrationFixture _operator = null!;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _operator = await AdministrationFixture.OpenAsync();

    public ValueTask DisposeAsync() => _operator.DisposeAsync();

    [Fact]
    public async Task A_message_is_held_released_and_removed_under_the_operators_name()
    {
        var recipients = await _operator.QueueAsync("a@example.net", "b@example.net");
        var id = recipients[0].MessageId;
        var text = MessageIds.ToText(id);

        Assert.Equal(new MessageChanged(id, OperatorAction.Held, 2), await _operator.Messages.HoldAsync(text, new("ann"), Cancellation));
        Same(
            new NothingToChange(id, [new(RecipientState.Held, 2)]), await _operator.Messages.HoldAsync(text, new("ann"), Cancellation));
        var found = Assert.IsType<MessageFound>(await _operator.Messages.FindAsync(text, Cancellation));
        Assert.Equal(new HeldByOperator(_operator.Time.GetUtcNow(), "ann"), found.Recipients[0].Wait);
        Assert.Equal(new MessageChanged(id, OperatorAction.Released, 2), await _operator.Messages.ReleaseAsync(text, new("bob"), Cancellation));

        await _operator.ClaimAsync(7, recipients[0]);
        Assert.Equal(
            new MessageChangedInPart(id, OperatorAction.Removed, 1, BeingTried: 1), await _operator.Messages.RemoveAsync(text, new("joe"), Cancellation));
        found = Assert.IsType<MessageFound>(await _operator.Messages.FindAsync(text, Cancellation));
        Assert.Equal([new BeingTried(), null], found.Recipients.Select(recipient => recipient.Wait));
        Assert.Equal(["ann", "bob", "joe"], found.Message.Audit.Select(change => change.Operator));
    }

    [Fact]
    public async Task A_message_that_is_not_routed_or_not_there_says_so()
    {
        var id = (await _operator.AcceptAsync("a@example.net")).MessageId;

        Assert.Equal(new NotRouted(), Assert.IsType<MessageFound>(await _operator.Messages.FindAsync(MessageIds.ToText(id), Cancellation)).Wait);
        Assert.Equal(new MessageNotRouted(id), await _operator.Messages.HoldAsync(MessageIds.ToText(id), new("ann"), Cancellation));
        Assert.Equal(new NoSuchMessage(0x1E240), await _operator.Messages.FindAsync("1E240", Cancellation));
        Assert.Equal(new NoSuchMessage(0x1E240), await _operator.Messages.RemoveAsync("1E240", new("ann"), Cancellation));
        Assert.Equal(new NotAMessageId("xyz"), await _operator.Messages.ReleaseAsync("xyz", new("ann"), Cancellation));
    }

    [Fact]
    public async Task Delivery_is_paused_and_resumed_once_and_by_somebody()
    {
        await _operator.QueueAsync("a@example.net");
        Assert.Equal(new DeliveryNotPaused(), await _operator.Queue.ResumeAsync(AdministrationFixture.By));
        Assert.Equal(new DeliveryPausedNow(), await _operator.Queue.PauseAsync(new("ann")));
        Assert.Equal(new DeliveryPausedAlready(), await _operator.Queue.PauseAsync(new("bob")));
        var pause = new Paused(_operator.Time.GetUtcNow(), "ann");

        var queue = await _operator.Queue.FindAsync(10, 10, Cancellation);
        Assert.Equal(pause, queue.Pause);
        Assert.Equal(pause, Assert.Single(queue.Domains).Reason);
        _operator.Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(new DeliveryResumed(pause), await _operator.Queue.ResumeAsync(AdministrationFixture.By));
    }

    [Fact]
    public async Task The_queue_counts_all_and_names_those_that_most_waits_for()
    {
        var now = _operator.Time.GetUtcNow();
        var trying = await _operator.QueueAsync("a@example.net", "b@example.net", "c@example.net");
        var held = await _operator.QueueAsync("d@example.com", "e@example.com");
        await _operator.QueueAsync("f@example.com", "g@example.com");
        await _operator.QueueAsync("h@example.org");
        await _operator.AcceptAsync("i@example.org");
        await _operator.Messages.HoldAsync(MessageIds.ToText(held[0].MessageId), new("ann"), Cancellation);
        var claim = await _operator.ClaimAsync(7, trying[0]);
        await _operator.Get<OutcomeStore>().RecordAsync(
            claim.Id, "example.net",
            [new(new(trying[0].RecipientId, AttemptOutcome.Deferred, "4.2.2", "452 4.2.2 mailbox full", "", now, now), RecipientState.Queued, now.AddHours(1))],
            TimeSpan.Zero);
        await _operator.ClaimAsync(8, trying[1], trying[2]);
        await _operator.Get<QueueStore>().SetBackoffAsync("example.com", new DomainBackoff(3, now.AddMinutes(5), "no route to host"));

        var queue = await _operator.Queue.FindAsync(2, 10, Cancellation);

        Assert.Equal((6, 1, 1, 2), (queue.Waiting, queue.Unrouted, queue.Batches, queue.Held));
        Assert.Equal([new HeldMessage(held[0].MessageId, 2)], queue.HeldMessages);
        Assert.Equal(
            [
                new DomainWait("example.net", 3, 2, new NextAttempt(now.AddHours(1)), 0, "452 4.2.2 mailbox full") { OldestAt = now },
                new DomainWait("example.com", 2, 0, new BacksOff(now.AddMinutes(5), "no route to host", now.AddMinutes(5)), 3, "no route to host") { OldestAt = now },
            ],
            queue.Domains);
        Assert.True(queue.HasMoreDomains);
    }

    // Records compare lists by reference.
    private static void Same(MessageResult expected, MessageResult actual) => Assert.Equivalent(expected, actual, strict: true);
}
