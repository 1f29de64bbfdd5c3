namespace MailPipeline.Mail.Tests;

/// <summary>How many messages a source address may send on a day, for all processes together.</summary>
public abstract partial class StoreTests
{
    private const string New = "192.0.2.10";

    [Fact]
    public async Task No_more_of_a_days_plan_is_given_out_than_there_is()
    {
        var days = new SourceDayStore(Store.Database);
        // Some ahead, as there is no mail for so many: a twentieth of what is left.
        Assert.Equal(10, await days.TakeAsync(New, 20_000, wanted: 1, plan: 200));
        Assert.Equal(100, await days.TakeAsync(New, 20_000, wanted: 100, plan: 200));
        Assert.Equal(90, await days.TakeAsync(New, 20_000, wanted: 100, plan: 200));
        Assert.Equal(0, await days.TakeAsync(New, 20_000, wanted: 1, plan: 200));
        // Another day, and another address.
        Assert.Equal(1, await days.TakeAsync(New, 20_001, wanted: 1, plan: 1));
        Assert.Equal(1, await days.TakeAsync("2001:db8::1", 20_000, wanted: 1, plan: 1));
        // A plan that was made smaller meanwhile.
        Assert.Equal(0, await days.TakeAsync(New, 20_000, wanted: 1, plan: 50));
    }

    /// <summary>What a process that was killed had taken is never given out again, and what one that ended in order had left is.</summary>
    [Fact]
    public async Task What_a_process_has_taken_is_its_own_until_it_gives_it_back()
    {
        var days = new SourceDayStore(Store.Database);
        var killed = await days.TakeAsync(New, 20_000, wanted: 30, plan: 100);
        var other = await days.TakeAsync(New, 20_000, wanted: 100, plan: 100);
        Assert.Equal((30, 70), (killed, other));
        await days.GiveBackAsync(New, 20_000, 20);
        Assert.Equal(20, await days.TakeAsync(New, 20_000, wanted: 100, plan: 100));
        // Nobody gives back more than was taken.
        await days.GiveBackAsync(New, 20_000, 101);
        Assert.Equal(0, await days.TakeAsync(New, 20_000, wanted: 1, plan: 100));
    }

    [Fact]
    public async Task Processes_that_take_at_once_get_the_plan_between_them()
    {
        var days = new SourceDayStore(Store.Database);
        var taken = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => days.TakeAsync(New, 20_000, wanted: 7, plan: 100)));
        Assert.Equal(100, taken.Sum());
    }

    [Fact]
    public async Task Days_of_long_ago_are_forgotten_when_another_begins()
    {
        var days = new SourceDayStore(Store.Database);
        await days.TakeAsync(New, 20_000, wanted: 1, plan: 1);
        await days.TakeAsync("192.0.2.11", 20_000, wanted: 1, plan: 1);
        await days.TakeAsync(New, 20_030, wanted: 1, plan: 1);
        Assert.Equal(3, await Store.CountRowsAsync("source_days"));
        await days.TakeAsync(New, 20_031, wanted: 1, plan: 1);
        Assert.Equal(3, await Store.CountRowsAsync("source_days"));
    }
}
