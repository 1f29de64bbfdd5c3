using MailPipeline.Queue.Policies;
using MailPipeline.Mail;
using MailPipeline.Queue.Domains;

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

    private void Load(int first, int count, DateTimeOffset now, long[] held) =>
        _window.Load([.. Enumerable.Range(first, count).Select(Recipient)], askedFor: 6, held.ToHashSet(), now);

    private static DuePlace Place(int id) => new(s_noon.AddSeconds(id), id);

    private static Recipient Recipient(int id) => new(
        id, $"r{id}@example.net", "sender@example.org", 1, BodyType.SevenBit, 0, s_noon, s_noon.AddSeconds(id), RecipientRoute.Remote, "", Flow: "example.org");
}
