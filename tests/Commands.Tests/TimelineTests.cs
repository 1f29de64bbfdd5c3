using MailPipeline.Administration;
using MailPipeline.Mail;

namespace MailPipeline.Commands.Tests;

public sealed class TimelineTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void A_timeline_tells_of_acceptance_routing_attempts_and_outcome()
    {
        var id = RecipientIds.Of(0x1E240, 0);
        var message = new MessageTimeline(0x1E240, s_noon, "ann@example.org", 2048, [],
        [
            new RecipientTimeline(id, "bob@example.net", "team@example.org", "example.net", RecipientRoute.Remote, RecipientState.Delivered,
                s_noon, Claimed: false, s_noon.AddMinutes(10),
                [
                    new AttemptResult(id, AttemptOutcome.Deferred, "4.4.1", "no answer\r\n\u001b[31m", "", s_noon, s_noon.AddSeconds(30)),
                    new AttemptResult(id, AttemptOutcome.Deferred, "4.7.5", "expired", "mx", s_noon.AddMinutes(5), s_noon.AddMinutes(5), Tls: new("sts", "published", "expired")) { Class = ReplyClass.Tls },
                    new AttemptResult(id, AttemptOutcome.Delivered, "2.0.0", "250 2.0.0 queued as 7", "mx.example.net[192.0.2.1]:25", s_noon.AddMinutes(10), s_noon.AddMinutes(10).AddMilliseconds(12),
                        Tls: new("sts", "published", "verified", "TLSv1.3", "TLS_AES_256_GCM_SHA384"), Worker: "delivery-7d4f[10.0.0.7]"),
                    new AttemptResult(id, AttemptOutcome.Delivered, "2.0.0", "250 Ok", "mx", s_noon, s_noon, Tls: new("none", "table")),
                ]) { ReturnPath = "SRS0=x@srs.example.org", Complaint = new(id, 0x1E300, s_noon.AddDays(1), "abuse\u001b", "192.0.2.1", "example.net", "", "") },
        ]);

        Assert.Equal(
            """
            2030-01-02T12:00:00.000Z accepted as 1E240 from <ann@example.org>, 2 KiB
                                     routed to <bob@example.net> (was <team@example.org>), by SMTP, as from <SRS0=x@srs.example.org>
            2030-01-02T12:00:30.000Z   attempt 1: deferred 4.4.1 no answer   [31m (30.000 s)
            2030-01-02T12:05:00.000Z   attempt 2 at mx: deferred 4.7.5 expired (0.000 s; tls)
                                         no TLS, certificate expired; policy sts (published)
            2030-01-02T12:10:00.012Z   attempt 3 at mx.example.net[192.0.2.1]:25 from delivery-7d4f[10.0.0.7]: delivered 2.0.0 250 2.0.0 queued as 7 (0.012 s)
                                         TLSv1.3 TLS_AES_256_GCM_SHA384, certificate verified; policy sts (published)
            2030-01-02T12:00:00.000Z   attempt 4 at mx: delivered 2.0.0 250 Ok (0.000 s)
                                         clear text; policy none (table)
            2030-01-03T12:00:00.000Z   complaint (abuse ) reported by example.net, in 1E300
            2030-01-02T12:10:00.000Z   delivered

            """,
            Write(message));
    }

    [Fact]
    public void A_message_on_its_way_says_why_it_waits()
    {
        var recipient = new RecipientTimeline(RecipientIds.Of(1, 0), "bob@example.net", "", "example.net", RecipientRoute.Remote,
            RecipientState.Queued, s_noon, Claimed: false, s_noon, []);

        Assert.Contains("notRouted: the router has not seen it yet: <bob@example.net>", Write(new(1, s_noon, "", 1, ["bob@example.net"], []), new NotRouted()), StringComparison.Ordinal);
        Assert.Contains(
            "heldBySender: its sender wants it to leave no earlier than 2030-01-02T13:00:00.000Z: <bob@example.net>",
            Write(new(1, s_noon, "", 1, ["bob@example.net"], []) { ReleaseAt = s_noon.AddHours(1) }, new HeldBySender(s_noon.AddHours(1))), StringComparison.Ordinal);
        Assert.Contains(
            "its sender wanted it to leave no earlier than 2030-01-02T13:00:00.000Z",
            Write(new(1, s_noon, "", 1, [], [recipient]) { ReleaseAt = s_noon.AddHours(1) }, null, new Due()), StringComparison.Ordinal);
        foreach (var (wait, words) in new (WaitReason, string)[]
        {
            (new BeingTried(), "\n                           beingTried: a worker tries it now"),
            (new Due(), "\n                           due: it is handed out within moments"),
            (new NextAttempt(s_noon.AddMinutes(5)), "\n                           nextAttempt: 2030-01-02T12:05:00.000Z\n"),
            (new NextAttempt(s_noon.AddMinutes(5), new("4.2.2", "452\r\nfull", "mx1")), "   nextAttempt: 2030-01-02T12:05:00.000Z, after 452  full at mx1\n"),
            (new NextAttempt(s_noon.AddMinutes(5), new("4.4.3", "", "")), "   nextAttempt: 2030-01-02T12:05:00.000Z, after 4.4.3\n"),
            (new DomainLimit(5), "   domainLimit: it is due, and as many batches for example.net are under way as are allowed now (5)"),
            (new SenderTurn(), "   senderTurn: it is due, and so is more for example.net than there is room for: others come first"),
            (new NoWorker("store", BusRefuses: false, s_noon), "   noWorker: it is due, and no worker takes batches from 'store' since 2030-01-02T12:00:00.000Z"),
            (new NoWorker("store", BusRefuses: true, s_noon), "   noWorker: it is due, and the bus takes no batches for 'store' since 2030-01-02T12:00:00.000Z"),
            (new BacksOff(s_noon.AddMinutes(30), "no route\r\nto host", s_noon.AddHours(1)),
                "   backsOff: example.net cannot be reached and backs off until 2030-01-02T12:30:00.000Z (no route  to host); next attempt 2030-01-02T13:00:00.000Z"),
            (new Paused(s_noon, "ann"), "   paused: delivery is paused since 2030-01-02T12:00:00.000Z by ann"),
            (new HeldByOperator(s_noon, "ann"), "2030-01-02T12:00:00.000Z   heldByOperator: by ann; 'message release ID' lets it go"),
            (new HeldByOperator(s_noon, ""), "2030-01-02T12:00:00.000Z   heldByOperator: 'message release ID' lets it go"),
            (new HeldBySystem(s_noon, "three deaths"), "2030-01-02T12:00:00.000Z   heldBySystem: three deaths; 'message release ID' lets it go"),
        })
        {
            Assert.Contains(words, Write(new(1, s_noon, "", 1, [], [recipient]), null, wait), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Very_many_good_ends_are_one_line_and_the_others_stand_by_themselves()
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
            Write(message));
        Assert.Contains("routed to <u1000@example.net>", Write(message, all: true), StringComparison.Ordinal);
    }

    private static string Write(MessageTimeline message, WaitReason? wait = null, WaitReason? recipientWait = null, bool all = false)
    {
        var found = new MessageFound(message, [.. message.Recipients.Select(recipient => new TracedRecipient(recipient, recipientWait))], wait);
        return string.Concat(Timeline.Lines(found, all).Select(line => line + "\n"));
    }
}
