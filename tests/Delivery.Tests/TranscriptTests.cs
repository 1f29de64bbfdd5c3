using MailPipeline.Mail;
using static MailPipeline.Delivery.Tests.Conversation;

namespace MailPipeline.Delivery.Tests;

/// <summary>Whole conversations with a far end that says what a real one says.</summary>
public sealed class TranscriptTests
{
    public static TheoryData<Cut> Cuts => [Cut.Whole, Cut.Bytes];

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task Two_messages_travel_in_one_flight_each(Cut cut)
    {
        var report = await TalkAsync(cut, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=16
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: Subject: one
            C: 
            C: .
            C: MAIL FROM:<sender@example.com> SIZE=16
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.0.0 queued as 1
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: Subject: two
            C: 
            C: .
            S: 250 2.6.0 queued as 2
            """ + Quit,
            bench => [bench.Message("Subject: one\r\n\r\n"), bench.Message("Subject: two\r\n\r\n")]);
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.6.0"], Bench.Outcomes(report));
        Assert.Equal("250 2.6.0 queued as 2", report.Results[1].Reply);
        Assert.Matches(@"^127\.0\.0\.1\[127\.0\.0\.1\]:\d+$", report.Results[1].RemoteHost);
    }

    [Theory]
    [MemberData(nameof(Cuts))]
    public async Task Without_pipelining_each_command_waits_for_its_reply(Cut cut)
    {
        var report = await TalkAsync(cut, PlainHello + PlainCommands +
            """
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            C: MAIL FROM:<>
            S: 250 Ok
            C: RCPT TO:<user2@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: two
            C: .
            S: 250 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n", sender: "")]);
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_server_that_refuses_EHLO_gets_HELO()
    {
        var report = await TalkAsync(Cut.Whole,
            """
            S: 220 old.example.net
            C: EHLO client.example.com
            S: 502 What?
            C: HELO client.example.com
            S: 250 old.example.net

            """ + PlainCommands +
            """
            S: 354 Go on
            C: one
            C: .
            S: 250 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n")]);
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Each_recipient_has_its_own_outcome()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<good@example.net>
            C: RCPT TO:<gone@example.net>
            C: RCPT TO:<full@example.net>
            C: RCPT TO:<many@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 550 5.1.1 No such user
            S: 450 4.2.2 Mailbox full
            S: 552 5.2.2 Too many recipients in the old way
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n", ["good@example.net", "gone@example.net", "full@example.net", "many@example.net"])]);
        Assert.Equal(["Delivered 2.0.0", "Failed 5.1.1", "Deferred 4.2.2", "Deferred 4.0.0"], Bench.Outcomes(report));
        Assert.Equal("550 5.1.1 No such user", report.Results[1].Reply);
    }

    /// <summary>One was named, the other an alias led to: a sender that was rewritten is that recipient's alone.</summary>
    [Fact]
    public async Task Recipients_with_another_sender_go_with_a_transaction_of_their_own()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<c@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            C: MAIL FROM:<SRS0=x@example.org> SIZE=5
            C: RCPT TO:<b@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken too
            """ + Quit,
            bench =>
            {
                var message = bench.Message("one\r\n", ["a@example.net", "b@example.net", "c@example.net"]);
                message[1] = message[1] with { Sender = "SRS0=x@example.org" };
                return [message];
            });
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Recipients_over_the_far_ends_limit_go_with_the_next_transaction()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<a@example.net>
            C: RCPT TO:<b@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 452 4.5.3 Too many recipients
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<b@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken too
            """ + Quit,
            bench => [bench.Message("one\r\n", ["a@example.net", "b@example.net"])]);
        Assert.Equal(["Delivered 2.0.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task When_all_recipients_are_refused_but_DATA_is_not_only_the_dot_is_sent()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 550 5.1.1 No such user
            S: 354 Go on all the same
            C: .
            S: 554 5.5.1 No valid recipients
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: two
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n")]);
        Assert.Equal(["Failed 5.1.1", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_delivery_is_never_claimed_from_a_250_to_an_empty_message()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 450 4.2.1 Not now
            S: 354 Go on all the same
            C: .
            S: 250 2.0.0 Taken, whatever it was
            """ + Quit,
            bench => [bench.Message("one\r\n")]);
        Assert.Equal(["Deferred 4.2.1"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task After_a_refused_transaction_RSET_goes_before_the_next()
    {
        var report = await TalkAsync(Cut.Whole, Hello + Refusals + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n")]);
        Assert.Equal(["Failed 5.1.1", "Deferred 4.3.0", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Without_pipelining_a_refused_transaction_is_reset_too()
    {
        var report = await TalkAsync(Cut.Whole, PlainHello +
            """
            C: MAIL FROM:<sender@example.com>
            S: 250 Ok
            C: RCPT TO:<user1@example.net>
            S: 550 Nobody
            C: RSET
            S: 250 Ok
            C: MAIL FROM:<sender@example.com>
            S: 550 5.7.1 Not from there
            C: MAIL FROM:<sender@example.com>
            S: 250 Ok
            C: RCPT TO:<user3@example.net>
            S: 250 Ok
            C: DATA
            S: 354 Go on
            C: three
            C: .
            S: 250 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n"), bench.Message("three\r\n")]);
        Assert.Equal(["Failed 5.0.0", "Failed 5.7.1", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_message_refused_at_the_dot_leaves_the_next_one_untouched()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 554 5.6.0 I do not like it
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: two
            C: .
            S: 452 4.3.1 No room
            """ + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n")]);
        Assert.Equal(["Failed 5.6.0", "Deferred 4.3.1"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task A_refused_sender_in_a_pipelined_group_takes_only_its_own_message()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 550 5.7.1 Not from there
            S: 503 5.5.1 MAIL first
            S: 503 5.5.1 RCPT first
            C: MAIL FROM:<other@example.com> SIZE=5
            C: RCPT TO:<user2@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: two
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench => [bench.Message("one\r\n"), bench.Message("two\r\n", sender: "other@example.com")]);
        Assert.Equal(["Failed 5.7.1", "Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task Dots_are_stuffed_and_a_missing_line_end_is_added()
    {
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=17 BODY=8BITMIME
            C: RCPT TO:<user1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: ..one
            C: ..
            C: ...two
            C: é
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench =>
            {
                bench.Content.ChunkBytes = 1;
                return [bench.Message(".one\r\n.\r\n..two\r\né", body: BodyType.EightBitMime)];
            });
        Assert.Equal(["Delivered 2.0.0"], Bench.Outcomes(report));
    }

    [Fact]
    public async Task What_the_far_end_cannot_take_is_not_sent()
    {
        var report = await TalkAsync(Cut.Whole, Hello + "C: QUIT",
            bench =>
            [
                bench.Message(new string('x', 100_001)),
                bench.Message("two\r\n", body: BodyType.SmtpUtf8),
                bench.Message("three\r\n", ["evil\r\nRCPT TO:<x@example.net>"]),
            ]);
        Assert.Equal(["Failed 5.3.4", "Failed 5.6.7", "Failed 5.1.3"], Bench.Outcomes(report));
        Assert.Equal("The message has 100001 octets, the far end takes 100000", report.Results[0].Reply);
    }

    /// <summary>A person reads it in a report.</summary>
    [Fact]
    public async Task How_much_is_too_much_is_said_in_units_that_people_know()
    {
        var report = await TalkAsync(Cut.Whole, Hello + "C: QUIT", bench => [bench.Message(new string('x', 3_200_000))]);
        Assert.Equal("The message has 3.1 MiB, the far end takes 97.7 KiB", Assert.Single(report.Results).Reply);
    }

    [Fact]
    public async Task Recipients_beyond_the_bound_of_a_transaction_get_another_one()
    {
        var addresses = Enumerable.Range(0, 3).Select(i => $"u{i}@example.net").ToArray();
        var report = await TalkAsync(Cut.Whole, Hello +
            """
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<u0@example.net>
            C: RCPT TO:<u1@example.net>
            C: DATA
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            C: MAIL FROM:<sender@example.com> SIZE=5
            C: RCPT TO:<u2@example.net>
            C: DATA
            S: 250 2.0.0 Taken
            S: 250 2.1.0 Ok
            S: 250 2.1.5 Ok
            S: 354 Go on
            C: one
            C: .
            S: 250 2.0.0 Taken
            """ + Quit,
            bench =>
            {
                bench.Options.MaxRecipients = 2;
                return [bench.Message("one\r\n", addresses)];
            });
        Assert.All(Bench.Outcomes(report), outcome => Assert.Equal("Delivered 2.0.0", outcome));
    }
}
