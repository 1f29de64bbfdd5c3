using System.Text;
using MailPipeline.Delivery.Batches;
using MailPipeline.Mail;

namespace MailPipeline.Delivery.Tests;

/// <summary>A final dot is sent only when storage knows that it may have been.</summary>
public sealed class DotNoteTests
{
    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING

        """;

    private const string ToTheContent = Hello +
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 Ok
        S: 250 Ok
        S: 354 Go on
        ! signal

        """;

    [Theory]
    [InlineData(true, 1)]
    [InlineData(false, 1)]
    [InlineData(true, 300)]
    [InlineData(false, 300)]
    public async Task No_dot_is_sent_of_which_storage_does_not_know(bool isLost, int kilobytes)
    {
        var asked = new TaskCompletionSource();
        await using var server = new ScriptedServer([ToTheContent, ToTheContent]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Claims.DotGate = asked.Task;
        var running = bench.RunAsync(bench.Message(Content(kilobytes)));
        await server.Signal.Task.WaitAsync(TimeSpan.FromSeconds(10));

        if (isLost)
            bench.Claims.LostClaims.Add(FakeClaims.IdFor(77));
        else
            bench.Claims.IsAway = true;
        asked.SetResult();

        Assert.Equal([isLost ? "NotAttempted 4.0.0" : "Deferred 4.3.0"], Bench.Outcomes(await running));
        await server.DrainedAsync();
        Assert.DoesNotContain(".", server.Surplus);
    }

    [Fact]
    public async Task What_storage_is_told_of_is_the_message_and_a_few_behind_it_and_goes_along_with_the_batch()
    {
        const int Messages = 40;
        var told = new TaskCompletionSource();
        await using var server = new ScriptedServer(Script(Messages)) { Gate = told.Task };
        await using var bench = new Bench();
        bench.RouteTo(server);
        var messages = Enumerable.Range(1, Messages).Select(number => bench.Message($"m{number}\r\n")).ToArray();
        var running = bench.RunAsync(messages);

        await server.Signal.Task.WaitAsync(TimeSpan.FromSeconds(10));
        var first = bench.Claims.Dots;
        told.SetResult();

        var report = await running;
        Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        Assert.Equal(messages.Take(first.Count).Select(message => message[0].RecipientId), first.Order());
        Assert.InRange(first.Count, 2, 2 + DotNotes.MessagesAhead);
        Assert.Equal(messages.Select(message => message[0].RecipientId), bench.Claims.EverNoted.Order());
        // Whose delivery is recorded is in no doubt, and so not named again.
        Assert.DoesNotContain(messages[0][0].RecipientId, bench.Claims.Dots);
        Assert.Null(bench.Claims.Finished);
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(9, 1)]
    [InlineData(40, 8)]
    public async Task Small_messages_share_notes(int count, int most)
    {
        await using var server = new ScriptedServer(Script(Hello, [.. Enumerable.Repeat(2, count)]));
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync([.. Enumerable.Repeat(2, count).Select(size => bench.Message(Content(size)))]);
        Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        Assert.InRange(bench.Claims.DotNotes, 1, most);
        await server.FinishAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Who_is_named_has_little_left_to_be_sent_before_his_dot(bool pipelining)
    {
        // In KB.
        int[] sizes = [2, 300, 2, 2, 40, 20, 20, 200, 200, 2];
        var hello = pipelining ? Hello : Hello.Replace("PIPELINING", "8BITMIME", StringComparison.Ordinal);
        await using var server = new ScriptedServer(Script(hello, sizes, pipelining));
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Content.ChunkBytes = 8 * 1024;
        var messages = sizes.Select(size => bench.Message(Content(size))).ToArray();
        var reading = 0;
        var tooEarly = new List<string>();
        bench.Content.OnRead = id => reading = (int)id - 1;
        // Whatever stands before this position is handed to the connection.
        bench.Content.OnChunk = position =>
        {
            for (var i = reading; i < sizes.Length; i++)
            {
                var left = (sizes[reading..(i + 1)].Sum() * 1024) - position;
                if (left > DotNotes.BytesAhead && bench.Claims.EverNoted.Contains(messages[i][0].RecipientId))
                    tooEarly.Add($"message {i + 1}, at octet {position} of message {reading + 1}");
            }
        };

        var report = await bench.RunAsync(messages);

        Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Delivered, result.Outcome));
        Assert.Equal([], tooEarly);
        Assert.Equal(messages.Select(message => message[0].RecipientId), bench.Claims.EverNoted.Order());
        await server.FinishAsync();
    }

    [Fact]
    public async Task Who_was_refused_is_not_in_doubt()
    {
        var script = new StringBuilder(Hello);
        for (var number = 1; number <= 12; number++)
            script.Append(null, $"C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user{number}@example.net>\nC: DATA\nS: 250 Ok\nS: 450 Later\nS: 503 No\n{(number < 12 ? "C: RSET\nS: 250 Ok\n" : "")}");
        await using var server = new ScriptedServer(script.ToString());
        await using var bench = new Bench();
        bench.RouteTo(server);
        var messages = Enumerable.Range(1, 12).Select(number => bench.Message($"m{number}\r\n")).ToArray();
        var report = await bench.RunAsync(messages);

        Assert.All(report.Results, result => Assert.Equal(AttemptOutcome.Deferred, result.Outcome));
        Assert.DoesNotContain(messages[0][0].RecipientId, bench.Claims.Dots);
        Assert.DoesNotContain(messages[7][0].RecipientId, bench.Claims.Dots);
        Assert.Equal((0, 12), (bench.Claims.Finished!.Value.Uncertain.Count, bench.Claims.Finished.Value.Tried.Count));
    }

    /// <summary>Takes them all; signals and waits when the first dot has come.</summary>
    private static string Script(int messages)
    {
        var script = new StringBuilder(Hello).Append(Commands(1)).Append("S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n");
        for (var number = 1; number <= messages; number++)
        {
            script.Append(null, $"C: m{number}\nC: .\n");
            if (number < messages)
                script.Append(Commands(number + 1));
            if (number == 1)
                script.Append("! signal\n! wait\n");
            script.Append("S: 250 Taken\n");
            if (number < messages)
                script.Append("S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n");
        }

        return script.Append("C: QUIT\nS: 221 Bye\n").ToString();
    }

    /// <summary>1 KB with its end.</summary>
    private static string Line { get; } = new('x', 1022);

    private static string Content(int kilobytes) => string.Concat(Enumerable.Repeat(Line + "\r\n", kilobytes));

    /// <summary>Takes messages of so many KB.</summary>
    private static string Script(string hello, int[] sizes, bool pipelining = true)
    {
        const string Ready = "S: 250 Ok\nS: 250 Ok\nS: 354 Go on\n";
        var script = new StringBuilder(hello);
        for (var number = 1; number <= sizes.Length; number++)
        {
            if (!pipelining)
                script.Append(Stepwise(number));
            else if (number == 1)
                script.Append(Commands(1)).Append(Ready);
            script.Insert(script.Length, $"C: {Line}\n", sizes[number - 1]).Append("C: .\n");
            if (pipelining && number < sizes.Length)
                script.Append(Commands(number + 1)).Append("S: 250 Taken\n").Append(Ready);
            else
                script.Append("S: 250 Taken\n");
        }

        return script.Append("C: QUIT\nS: 221 Bye\n").ToString();
    }

    private static string Commands(int number) => $"C: MAIL FROM:<sender@example.com>\nC: RCPT TO:<user{number}@example.net>\nC: DATA\n";

    private static string Stepwise(int number) =>
        $"C: MAIL FROM:<sender@example.com>\nS: 250 Ok\nC: RCPT TO:<user{number}@example.net>\nS: 250 Ok\nC: DATA\nS: 354 Go on\n";
}
