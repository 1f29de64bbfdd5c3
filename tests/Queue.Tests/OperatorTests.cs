using MailPipeline.Mail;


namespace MailPipeline.Queue.Tests;

/// <summary>What an operator does to mail on its way.</summary>
public sealed class OperatorTests
{
    [Fact]
    public async Task Delivery_is_paused_and_resumed_while_the_process_runs()
    {
        await using var queue = await QueueUnderTest.StartAsync();
        await queue.Directory.AddDomainAsync("example.org");
        await queue.Directory.AddAccountAsync("ann@example.org", "hash");
        await queue.OutcomeOfAsync(await queue.AcceptAsync(hint: true, "sender@example.org", "before@example.net"));

        Assert.True(await queue.Operator.PauseDeliveryAsync(new("ann")));
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("paused") == 1), "the process has seen the pause");
        var (first, second) = (
            await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net", "ann@example.org"),
            await queue.AcceptAsync(hint: false, "sender@example.org", "b@example.net"));
        // Routed, counted as due, and given to nobody.
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("due", ("waits_for", "resume")) == 3), "three recipients wait for the end of the pause");
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        Assert.Empty(await queue.MaildropAsync("ann@example.org"));

        Assert.NotNull(await queue.Operator.ResumeDeliveryAsync(new("ann")));
        Assert.All((await queue.OutcomeOfAsync(first)).Recipients, recipient => Assert.Equal(RecipientState.Delivered, recipient.State));
        await queue.OutcomeOfAsync(second);
        Assert.Single(await queue.MaildropAsync("ann@example.org"));
        Assert.Equal(0, queue.Gauge("paused"));
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_process_that_begins_during_a_pause_hands_nothing_out_before_its_end()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: store => store.Operator.PauseDeliveryAsync(new("ann")));
        var id = await queue.AcceptAsync(hint: true, "sender@example.org", "a@example.net");
        await Until.TrueAsync(() => Task.FromResult(queue.Gauge("due", ("waits_for", "resume")) == 1), "the recipient waits for the end of the pause");
        Assert.Empty(queue.Worker.Commands);

        await queue.Operator.ResumeDeliveryAsync(new("ann"));
        await queue.OutcomeOfAsync(id);
        await queue.DrainedAsync();
    }

    [Fact]
    public async Task A_held_message_waits_and_a_removed_one_ends_without_a_report()
    {
        await using var queue = await QueueUnderTest.StartAsync(before: store => store.Operator.PauseDeliveryAsync(new("ann")));
        var held = await queue.AcceptAsync(hint: true, "sender@example.org", "held@example.net");
        var removed = await queue.AcceptAsync(hint: true, "sender@example.org", "removed@example.net");
        var other = await queue.AcceptAsync(hint: true, "sender@example.org", "other@example.net");
        await Until.TrueAsync(async () => await queue.CountAsync() is { Queued: 3 }, "all are routed");
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.HoldAsync(held, new("ann")));
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.RemoveAsync(removed, new("ann")));
        await queue.Operator.ResumeDeliveryAsync(new("ann"));

        await queue.OutcomeOfAsync(other);
        Assert.Equal(1, queue.Worker.AttemptsAt("example.net"));
        Assert.Equal(RecipientState.Held, Assert.Single((await queue.History.FindAsync(held, default))!.Recipients).State);
        Assert.Equal(new OperatorChange(1, 0), await queue.Operator.ReleaseAsync(held, new("ann")));
        await Until.TrueAsync(
            async () => (await queue.History.FindAsync(held, default))!.Recipients[0].State == RecipientState.Delivered, "the released message is delivered");
        await queue.DrainedAsync();
        Assert.Equal(3, (await queue.CountAsync()).Messages);
        Assert.Equal(2, queue.Worker.AttemptsAt("example.net"));
    }
}
