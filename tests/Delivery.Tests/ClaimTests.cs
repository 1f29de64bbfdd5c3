using MailPipeline.Mail;
using MailPipeline.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Delivery.Tests;

/// <summary>One owner per attempt, also for a process that was stopped and woke up.</summary>
public sealed class ClaimTests
{
    private const string Hello =
        """
        S: 220 mx.example.net ESMTP
        C: EHLO client.example.com
        S: 250-mx.example.net
        S: 250 PIPELINING

        """;

    private const string First = Hello +
        """
        C: MAIL FROM:<sender@example.com>
        C: RCPT TO:<user1@example.net>
        C: DATA
        S: 250 Ok
        S: 250 Ok

        """;

    [Fact]
    public async Task Recipients_whose_claim_is_not_won_are_not_tried()
    {
        await using var server = new ScriptedServer([]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        bench.Claims.Refused.Add(message[0].RecipientId);
        var report = await bench.RunAsync(message);
        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.False(report.Unreachable);
        Assert.True(report.NothingWon);
        Assert.Equal(0, server.Connections);
    }

    [Fact]
    public async Task What_asks_for_something_unknown_is_left_to_other_workers()
    {
        const BodyType Later = (BodyType)(1 << 16);
        await using var server = new ScriptedServer(
            "S: 220 mx\n* EHLO\nS: 250 mx\n* MAIL\nS: 250 Ok\n* RCPT\nS: 250 Ok\n* DATA\nS: 354 Go on\nC: two\nC: .\nS: 250 Taken\n* QUIT\nS: 221 Bye\n");
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n", body: Later | BodyType.EightBitMime));
        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.True(report.NothingWon);
        Assert.Equal(0, server.Connections);

        // What is known goes, with whatever else is written beside it.
        report = await bench.RunAsync(bench.Message("one\r\n", body: Later), bench.Message("two\r\n", body: (BodyType)(1 << 15)));
        Assert.Equal(["NotAttempted 4.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
        await server.FinishAsync();
    }

    [Fact]
    public async Task Without_storage_nothing_is_tried()
    {
        await using var server = new ScriptedServer([]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Claims.IsAway = true;
        Assert.Null(await bench.TryRunAsync(bench.Message("one\r\n")));
        Assert.Equal(0, server.Connections);
    }

    [Fact]
    public async Task A_batch_that_comes_again_while_its_claim_is_held_is_neither_tried_nor_reported()
    {
        await using var server = new ScriptedServer([]);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        bench.Claims.Refused.Add(message[0].RecipientId);
        bench.Claims.IsHeld = true;
        Assert.Null(await bench.TryRunAsync(message));
        Assert.Equal(0, server.Connections);
    }

    [Fact]
    public async Task A_zombie_does_not_send_the_dot()
    {
        await using var server = new ScriptedServer(First + "! signal\nS: 354 Go on");
        await using var bench = new Bench(time: new FakeTimeProvider());
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        // The process stands still for longer than its lease while it reads the content.
        bench.Content.OnRead = _ => bench.Clock.Advance(TimeSpan.FromSeconds(13));
        var report = await bench.RunAsync(message);
        Assert.Equal(["NotAttempted 4.0.0"], Bench.Outcomes(report));
        // Handing back is the right of him who won.
        Assert.False(report.NothingWon);
        Assert.Empty(bench.Claims.Recorded);
        Assert.DoesNotContain(".", server.Surplus);
    }

    [Fact]
    public async Task A_lost_claim_ends_the_batch_before_the_next_message()
    {
        await using var server = new ScriptedServer(
            """
            S: 220 mx.example.net
            * EHLO
            S: 250 mx.example.net
            * MAIL
            S: 250 Ok
            * RCPT
            S: 250 Ok
            * DATA
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            C: QUIT
            S: 221 Bye
            """);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var one = bench.Message("one\r\n");
        var two = bench.Message("two\r\n");
        bench.Claims.OnRecord = () =>
        {
            bench.Claims.LostClaims.Add(FakeClaims.IdFor(77));
            bench.Renewal.RenewAllAsync(CancellationToken.None).GetAwaiter().GetResult();
        };
        using var lost = bench.Collect("mailpipeline.delivery.claims.lost");
        var report = await bench.RunAsync(one, two);
        await server.FinishAsync();
        Assert.Equal(["Delivered 2.0.0", "NotAttempted 4.0.0"], Bench.Outcomes(report));
        Assert.Equal(1, Assert.Single(lost.GetMeasurementSnapshot()).Value);
    }

    [Fact]
    public async Task Claims_are_renewed_every_third_of_the_lease_while_a_batch_runs()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\n! hang");
        var clock = new PeriodicClock();
        await using var bench = new Bench(time: clock);
        bench.RouteTo(server);
        await bench.Renewal.StartAsync(CancellationToken.None);
        // A service begins on a thread of its own: without its timer, time passes unnoticed.
        await clock.Ticks.Task.WaitAsync(TimeSpan.FromSeconds(30));
        var running = bench.RunAsync(bench.Message("one\r\n"));
        await server.Signal.Task;
        for (var i = 1; i <= 6; i++)
        {
            bench.Clock.Advance(TimeSpan.FromSeconds(5));
            await Eventually.TrueAsync(() => bench.Claims.Renewals == i, TimeSpan.FromSeconds(30));
        }

        bench.Clock.Advance(bench.Options.Timeouts.FinalDot);
        Assert.Equal(["Uncertain 4.4.2"], Bench.Outcomes(await running));
        await bench.Renewal.StopAsync(CancellationToken.None);
        Assert.Equal(0, bench.Renewal.Count);
    }

    [Theory]
    [InlineData("uncertain")]
    [InlineData("unrecorded")]
    [InlineData("claims.lost")]
    public async Task What_alarms_go_by_is_there_before_the_first_event(string counter)
    {
        await using var bench = new Bench();
        using var counted = bench.Collect("mailpipeline.delivery." + counter);
        await bench.Renewal.StartAsync(CancellationToken.None);
        await counted.WaitForMeasurementsAsync(1, TimeSpan.FromSeconds(30));
        Assert.Equal(0, Assert.Single(counted.GetMeasurementSnapshot()).Value);
        await bench.Renewal.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task A_claim_that_cannot_be_renewed_ends_by_the_clock()
    {
        var time = new FakeTimeProvider();
        await using var bench = new Bench(time: time);
        var claim = bench.Renewal.Begin(1, time.GetTimestamp());
        Assert.True(claim.IsValid);
        bench.Claims.IsAway = true;
        time.Advance(TimeSpan.FromSeconds(11));
        await Assert.ThrowsAsync<IOException>(() => bench.Renewal.RenewAllAsync(CancellationToken.None));
        Assert.True(claim.IsValid);
        // A fifth of the lease is kept back.
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.False(claim.IsValid);
        bench.Claims.IsAway = false;
        await bench.Renewal.RenewAllAsync(CancellationToken.None);
        Assert.True(claim.IsValid);
        Assert.False(claim.IsLost);
    }

    [Fact]
    public async Task A_delivery_is_recorded_until_storage_takes_it()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\nS: 250 Taken");
        await using var bench = new Bench();
        using var retries = bench.Collect("mailpipeline.delivery.record.retries");
        bench.RouteTo(server);
        bench.Claims.FailingRecords = 2;
        var report = await bench.RunAsync(bench.Message("one\r\n"));
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.Single(bench.Claims.Recorded);
        Assert.Equal(2, retries.GetMeasurementSnapshot().Sum(measurement => measurement.Value));
    }

    [Fact]
    public async Task A_delivery_that_storage_refuses_for_its_words_is_recorded_without_them()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\nS: 250 Taken");
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Claims.RefusedReply = "250 Taken";
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Equal("250 (the reply could not be stored)", Assert.Single(bench.Claims.Recorded).Reply);
    }

    [Fact]
    public async Task A_delivery_without_its_words_is_recorded_until_storage_takes_it()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\nS: 250 Taken");
        await using var bench = new Bench();
        using var unrecorded = bench.Collect("mailpipeline.delivery.unrecorded");
        bench.RouteTo(server);
        bench.Claims.RefusedReply = "250 Taken";
        bench.Claims.FailingRecords = 2;
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
        Assert.Single(bench.Claims.Recorded);
        Assert.Empty(unrecorded.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task A_delivery_that_storage_refuses_in_any_form_is_not_repeated_for_ever()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\nS: 250 Taken");
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Claims.RefusedReply = "250 ";
        Assert.Equal(["Uncertain 4.4.2"], Bench.Outcomes(await bench.RunAsync(bench.Message("one\r\n"))));
    }

    [Fact]
    public async Task A_delivery_whose_claim_is_gone_is_reported_as_uncertain_and_counted()
    {
        await using var server = new ScriptedServer(First + "S: 354 Go on\nC: one\nC: .\nS: 250 Taken");
        await using var bench = new Bench();
        using var uncertain = bench.Collect("mailpipeline.delivery.uncertain");
        using var unrecorded = bench.Collect("mailpipeline.delivery.unrecorded");
        bench.RouteTo(server);
        var message = bench.Message("one\r\n");
        bench.Claims.Unrecordable.Add(message[0].RecipientId);
        var report = await bench.RunAsync(message);
        Assert.Equal(["Uncertain 4.4.2"], Bench.Outcomes(report));
        Assert.Single(uncertain.GetMeasurementSnapshot());
        Assert.Single(unrecorded.GetMeasurementSnapshot());
    }

    [Fact]
    public async Task The_next_message_does_not_wait_for_the_record_of_the_one_before()
    {
        var record = new TaskCompletionSource();
        await using var server = new ScriptedServer(First +
            """
            S: 354 Go on
            C: one
            C: .
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Taken
            S: 250 Ok
            S: 250 Ok
            S: 354 Go on
            C: two
            C: .
            ! signal
            S: 250 Taken
            """);
        await using var bench = new Bench();
        bench.RouteTo(server);
        bench.Claims.RecordGate = record.Task;
        var running = bench.RunAsync(bench.Message("one\r\n"), bench.Message("two\r\n"));
        await server.Signal.Task.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.False(running.IsCompleted);
        record.SetResult();
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(await running));
    }

    [Fact]
    public async Task The_record_of_the_last_delivery_ends_the_claim_and_a_renewal_beside_it_calls_nothing_lost()
    {
        await using var server = new ScriptedServer(First +
            """
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            C: QUIT
            S: 221 Bye
            """);
        await using var bench = new Bench();
        bench.RouteTo(server);
        using var lost = bench.Collect("mailpipeline.delivery.claims.lost");
        var message = bench.Message("one\r\n");
        bench.Claims.OnRecord = () =>
        {
            // Storage has committed, and the worker does not know it yet.
            bench.Claims.LostClaims.Add(FakeClaims.IdFor(77));
            bench.Renewal.RenewAllAsync(CancellationToken.None).GetAwaiter().GetResult();
            bench.Claims.LostClaims.Clear();
        };
        var report = await bench.RunAsync(message);

        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
        Assert.True(report.HasEnded);
        Assert.Equal([message[0].RecipientId], bench.Claims.EndedWith);
        Assert.DoesNotContain(lost.GetMeasurementSnapshot(), measured => measured.Value > 0);
    }

    [Fact]
    public async Task A_claim_with_somebody_left_to_report_of_does_not_end_with_the_record()
    {
        await using var server = new ScriptedServer(Hello +
            """
            C: MAIL FROM:<sender@example.com>
            C: RCPT TO:<user1@example.net>
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 Ok
            S: 250 Ok
            S: 550 5.1.1 No
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            C: QUIT
            S: 221 Bye
            """);
        await using var bench = new Bench();
        bench.RouteTo(server);
        var report = await bench.RunAsync(bench.Message("one\r\n", ["user1@example.net", "user2@example.net"]));

        Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1"], Bench.Outcomes(report));
        Assert.False(report.HasEnded);
        Assert.Null(bench.Claims.EndedWith);
    }

    /// <summary>Knows when a timer that ticks was made.</summary>
    private sealed class PeriodicClock : FakeTimeProvider
    {
        public TaskCompletionSource Ticks { get; } = new();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = base.CreateTimer(callback, state, dueTime, period);
            if (period != Timeout.InfiniteTimeSpan)
                Ticks.TrySetResult();
            return timer;
        }
    }
}
