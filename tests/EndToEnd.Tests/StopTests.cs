using System.Net.Sockets;
using MailPipeline.Testing;

namespace MailPipeline.EndToEnd.Tests;

/// <summary>SIGTERM while each part has something under way: all end in order, none at the cost of another.</summary>
public sealed class StopTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Doors_close_at_once_and_what_is_under_way_ends_while_a_far_end_is_slow_to_answer()
    {
        await using var pipeline = new Pipeline("stop");
        var mayAnswer = new TaskCompletionSource();
        pipeline.AddSink("slow.example", new() { AtDot = (_, _, _) => SinkStep.AcceptWhen(mayAnswer.Task) });
        await pipeline.StartAsync(["ann"], ["--Delivery:Timeouts:FinalDot=00:00:15"], Cancellation);
        await pipeline.SendAsync([LedgerMessage.Create("outbound", "", 1, 1000, new ExpectedRecipient("r@slow.example"))], Cancellation);
        await Eventually.TrueAsync(
            async () => (await pipeline.Arrived.ReadAsync(Cancellation)).OfType<Arrival>().Any(), TimeSpan.FromSeconds(20), cancellation: Cancellation);
        await using var idle = await SmtpDialogue.OpenAsync(pipeline.MxLogin, Cancellation);
        await using var busy = await SmtpDialogue.OpenAsync(pipeline.MxLogin, Cancellation);
        await busy.ExpectAsync("MAIL FROM:<sender@senders.example>", 250, Cancellation);
        await busy.ExpectAsync($"RCPT TO:<ann@{Pipeline.LocalDomain}>", 250, Cancellation);
        await busy.ExpectAsync("DATA", 354, Cancellation);
        await busy.Wire.WriteAsync("Subject: half\r\n", Cancellation);

        var stopping = pipeline.Server.StopAsync();
        Assert.Equal(421, (await idle.Wire.ReadReplyAsync(Cancellation))?.Code);
        await busy.Wire.WriteAsync("\r\nwhole\r\n.\r\n", Cancellation);
        Assert.Equal(250, (await busy.Wire.ReadReplyAsync(Cancellation))?.Code);
        await Assert.ThrowsAnyAsync<SocketException>(() => SmtpDialogue.OpenAsync(pipeline.MxLogin, Cancellation));
        Assert.False(stopping.IsCompleted, "it did not wait for the far end");
        mayAnswer.SetResult();

        Assert.True(await stopping, pipeline.Server.Process.Output);
        Assert.Equal(0, pipeline.Server.Process.ExitCode);
        Assert.Equal(1, pipeline.Count("SELECT COUNT(*) FROM recipients WHERE domain = 'slow.example' AND state = 1 AND attempts = 1"));
        Assert.Empty(pipeline.ListUncertain());
    }
}
