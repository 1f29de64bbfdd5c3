namespace MailPipeline.Testing.Tests;

/// <summary>A checker that cannot fail proves nothing: each broken promise is planted once and has to be found.</summary>
public sealed class LedgerCheckerTests
{
    private static readonly ExpectedRecipient Bouncing = new("user@example.com", ExpectedOutcome.Bounced, "5.1.1");

    private readonly RunBuilder _run = new();

    [Fact]
    public void A_clean_run_has_no_findings()
    {
        _run.Send("a").Arrive("a")
            .Send("b", to: Bouncing).Bounce("b")
            .Send("c", reply: 451, attempt: 1).Send("c", attempt: 2).Arrive("c")
            .Send("d", reply: 550)
            .Send("e", rcpt: [250, 550], to: [new("user@example.com"), new("nobody@example.com")]).Arrive("e")
            .Send("f").List(1, "1").Read(1, "1", "f").Delete(1, QuitOutcome.Confirmed, "1").List(2);
        Assert.Empty(_run.Check(uncertain: 0));
    }

    [Fact]
    public void A_message_that_was_accepted_and_is_nowhere_is_lost() =>
        Finds(ViolationKind.Lost, _run.Send("a"));

    [Fact]
    public void A_message_that_one_of_two_recipients_did_not_get_is_lost_for_him()
    {
        _run.Send("a", to: [new("user@example.com"), new("other@example.com")]).Arrive("a");
        var found = Assert.Single(_run.Check());
        Assert.Equal((ViolationKind.Lost, "other@example.com"), (found.Kind, found.Recipient));
    }

    [Fact]
    public void A_message_whose_dot_was_seen_and_not_answered_is_not_delivered_yet() =>
        Finds(ViolationKind.Lost, _run.Send("a").Arrive("a", answered: false));

    [Fact]
    public void A_notification_of_delay_is_no_outcome() =>
        Finds(ViolationKind.Lost, _run.Send("a").Bounce("a", action: "delayed", status: "4.4.1"));

    [Fact]
    public void A_missing_notification_is_a_loss() =>
        Finds(ViolationKind.Lost, _run.Send("a", to: Bouncing));

    [Fact]
    public void Delivered_and_bounced_is_found() =>
        Finds(ViolationKind.DeliveredAndBounced, _run.Send("a").Arrive("a").Bounce("a"));

    [Fact]
    public void Delivered_and_bounced_is_found_where_either_is_allowed() =>
        Finds(ViolationKind.DeliveredAndBounced, _run.Send("a", to: new ExpectedRecipient("user@example.com", ExpectedOutcome.Either)).Arrive("a").Bounce("a"));

    [Fact]
    public void Two_different_notifications_are_one_too_many() =>
        Finds(ViolationKind.BouncedTwice, _run.Send("a", to: Bouncing).Bounce("a").Bounce("a"));

    [Fact]
    public void Two_copies_of_one_notification_are_a_duplicate() =>
        Finds(ViolationKind.DuplicatesOverBudget, _run.Send("a", to: Bouncing).Bounce("a", id: "x").Bounce("a", id: "x"));

    [Fact]
    public void A_bounce_from_a_far_end_that_takes_the_mail_is_found() =>
        Finds(ViolationKind.UnexpectedBounce, _run.Send("a").Bounce("a"));

    [Fact]
    public void A_delivery_at_a_far_end_that_refuses_is_found() =>
        Finds(ViolationKind.UnexpectedDelivery, _run.Send("a", to: Bouncing).Arrive("a"));

    [Fact]
    public void A_notification_with_another_status_is_found() =>
        Finds(ViolationKind.WrongStatus, _run.Send("a", to: Bouncing).Bounce("a", status: "4.4.7"));

    [Fact]
    public void A_notification_about_the_null_sender_is_found() =>
        Finds(ViolationKind.NullSenderBounced, _run.Send("a", sender: "", to: Bouncing).Bounce("a", to: "postmaster@example.org"));

    [Fact]
    public void A_failed_message_with_the_null_sender_may_end_without_a_trace() =>
        Assert.Empty(_run.Send("a", sender: "", to: Bouncing).Check());

    [Fact]
    public void A_message_with_the_null_sender_to_a_healthy_far_end_may_not() =>
        Finds(ViolationKind.Lost, _run.Send("a", sender: ""));

    [Fact]
    public void A_notification_to_somebody_else_is_found() =>
        Finds(ViolationKind.MisdirectedBounce, _run.Send("a", to: Bouncing).Bounce("a", to: "stranger@example.org"));

    [Theory]
    [InlineData(451)]
    [InlineData(552)]
    public void A_refused_message_that_arrives_is_found(int reply) =>
        Finds(ViolationKind.RefusedDelivered, _run.Send("a", reply).Arrive("a"));

    [Fact]
    public void A_refused_message_that_bounces_is_found() =>
        Finds(ViolationKind.RefusedBounced, _run.Send("a", 550).Bounce("a"));

    [Fact]
    public void A_delivery_to_a_refused_recipient_of_an_accepted_message_is_found() => Finds(
        ViolationKind.RefusedDelivered,
        _run.Send("a", rcpt: [250, 550], to: [new("user@example.com"), new("nobody@example.com")]).Arrive("a").Arrive("a", "nobody@example.com"));

    [Fact]
    public void A_message_that_broke_off_before_its_dot_must_not_arrive() =>
        Finds(ViolationKind.RefusedDelivered, _run.Send("a", 0, dotSent: false).Arrive("a"));

    [Fact]
    public void A_message_without_an_answer_that_was_not_sent_again_is_unresolved() =>
        Finds(ViolationKind.Unresolved, _run.Send("a", 0));

    [Fact]
    public void A_message_sent_again_after_a_lost_reply_may_arrive_once_or_twice()
    {
        _run.Send("a", 0).Send("a", attempt: 2).Arrive("a")
            .Send("b", 0).Send("b", attempt: 2).Arrive("b").Arrive("b");
        Assert.Empty(_run.Check());
    }

    [Fact]
    public void A_message_sent_again_may_not_arrive_three_times() =>
        Finds(ViolationKind.DuplicatesOverBudget, _run.Send("a", 0).Send("a", attempt: 2).Arrive("a").Arrive("a").Arrive("a"));

    [Fact]
    public void A_delivery_that_nobody_sent_is_found() =>
        Finds(ViolationKind.Phantom, _run.Arrive("a"));

    [Fact]
    public void A_delivery_without_a_token_is_found() =>
        Finds(ViolationKind.Phantom, _run.Arrive("", hash: ""));

    [Fact]
    public void A_notification_about_nothing_is_found() =>
        Finds(ViolationKind.PhantomBounce, _run.Bounce("a"));

    [Fact]
    public void A_notification_about_somebody_else_is_found() =>
        Finds(ViolationKind.PhantomBounce, _run.Send("a").Arrive("a").Bounce("a", about: "stranger@example.com"));

    [Fact]
    public void A_delivery_to_the_wrong_recipient_is_found() =>
        Finds(ViolationKind.Misdelivered, _run.Send("a").Arrive("a").Arrive("a", "stranger@example.com"));

    [Fact]
    public void A_truncated_body_is_found() =>
        Finds(ViolationKind.Damaged, _run.Send("a").Arrive("a", hash: "hash-of-half"));

    [Fact]
    public void Bodies_that_changed_places_are_found() => Assert.Equal(
        [ViolationKind.Damaged, ViolationKind.Damaged],
        _run.Send("a").Send("b").Arrive("a", hash: RunBuilder.HashOf("b")).Arrive("b", hash: RunBuilder.HashOf("a")).Kinds());

    [Fact]
    public void A_damaged_body_in_a_maildrop_is_found() =>
        Finds(ViolationKind.Damaged, _run.Send("a").List(1, "1").Read(1, "1", "a", hash: "other"));

    [Fact]
    public void Duplicates_are_measured_against_the_budget_and_against_what_was_counted()
    {
        _run.Send("a").Arrive("a").Arrive("a");
        Assert.Equal([ViolationKind.DuplicatesOverBudget], _run.Kinds());
        Assert.Empty(_run.Kinds(duplicateBudget: 1));
        Assert.Empty(_run.Kinds(duplicateBudget: 1, uncertain: 1));
        Assert.Equal([ViolationKind.DuplicatesUncounted], _run.Kinds(duplicateBudget: 1, uncertain: 0));
        Assert.Equal(1, LedgerChecker.CountDuplicates(_run.Records));
    }

    /// <summary>As in a run with an outage: hundreds of copies were in doubt when it began, and far ends that hang add to what is recorded.</summary>
    [Fact]
    public void An_extra_copy_amid_an_outage_is_found_unless_an_attempt_in_doubt_is_recorded_for_its_recipient()
    {
        string[] doubts = [.. Enumerable.Range(0, 50).Select(i => $"r{i}@hang.example")];
        _run.Send("a").Arrive("a").Arrive("a");
        var found = Assert.Single(_run.Check(duplicateBudget: 300, uncertain: doubts.Length, doubts));
        Assert.Equal((ViolationKind.DuplicatesUnexplained, "a"), (found.Kind, found.Token));
        Assert.Empty(_run.Check(duplicateBudget: 300, uncertain: doubts.Length + 1, [.. doubts, "user@example.com"]));
        _run.Arrive("a");
        Assert.Equal(ViolationKind.DuplicatesUnexplained, Assert.Single(_run.Check(duplicateBudget: 300, uncertain: doubts.Length + 1, [.. doubts, "user@example.com"])).Kind);
    }

    [Fact]
    public void A_notification_that_comes_twice_is_explained_by_an_attempt_in_doubt_at_its_sender()
    {
        _run.Send("a", to: Bouncing).Bounce("a", id: "x").Bounce("a", id: "x");
        Assert.Equal(ViolationKind.DuplicatesUnexplained, Assert.Single(_run.Check(duplicateBudget: 1, uncertain: 1, ["user@example.com"])).Kind);
        Assert.Empty(_run.Check(duplicateBudget: 1, uncertain: 1, ["sender@example.org"]));
    }

    [Fact]
    public void A_notification_about_several_that_comes_twice_is_one_duplicate()
    {
        _run.Send("a", to: [Bouncing, Bouncing with { Address = "other@example.com" }])
            .Bounce("a", id: "x", others: "other@example.com").Bounce("a", id: "x", others: "other@example.com");
        Assert.Equal(1, LedgerChecker.CountDuplicates(_run.Records));
        Assert.Empty(_run.Check(duplicateBudget: 1, uncertain: 1, ["sender@example.org"]));
    }

    [Fact]
    public void A_second_copy_in_a_maildrop_is_a_duplicate_and_a_second_reading_is_none()
    {
        _run.Send("a").List(1, "1").Read(1, "1", "a").List(2, "1").Read(2, "1", "a");
        Assert.Empty(_run.Check());
        _run.List(3, "1", "2").Read(3, "2", "a");
        Assert.Equal([ViolationKind.DuplicatesOverBudget], _run.Kinds());
    }

    [Fact]
    public void What_is_left_over_and_what_came_late_is_found()
    {
        var found = LedgerChecker.Check(new()
        {
            Records = [],
            Remaining = [new("claims", 0), new("unrouted messages", 2)],
            Liveness =
            [
                new("healthy domain", TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(2)),
                new("slow domain", TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(2)),
                new("stuck domain", null, TimeSpan.FromSeconds(2)),
            ],
        });
        Assert.Equal([ViolationKind.NotDrained, ViolationKind.Stalled, ViolationKind.Stalled], found.Select(v => v.Kind));
    }

    [Fact]
    public void A_maildrop_that_loses_a_message_is_found() =>
        Finds(ViolationKind.MaildropLost, _run.Send("a").List(1, "1").Read(1, "1", "a").List(2));

    [Fact]
    public void A_maildrop_that_deletes_without_a_confirmed_quit_is_found() => Finds(
        ViolationKind.MaildropLost, _run.Send("a").List(1, "1").Read(1, "1", "a").Delete(1, QuitOutcome.NotDone, "1").List(2));

    [Fact]
    public void After_an_unanswered_quit_the_message_may_be_there_or_not()
    {
        _run.Send("a").Send("b").List(1, "1", "2").Read(1, "1", "a").Read(1, "2", "b").Delete(1, QuitOutcome.Unknown, "1", "2").List(2, "2");
        Assert.Empty(_run.Check());
        Assert.Equal([ViolationKind.DeletedReturned], _run.List(3, "1", "2").Kinds());
    }

    [Fact]
    public void A_deleted_message_that_comes_back_is_found() => Finds(
        ViolationKind.DeletedReturned,
        _run.Send("a").List(1, "1").Read(1, "1", "a").Delete(1, QuitOutcome.Confirmed, "1").List(2).List(3, "1"));

    [Fact]
    public void A_unique_id_that_names_other_bytes_is_found() => Finds(
        ViolationKind.UidReused, _run.Send("a").Send("b").List(1, "1").Read(1, "1", "a").List(2, "1").Read(2, "1", "b"));

    [Fact]
    public void A_unique_id_that_is_reused_after_deletion_is_found() => Assert.Contains(
        ViolationKind.UidReused,
        _run.Send("a").Send("b").List(1, "1").Read(1, "1", "a").Delete(1, QuitOutcome.Confirmed, "1").List(2, "1").Read(2, "1", "b").Kinds());

    [Fact]
    public void A_unique_id_that_is_listed_twice_is_found() =>
        Finds(ViolationKind.UidRepeated, _run.Send("a").List(1, "1", "1").Read(1, "1", "a"));

    [Fact]
    public void A_listed_message_that_cannot_be_read_is_found() =>
        Finds(ViolationKind.MaildropUnreadable, _run.Send("a").Arrive("a").List(1, "1").ReadFails(1, "1"));

    [Theory]
    [InlineData("-ERR [SYS/TEMP] later", true, 0)]
    [InlineData("-ERR [SYS/TEMP] later", false, 1)]
    [InlineData("-ERR [SYS/PERM] never", true, 1)]
    public void A_message_that_cannot_be_read_for_now_has_to_be_read_later(string reply, bool isReadLater, int findings)
    {
        _run.Send("a").Arrive("a").List(1, "1").ReadFails(1, "1", reply);
        if (isReadLater)
            _run.List(2, "1").Read(2, "1", "a");
        Assert.Equal(findings, _run.Kinds().Count(kind => kind == ViolationKind.MaildropUnreadable));
    }

    private static void Finds(ViolationKind kind, RunBuilder run) => Assert.Equal([kind], run.Kinds());
}
