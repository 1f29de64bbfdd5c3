using MailPipeline.Mail;
using MailPipeline.Standalone.Commands;

namespace MailPipeline.Standalone.Tests;

public sealed class TimelineTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    private static readonly Waiting s_nothing = new(s_noon, Pause: null, new Dictionary<string, DomainStanding>());

    [Fact]
    public async Task A_timeline_tells_of_acceptance_routing_attempts_and_outcome()
    {
        var id = RecipientIds.Of(0x1E240, 0);
        var message = new MessageTimeline(0x1E240, s_noon, "ann@example.org", 2048, [],
        [
            new RecipientTimeline(id, "bob@example.net", "team@example.org", "example.net", RecipientRoute.Remote, RecipientState.Delivered,
                s_noon, Claimed: false, s_noon.AddMinutes(10),
                [
                    new AttemptResult(id, AttemptOutcome.Deferred, "4.4.1", "no answer\r\n\u001b[31m", "", s_noon, s_noon.AddSeconds(30)),
                    new AttemptResult(id, AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 queued as 7", "mx.example.net[192.0.2.1]:25", s_noon.AddMinutes(10), s_noon.AddMinutes(10).AddMilliseconds(12)),
                ]),
        ]);

        Assert.Equal(
            """
            2030-01-02T12:00:00.000Z accepted as 1E240 from <ann@example.org>, 2 KiB
                                     routed to <bob@example.net> (was <team@example.org>), by SMTP
            2030-01-02T12:00:30.000Z   attempt 1: deferred 4.4.1 no answer   [31m (30.000 s)
            2030-01-02T12:10:00.012Z   attempt 2 at mx.example.net[192.0.2.1]:25: delivered 2.0.0 250 2.0.0 queued as 7 (0.012 s)
            2030-01-02T12:10:00.000Z   delivered

            """,
            await WriteAsync(message));
    }

    [Fact]
    public async Task A_message_on_its_way_says_what_comes_next()
    {
        var waiting = new RecipientTimeline(RecipientIds.Of(1, 0), "bob@example.net", "", "example.net", RecipientRoute.Remote,
            RecipientState.Queued, s_noon.AddMinutes(5), Claimed: false, s_noon, []);

        Assert.Contains("not routed yet: <bob@example.net>", await WriteAsync(new(1, s_noon, "", 1, ["bob@example.net"], [])), StringComparison.Ordinal);
        Assert.Contains("next attempt 2030-01-02T12:05:00.000Z", await WriteAsync(new(1, s_noon, "", 1, [], [waiting])), StringComparison.Ordinal);
        // The time of an attempt is one to come.
        Assert.Contains("   is due now", await WriteAsync(new(1, s_noon, "", 1, [], [waiting with { NextAttemptAt = s_noon }])), StringComparison.Ordinal);
        Assert.Contains(
            "   waits: example.net cannot be reached and rests until 2030-01-02T12:30:00.000Z (no route to host); next attempt 2030-01-02T12:30:00.000Z",
            await WriteAsync(new(1, s_noon, "", 1, [], [waiting]), s_nothing with
            {
                Resting = new Dictionary<string, DomainStanding> { ["example.net"] = new(3, s_noon.AddMinutes(30), "no route to host") },
            }), StringComparison.Ordinal);
        // Its own time is later than the end of the rest.
        Assert.Contains(
            "   waits: example.net cannot be reached and rests until 2030-01-02T12:02:00.000Z (no route to host); next attempt 2030-01-02T12:05:00.000Z",
            await WriteAsync(new(1, s_noon, "", 1, [], [waiting]), s_nothing with
            {
                Resting = new Dictionary<string, DomainStanding> { ["example.net"] = new(3, s_noon.AddMinutes(2), "no route to host") },
            }), StringComparison.Ordinal);
        Assert.Contains(
            "   waits: delivery is paused since 2030-01-02T12:00:00.000Z by ann",
            await WriteAsync(new(1, s_noon, "", 1, [], [waiting]), s_nothing with { Pause = new DeliveryPaused(s_noon, "ann") }), StringComparison.Ordinal);
        Assert.Contains("is being tried now", await WriteAsync(new(1, s_noon, "", 1, [], [waiting with { Claimed = true }])), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Very_many_good_ends_are_one_line_and_the_others_stand_by_themselves()
    {
        RecipientTimeline Recipient(int number, RecipientState state) => new(RecipientIds.Of(1, number), $"u{number}@example.net", "", "example.net",
            RecipientRoute.Remote, state, s_noon, Claimed: false, s_noon.AddMinutes(number), []);
        var message = new MessageTimeline(1, s_noon, "ann@example.org", 1, [],
            [Recipient(0, RecipientState.Bounced), .. Enumerable.Range(1, 1000).Select(number => Recipient(number, RecipientState.Delivered))]);

        Assert.Equal(
            """
            2030-01-02T12:00:00.000Z accepted as 1 from <ann@example.org>, 1 byte
            2030-01-03T04:40:00.000Z delivered to 1000 of 1001 recipients; 'message all 1' shows each
                                     routed to <u0@example.net>, by SMTP
            2030-01-02T12:00:00.000Z   bounced

            """,
            await WriteAsync(message));
        Assert.Contains("routed to <u1000@example.net>", await WriteAsync(message, all: true), StringComparison.Ordinal);
    }

    private static async Task<string> WriteAsync(MessageTimeline message, Waiting? waiting = null, bool all = false)
    {
        using var output = new StringWriter { NewLine = "\n" };
        await MessageCommands.WriteAsync(message, waiting ?? s_nothing, output, all);
        return output.ToString();
    }
}
