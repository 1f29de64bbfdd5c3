using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>A far end that hangs up after each dot, without a word: how many copies it gets, and what becomes of the mail.</summary>
public sealed class UncertainTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(3)]
    [InlineData(1)]
    public async Task It_gets_no_more_copies_than_the_setting_says_and_then_the_mail_waits_for_an_operator(int most)
    {
        await using var pipeline = new Pipeline("uncertain");
        pipeline.AddSink("close.example", new() { AtDot = (_, _, _) => SinkStep.Close });
        pipeline.AddSink("good.example");
        // By default it is three.
        await pipeline.StartAsync(["ann"], [.. Pipeline.Impatient, .. most == 3 ? (string[])[] : [$"--Queue:Uncertain:Most={most}"]], Cancellation);
        await pipeline.SendAsync([LedgerMessage.Create("hung-up", "", 1, 1000, new ExpectedRecipient("r@close.example"))], Cancellation);
        await pipeline.SendAsync([LedgerMessage.Create("beside", "", 1, 1000, new ExpectedRecipient("r@good.example"))], Cancellation);

        await Eventually.TrueAsync(
            () => Task.FromResult(pipeline.Count("SELECT COUNT(*) FROM recipients WHERE state = 5") == 1), TimeSpan.FromSeconds(60), cancellation: Cancellation);
        Assert.Equal(most, (await pipeline.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Count(arrival => arrival.Token == "hung-up"));
        Assert.Equal(most, pipeline.ListUncertain().Count);
        Assert.Equal(1, pipeline.Count("SELECT COUNT(*) FROM recipients WHERE domain = 'good.example' AND state = 1"));
    }
}
