namespace MailPipeline.Testing.Tests;

/// <summary>Reports as they were asked for (RFC 3461 §4.1): each rule is broken once, and has to be found.</summary>
public sealed class ReportCheckTests
{
    private readonly RunBuilder _run = new();

    /// <summary>What may be told of a message that arrives, of one that is refused, and of one that waits, by what was asked for.</summary>
    [Theory]
    [InlineData("", false, true, true)]
    [InlineData("NEVER", false, false, false)]
    [InlineData("SUCCESS", true, false, false)]
    [InlineData("FAILURE", false, true, false)]
    [InlineData("DELAY", false, false, true)]
    [InlineData("SUCCESS,FAILURE", true, true, false)]
    [InlineData("SUCCESS,DELAY", true, false, true)]
    [InlineData("FAILURE,DELAY", false, true, true)]
    [InlineData("SUCCESS,FAILURE,DELAY", true, true, true)]
    public void Told_is_who_asked_for_it_and_nobody_else(string notify, bool success, bool failure, bool delay)
    {
        Assert.Equal(success ? [] : [ViolationKind.ReportUnasked], Arriving(notify).Report("a").Kinds());
        Assert.Equal(success ? [ViolationKind.ReportMissing] : [], Arriving(notify).Kinds());
        Assert.Equal(failure ? [] : [ViolationKind.ReportUnasked], Refused(notify).Bounce("a").Kinds());
        Assert.Equal(failure ? [ViolationKind.Lost] : [], Refused(notify).Kinds());
        Assert.Equal(
            delay ? [] : [ViolationKind.ReportUnasked],
            (success ? Arriving(notify).Report("a") : Arriving(notify)).Bounce("a", status: "4.4.1", action: "delayed").Kinds());
    }

    [Fact]
    public void Success_that_is_told_twice_is_found_and_a_copy_of_the_same_notification_is_a_duplicate()
    {
        Assert.Equal([ViolationKind.ReportedTwice], Arriving("SUCCESS").Report("a").Report("a").Kinds());
        Assert.Equal([ViolationKind.DuplicatesOverBudget], Arriving("SUCCESS").Report("a", id: "x").Report("a", id: "x").Kinds());
        Assert.Empty(Arriving("SUCCESS").Report("a", id: "x").Report("a", id: "x").Kinds(duplicateBudget: 1));
    }

    [Fact]
    public void A_delay_that_is_told_twice_is_found() => Assert.Equal(
        [ViolationKind.ReportedTwice],
        Arriving("").Bounce("a", status: "4.4.1", action: "delayed").Bounce("a", status: "4.4.1", action: "delayed").Kinds());

    [Fact]
    public void Who_hands_in_twice_may_hear_of_it_once_or_twice()
    {
        RunBuilder Twice() => new RunBuilder().Send("a", 0, to: Asking("SUCCESS")).Send("a", attempt: 2, to: Asking("SUCCESS")).Arrive("a").Arrive("a");
        Assert.Empty(Twice().Report("a").Kinds());
        Assert.Empty(Twice().Report("a").Report("a").Kinds());
        Assert.Equal([ViolationKind.ReportedTwice], Twice().Report("a").Report("a").Report("a").Kinds());
    }

    [Fact]
    public void Success_that_is_none_is_found() => Assert.Equal(
        [ViolationKind.ReportFalse], Refused("SUCCESS").Report("a").Kinds());

    [Fact]
    public void What_is_in_a_maildrop_is_delivered_and_what_a_far_end_has_is_relayed()
    {
        Assert.Equal([ViolationKind.ReportWrong], Arriving("SUCCESS").Report("a", "delivered").Kinds());
        RunBuilder Read() => new RunBuilder().Send("a", to: Asking("SUCCESS")).List(1, "1").Read(1, "1", "a");
        Assert.Empty(Read().Report("a", "delivered").Kinds());
        Assert.Equal([ViolationKind.ReportWrong], Read().Report("a", "relayed").Kinds());
    }

    [Fact]
    public void Success_with_the_status_of_a_failure_is_found() => Assert.Equal(
        [ViolationKind.ReportWrong], Arriving("SUCCESS").Report("a", status: "5.0.0").Kinds());

    [Theory]
    [InlineData("FULL", 1000, true, true)]
    [InlineData("FULL", 1000, false, false)]
    // Beyond the bound the header comes back.
    [InlineData("FULL", 300_000, false, true)]
    [InlineData("HDRS", 1000, false, true)]
    [InlineData("HDRS", 1000, true, false)]
    [InlineData("", 1000, false, true)]
    [InlineData("", 1000, true, false)]
    public void What_comes_back_is_what_was_asked_for(string ret, int size, bool returnsAll, bool isFine)
    {
        _run.Send("a", ret: ret, size: size, to: new ExpectedRecipient("user@example.com", ExpectedOutcome.Bounced, "5.1.1")).Bounce("a", returnsAll: returnsAll);
        Assert.Equal(isFine ? [] : [ViolationKind.ReportWrong], _run.Kinds());
    }

    [Fact]
    public void A_report_of_success_returns_no_message() => Assert.Equal(
        [ViolationKind.ReportWrong],
        _run.Send("a", ret: "FULL", to: Asking("SUCCESS")).Arrive("a").Report("a", returnsAll: true).Kinds());

    [Fact]
    public void Success_that_is_told_to_nobody_or_to_somebody_else_is_found()
    {
        Assert.Equal([ViolationKind.PhantomBounce], _run.Report("a").Kinds());
        Assert.Equal(
            [ViolationKind.MisdirectedBounce],
            Arriving("SUCCESS").Bounce("a", status: "2.0.0", action: "relayed", to: "stranger@example.org").Kinds());
        Assert.Equal(
            [ViolationKind.NullSenderBounced],
            new RunBuilder().Send("a", sender: "", to: Asking("SUCCESS")).Arrive("a").Report("a").Kinds());
    }

    [Fact]
    public void A_refused_message_is_not_reported_missing() =>
        Assert.Empty(_run.Send("a", 550, to: Asking("SUCCESS")).Kinds());

    private static ExpectedRecipient Asking(string notify) => new("user@example.com", Notify: notify);

    private static RunBuilder Arriving(string notify) => new RunBuilder().Send("a", to: Asking(notify)).Arrive("a");

    private static RunBuilder Refused(string notify) =>
        new RunBuilder().Send("a", to: new ExpectedRecipient("user@example.com", ExpectedOutcome.Bounced, "5.1.1", notify));
}
