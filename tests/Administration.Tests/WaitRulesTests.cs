using MailPipeline.Mail;

namespace MailPipeline.Administration.Tests;

/// <summary>What waits has one reason, with the one who ends it, and never a time that has passed.</summary>
public sealed class WaitRulesTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);
    private static readonly WaitRules s_calm = new(s_noon, Pause: null, new(InitialConcurrency: 5, WindowRecipients: 2, null, []), new Dictionary<string, DomainStanding>());
    private static readonly MessageTimeline s_message = new(1, s_noon.AddHours(-3), "ann@example.org", 1, [], []);
    private static readonly WaitRules s_paused = s_calm with { Pause = new DeliveryPaused(s_noon.AddHours(-1), "ann") };
    private static readonly WaitRules s_backingOff = s_calm with
    {
        Domains = new Dictionary<string, DomainStanding> { ["example.net"] = new(new(3, s_noon.AddMinutes(30), "no route to host")) },
    };

    [Fact]
    public void A_recipient_is_tried_or_due_or_has_its_time()
    {
        ShouldBe(new BeingTried(), WaitOwner.Worker, null, s_calm.Of(Recipient() with { Claimed = true }, s_message));
        ShouldBe(new Due(), WaitOwner.DomainQueue, null, s_calm.Of(Recipient(), s_message));
        ShouldBe(new Due(), WaitOwner.DomainQueue, null, s_calm.Of(Recipient(-5), s_message));
        ShouldBe(new NextAttempt(s_noon.AddMinutes(5)), WaitOwner.RetrySchedule, s_noon.AddMinutes(5), s_calm.Of(Recipient(5), s_message));
    }

    [Fact]
    public void A_domain_that_backs_off_keeps_its_mail_until_the_later_of_both_times()
    {
        var until = s_noon.AddMinutes(30);
        ShouldBe(new BacksOff(until, "no route to host", until), WaitOwner.DomainQueue, until, s_backingOff.Of(Recipient(5), s_message));
        ShouldBe(new BacksOff(until, "no route to host", s_noon.AddHours(1)), WaitOwner.DomainQueue, s_noon.AddHours(1), s_backingOff.Of(Recipient(60), s_message));
        // Its end has come.
        ShouldBe(new Due(), WaitOwner.DomainQueue, null, (s_backingOff with { Now = until }).Of(Recipient(), s_message));
    }

    [Fact]
    public void The_next_attempt_says_after_what_it_comes()
    {
        var recipient = Recipient(5) with
        {
            Attempts =
            [
                new(RecipientIds.Of(1, 0), AttemptOutcome.Deferred, "4.7.1", "450 greylisted", "mx1", s_noon, s_noon),
                new(RecipientIds.Of(1, 0), AttemptOutcome.Deferred, "4.2.2", "452 full", "mx2", s_noon, s_noon),
            ],
        };
        Assert.Equal(new NextAttempt(s_noon.AddMinutes(5), new("4.2.2", "452 full", "mx2")), s_calm.Of(recipient, s_message));
        Assert.Equal(new Due(), s_calm.Of(recipient with { NextAttemptAt = s_noon }, s_message));
    }

    [Fact]
    public void What_is_due_waits_for_a_worker_for_its_turn_or_for_its_domains_limit()
    {
        ShouldBe(new DomainLimit(5), WaitOwner.DomainQueue, null, With(new(DomainBackoff.None, Claims: 5)).Of(Recipient(), s_message));
        ShouldBe(new Due(), WaitOwner.DomainQueue, null, With(new(DomainBackoff.None, Claims: 4)).Of(Recipient(), s_message));
        // A domain that failed is tried by one alone.
        Assert.Equal(new DomainLimit(1), With(new(new(2, s_noon, "refused"), Claims: 1)).Of(Recipient(), s_message));

        // Behind the last one for whom there is room, and that one itself.
        var end = new WaitingPlace("example.net", s_noon.ToUnixTimeMilliseconds(), RecipientIds.Of(1, 0));
        ShouldBe(new SenderTurn(), WaitOwner.DomainQueue, null, With(new(DomainBackoff.None, Claims: 5, end)).Of(Recipient() with { RecipientId = RecipientIds.Of(2, 0) }, s_message));
        Assert.Equal(new DomainLimit(5), With(new(DomainBackoff.None, Claims: 5, end)).Of(Recipient(), s_message));
        Assert.Equal(new NextAttempt(s_noon.AddMinutes(5)), With(new(DomainBackoff.None, Claims: 5, end)).Of(Recipient(5), s_message));

        var site = new DomainStanding(DomainBackoff.None, Site: "mx.example.com");
        var full = With(site) with { Queue = s_calm.Queue with { LimitedSites = new Dictionary<string, SiteNote> { [site.Site] = new(10, 10, 3, SiteHoldUp.Connections) } } };
        ShouldBe(new SiteLimit(site.Site, 10, 3), WaitOwner.Site, null, full.Of(Recipient(), s_message));
        Assert.Equal(new NextAttempt(s_noon.AddMinutes(5)), full.Of(Recipient(5), s_message));
        Assert.Equal(new Due(), full.Of(Recipient() with { Route = RecipientRoute.Local }, s_message));
        Assert.Equal(new Due(), (full with { Domains = s_calm.Domains }).Of(Recipient(), s_message));
        var paced = full with { Queue = s_calm.Queue with { LimitedSites = new Dictionary<string, SiteNote> { [site.Site] = new(10, 1, 2, SiteHoldUp.Rate) } } };
        ShouldBe(new RateLimit(site.Site, 2), WaitOwner.Site, null, paced.Of(Recipient(), s_message));
        var rated = full with { Queue = s_calm.Queue with { LimitedSites = new Dictionary<string, SiteNote> { [SenderRate.Key("example.org")] = new(0, 0, 7, SiteHoldUp.Rate) } } };
        ShouldBe(new RateLimit("", 7, "example.org"), WaitOwner.SenderRate, null, rated.Of(Recipient() with { Flow = "example.org" }, s_message));
        Assert.Equal(new Due(), rated.Of(Recipient() with { Flow = "example.com" }, s_message));
        Assert.Equal(new Due(), rated.Of(Recipient() with { Flow = "example.org", Route = RecipientRoute.Local }, s_message));
        // The domain's own limit comes first.
        Assert.Equal(new DomainLimit(5), (full with { Domains = With(site with { Claims = 5 }).Domains }).Of(Recipient(), s_message));

        var since = s_noon.AddHours(-1);
        var closed = s_calm with { Queue = s_calm.Queue with { Closed = [new("deliver", BusRefuses: false, since), new("store", BusRefuses: true, since)] } };
        ShouldBe(new NoWorker("deliver", BusRefuses: false, since), WaitOwner.Worker, null, closed.Of(Recipient(), s_message));
        Assert.Equal(new NoWorker("store", BusRefuses: true, since), closed.Of(Recipient() with { Route = RecipientRoute.Local }, s_message));
        Assert.Equal(new NextAttempt(s_noon.AddMinutes(5)), closed.Of(Recipient(5), s_message));
        // Of a domain that failed other workers take the mail.
        Assert.Equal(
            new Due(), (closed with { Domains = new Dictionary<string, DomainStanding> { ["example.net"] = new(new(1, s_noon, "refused")) } }).Of(Recipient(), s_message));

        static WaitRules With(DomainStanding standing) => s_calm with { Domains = new Dictionary<string, DomainStanding> { ["example.net"] = standing } };
    }

    [Fact]
    public void A_setting_pauses_as_an_operator_does()
    {
        var rules = s_calm with { Queue = s_calm.Queue with { PausedSince = s_noon.AddHours(-2) } };
        ShouldBe(new Paused(s_noon.AddHours(-2), "Queue:DeliveryPaused"), WaitOwner.Operator, null, rules.Of(Recipient(5), s_message));
        Assert.Equal(new Paused(s_noon.AddHours(-1), "ann"), (rules with { Pause = s_paused.Pause }).Of(Recipient(), s_message));
    }

    /// <summary>A kind that somebody adds has a record, and each record a kind of its own.</summary>
    [Fact]
    public void Each_word_of_the_list_is_one_reason()
    {
        var kinds = typeof(WaitReason).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(WaitReason))).Select(type => type.Name).Order();
        Assert.Equal(Enum.GetNames<WaitKind>().Order(), kinds);
        Assert.All(Enum.GetValues<WaitKind>(), kind => Assert.Equal(kind, WaitWords.Find(WaitWords.Of(kind).ToUpperInvariant())));
        Assert.Null(WaitWords.Find("late"));
    }

    [Fact]
    public void A_pause_comes_before_every_time_but_not_before_an_attempt_that_is_under_way()
    {
        ShouldBe(new Paused(s_noon.AddHours(-1), "ann"), WaitOwner.Operator, null, s_paused.Of(Recipient(5), s_message));
        ShouldBe(new BeingTried(), WaitOwner.Worker, null, s_paused.Of(Recipient() with { Claimed = true }, s_message));
    }

    [Fact]
    public void What_its_sender_has_held_waits_until_then_and_is_the_routers_afterwards()
    {
        ShouldBe(new HeldBySender(s_noon.AddHours(1)), WaitOwner.Router, s_noon.AddHours(1), s_paused.OfUnrouted(s_noon.AddHours(1)));
        ShouldBe(new NotRouted(), WaitOwner.Router, null, (s_calm with { Now = s_noon.AddHours(1) }).OfUnrouted(s_noon.AddHours(1)));
        ShouldBe(new NotRouted(), WaitOwner.Router, null, s_calm.OfUnrouted(null));
    }

    [Fact]
    public void What_a_rule_keeps_back_names_it_and_says_until_when()
    {
        var hold = new QueueRule("audit", RuleAct.Hold, new() { Sender = new("ann@example.org"), Older = TimeSpan.FromHours(3) }, "an audit")
        {
            SetBy = "joe", SetAt = s_noon.AddMinutes(-1), Until = s_noon.AddHours(1),
        };
        var suspend = new QueueRule("quiet", RuleAct.Suspend, new() { Domain = new("*.net") }, "they asked") { SetBy = "bob", SetAt = s_noon.AddMinutes(-2) };
        var both = s_backingOff with { Standing = new RuleSet(1, [suspend, hold], s_noon) };
        var held = new HeldByOperator(s_noon.AddMinutes(-1), "joe", "audit", "an audit", s_noon.AddHours(1));
        var suspended = new Suspended(s_noon.AddMinutes(-2), "bob", "quiet", "they asked", null);
        ShouldBe(held, WaitOwner.Operator, s_noon.AddHours(1), both.Of(Recipient(), s_message));
        ShouldBe(held, WaitOwner.Operator, s_noon.AddHours(1), both.Of(Recipient(5), s_message));
        // Younger, or from somebody else: what is left is suspended.
        ShouldBe(suspended, WaitOwner.Operator, null, both.Of(Recipient(), s_message with { AcceptedAt = s_noon }));
        ShouldBe(suspended, WaitOwner.Operator, null, both.Of(Recipient(), s_message with { Sender = "" }));
        ShouldBe(new Due(), WaitOwner.DomainQueue, null, (both with { Domains = s_calm.Domains }).Of(Recipient() with { Domain = "example.com" }, s_message with { Sender = "" }));
        ShouldBe(new BeingTried(), WaitOwner.Worker, null, both.Of(Recipient() with { Claimed = true }, s_message));
        ShouldBe(new Paused(s_noon.AddHours(-1), "ann"), WaitOwner.Operator, null, (both with { Pause = s_paused.Pause }).Of(Recipient(), s_message));
        // Its time is over.
        ShouldBe(suspended, WaitOwner.Operator, null, (both with { Standing = new RuleSet(2, [suspend, hold], s_noon.AddHours(1)) }).Of(Recipient(), s_message));
    }

    [Fact]
    public void What_is_held_says_by_whom()
    {
        var held = Recipient() with { State = RecipientState.Held, UpdatedAt = s_noon };
        AuditEntry[] audit = [new(OperatorAction.Held, "ann", s_noon, 1), new(OperatorAction.Released, "bob", s_noon, 1), new(OperatorAction.Held, "joe", s_noon, 1)];
        ShouldBe(new HeldByOperator(s_noon, "joe"), WaitOwner.Operator, null, s_paused.Of(held, s_message with { Audit = audit }));
        ShouldBe(new HeldByOperator(s_noon, ""), WaitOwner.Operator, null, s_calm.Of(held, s_message));
        ShouldBe(new HeldBySystem(s_noon, "three deaths"), WaitOwner.Operator, null, s_calm.Of(held with { HoldReason = "three deaths" }, s_message with { Audit = audit }));
    }

    [Theory]
    [InlineData(RecipientState.Delivered)]
    [InlineData(RecipientState.Bounced)]
    [InlineData(RecipientState.Expired)]
    [InlineData(RecipientState.Removed)]
    public void What_has_its_outcome_waits_no_more(RecipientState state) => Assert.Null(s_paused.Of(Recipient() with { State = state }, s_message));

    [Fact]
    public void A_domain_waits_for_what_is_tried_next_of_it()
    {
        var domain = new DomainSummary("example.net", 7, 0, 7, null, WaitKind.Due, 0, DateTimeOffset.UnixEpoch, "", "");
        Assert.Equal(new Due(), s_calm.Of(domain));
        Assert.Equal(new Due(), s_calm.Of(domain with { Claimed = 6 }));
        Assert.Equal(new BeingTried(), s_paused.Of(domain with { Claimed = 7 }));
        Assert.Equal(new NextAttempt(s_noon.AddMinutes(5)), s_calm.Of(domain with { Due = 0, NextAttemptAt = s_noon.AddMinutes(5), Kind = WaitKind.NextAttempt }));
        // It was counted a while ago, and has come.
        Assert.Equal(new Due(), s_calm.Of(domain with { Due = 0, NextAttemptAt = s_noon, Kind = WaitKind.NextAttempt }));
        Assert.Equal(new Paused(s_noon.AddHours(-1), "ann"), s_paused.Of(domain));
        Assert.Equal(
            new BacksOff(s_noon.AddMinutes(9), "refused", s_noon.AddMinutes(9)),
            s_calm.Of(domain with { BackoffUntil = s_noon.AddMinutes(9), Reason = "refused", Failures = 2 }));
    }

    private static void ShouldBe(WaitReason expected, WaitOwner owner, DateTimeOffset? until, WaitReason? actual)
    {
        Assert.Equal(expected, actual);
        Assert.Equal((owner, until), (actual!.Owner, actual.Until));
    }

    private static RecipientTimeline Recipient(int minutes = 0) => new(
        RecipientIds.Of(1, 0), "bob@example.net", "", "example.net", RecipientRoute.Remote, RecipientState.Queued, s_noon.AddMinutes(minutes),
        Claimed: false, s_noon, []);
}
