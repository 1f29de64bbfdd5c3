using MailPipeline.Queue.Policies;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;
using MailPipeline.Queue.Reconciling;
using Microsoft.Extensions.Logging.Abstractions;

namespace MailPipeline.Queue.Tests;

/// <summary>What rules hold is passed over once, takes no room, and hides nobody who comes behind it.</summary>
public sealed class HeldWindowTests
{
    private static readonly DateTimeOffset s_noon = new(2030, 1, 2, 12, 0, 0, TimeSpan.Zero);

    private readonly DomainWindow _window = new(8, 3, SenderPolicy.None);

    [Fact]
    public void What_is_held_is_passed_page_by_page_and_what_comes_is_read_behind_it()
    {
        _window.NextPage(s_noon);
        Load(1, 6, s_noon, held: [1, 2, 3, 4, 5, 6]);
        Assert.Equal((0, true, true), (_window.Count, _window.MoreInStore, _window.HasPassedHeld));
        // However long it takes, it goes on behind.
        Assert.Equal(Place(6), _window.NextPage(s_noon.AddSeconds(30)));
        Load(7, 3, s_noon.AddSeconds(30), held: [7, 9]);
        Assert.Equal((1, false), (_window.Count, _window.MoreInStore));
        Assert.Equal(8, _window.Next!.RecipientId);

        _window.NoteDue();
        Assert.Equal(Place(9), _window.NextPage(s_noon.AddSeconds(40)));
        Load(10, 1, s_noon.AddSeconds(40), held: []);
        Assert.Equal(2, _window.Count);
        // Of what was freed meanwhile nobody tells.
        _window.NoteDue();
        Assert.Equal(default, _window.NextPage(s_noon.AddSeconds(30).AddMinutes(1.1)));
    }

    [Fact]
    public void What_comes_back_is_looked_for_before_what_is_held()
    {
        Load(1, 3, s_noon, held: [1, 2, 3]);
        Assert.Equal(Place(3), _window.ReadTo);
        _window.NoteMoreInStore();
        Assert.Equal((default, false), (_window.NextPage(s_noon), _window.HasPassedHeld));
    }

    [Fact]
    public void A_pass_that_never_ends_is_begun_anew_after_a_while()
    {
        _window.NextPage(s_noon);
        for (var minute = 0; minute < 5; minute++)
        {
            Load((6 * minute) + 1, 6, s_noon.AddMinutes(minute), held: [.. Enumerable.Range((6 * minute) + 1, 6).Select(id => (long)id)]);
            Assert.Equal(Place((6 * minute) + 6), _window.NextPage(s_noon.AddMinutes(minute)));
        }
        Assert.Equal(default, _window.NextPage(s_noon.AddMinutes(5.1)));
    }

    [Fact]
    public void A_sender_all_of_whose_mail_is_held_is_not_read_on_by_himself()
    {
        _window.NextPage(s_noon);
        Load(1, 6, s_noon, held: [1, 2, 3, 4, 5, 6]);
        Recipient[] both = [.. Enumerable.Range(7, 3).Select(Recipient), .. Enumerable.Range(100, 2).Select(Other)];
        _window.LoadFlows(both, "", s_noon, ofEach: 2, Held(7, 8, 9));
        Assert.Equal(2, _window.Count);
        Assert.Equal("other", _window.NextTail?.Flow);
        // He who is read on comes to what is held: the order of time goes on, and nobody waits for it.
        _window.LoadTail("other", [.. Enumerable.Range(102, 6).Select(Other)], askedFor: 6, Held(102, 103, 104, 105, 106));
        Assert.Null(_window.NextTail);
        Assert.Equal((3, true), (_window.Count, _window.MoreInStore));
        Assert.Equal(Place(6), _window.NextPage(s_noon));
    }

    [Fact]
    public void A_rate_keeps_nobody_behind_what_is_held()
    {
        var window = new DomainWindow(80, 10, new SenderPolicy([new SenderOptions { From = "slow@example.org", MessagesPerSecond = 1 }]));
        Recipient[] slow = [.. Enumerable.Range(1, 60).Select(Slow)];
        window.NextPage(s_noon);
        window.Load(slow, askedFor: 60, now: s_noon);
        Assert.True(window.ReadsFlowsOnly);
        window.LoadFlows([.. slow[..10], Recipient(100), Other(101)], "", s_noon, ofEach: 1, Held(100, 101));
        Assert.Equal((10, false, true, true), (window.Count, window.ReadsFlowsOnly, window.MoreInStore, window.HasPassedHeld));
        // In order it goes on behind what was read before.
        Assert.Equal(Place(60), window.NextPage(s_noon.AddSeconds(30)));
        window.Load([Recipient(100), Other(101), Recipient(102)], askedFor: 60, Held(100, 101), s_noon.AddSeconds(30));
        Assert.Equal((11, false), (window.Count, window.MoreInStore));
        Assert.Equal([102], window.Take(9, RecipientRoute.Remote).Select(recipient => recipient.RecipientId));

        // What is held of the sender with the rate: whoever is behind that is found in order.
        window.Permit("slow@example.org", isPermitted: true);
        window.Forget(window.TakeOf("slow@example.org", 10, 10));
        Assert.Equal(new DuePlace(s_noon.AddSeconds(11), 10), window.NextTail?.After);
        window.LoadTail("slow@example.org", slow[10..20], askedFor: 10, slow[10..20].Select(recipient => recipient.RecipientId).ToHashSet());
        Assert.Null(window.NextTail);
        Assert.True(window.MoreInStore);
        Assert.Equal(Place(20), window.NextPage(s_noon.AddSeconds(31)));
        window.Load(slow[20..], askedFor: 60, Held(), s_noon.AddSeconds(31));
        Assert.Equal((10, 21), (window.Count, window.TakeOf("slow@example.org", 1, 1)[0].RecipientId));
    }

    [Fact]
    public void What_operators_say_of_a_domain_is_the_same_until_its_rules_change()
    {
        var own = new QueueRule("own", RuleAct.Hold, new RuleConditions { Sender = new("news@example.org") }, "why") { SetAt = s_noon };
        var other = new QueueRule("other", RuleAct.Hold, new RuleConditions { Domain = new("example.com") }, "why");
        var said = new RuleSet(1, [own], s_noon).OfDomain("example.net", "");
        // As it is read from storage again.
        var again = own with { Conditions = new RuleConditions { Sender = new("news@example.org") } };
        Assert.True(new RuleSet(2, [again, other], s_noon).OfDomain("example.net", "").SaysSameAs(said));
        Assert.False(new RuleSet(3, [own, other], s_noon).OfDomain("example.com", "").SaysSameAs(said));
        Assert.False(new RuleSet(4, [own with { SetAt = s_noon.AddSeconds(1) }], s_noon).OfDomain("example.net", "").SaysSameAs(said));
        var rate = new QueueRule("slow", RuleAct.Rate, new RuleConditions { Domain = new("example.net") }, "why") { Rate = 2 };
        Assert.False(new RuleSet(5, [own, rate], s_noon).OfDomain("example.net", "").SaysSameAs(said));
        Assert.False(DomainRules.None.SaysSameAs(said));
    }

    /// <summary>Nothing is asked of storage, for it could not be obeyed.</summary>
    [Fact]
    public async Task Before_rules_are_known_nothing_is_returned_or_told_of()
    {
        var rules = new RuleBook(null!, null!, TimeProvider.System, NullLogger<RuleBook>.Instance);
        var holds = new OperatorHolds(rules, null!, null!, TimeProvider.System);
        Assert.False(await new Deadlines(null!, null!, null!, null!, holds, null!, TimeProvider.System, NullLogger<Deadlines>.Instance).RoundAsync());
        Assert.False(holds.IsKnown);
    }

    private static HashSet<long> Held(params long[] ids) => [.. ids];

    private static Recipient Other(int id) => Recipient(id) with { Flow = "other" };

    private static Recipient Slow(int id) => Recipient(id) with { Flow = "slow@example.org" };

    private void Load(int first, int count, DateTimeOffset now, long[] held) =>
        _window.Load([.. Enumerable.Range(first, count).Select(Recipient)], askedFor: 6, held.ToHashSet(), now);

    private static DuePlace Place(int id) => new(s_noon.AddSeconds(id), id);

    private static Recipient Recipient(int id) => new(
        id, $"r{id}@example.net", "sender@example.org", 1, BodyType.SevenBit, 0, s_noon, s_noon.AddSeconds(id), RecipientRoute.Remote, "", Flow: "example.org");
}
