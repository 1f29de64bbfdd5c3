using CsCheck;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Text from strangers: what is kept of it, what is refused, and that neither harms anybody else.</summary>
public abstract partial class StoreTests
{
    private static readonly Statement s_echo = new("SELECT CAST($1 AS TEXT)");

    /// <summary>The name is taken.</summary>
    private static readonly Statement s_wrong = new("INSERT INTO id_blocks (name, next) SELECT 'message', $1 + $2");

    public static TheoryData<string> HostileReplies => new(
        "250 " + string.Concat(Enumerable.Repeat("\U0001F600", 300)),
        ("250 x" + string.Concat(Enumerable.Repeat("\U0001F600", 300)))[..500],
        "250 q\0q",
        "250 \uDE00\uD83D",
        "250 \u202Egnp.exe\u2066\u200B\u0085\u001B[2J",
        new string('x', 1 << 20));

    [Theory]
    [MemberData(nameof(HostileReplies))]
    public async Task A_delivery_is_recorded_whatever_the_far_end_said(string reply)
    {
        var recipients = await Store.QueueAsync("x"u8.ToArray(), RecipientRoute.Remote, "a@example.net", "b@example.net");
        await Store.Claims.TakeAsync(7, "example.net", recipients, begun: true, default);
        var result = Store.Result(recipients[0], AttemptOutcome.Delivered, "2.0.0", reply) with { RemoteHost = "mx\uD83D\0.example.net" + new string('x', 10_000) };
        Assert.Single(await Store.Claims.RecordDeliveredAsync(7, [result], default));
        var deferred = result with { RecipientId = recipients[1].RecipientId, Outcome = AttemptOutcome.Deferred, Status = "4.\04.1" };
        await Store.Outcomes.RecordAsync(7, "example.net", [new RecipientDecision(deferred, RecipientState.Queued, Store.Time.GetUtcNow())], TimeSpan.Zero);
        await Store.Queue.SetBackoffAsync("example.net", new DomainBackoff(1, Store.Time.GetUtcNow(), reply));

        var timeline = await Store.History.FindAsync(recipients[0].MessageId, default);
        foreach (var attempt in timeline!.Recipients.Select(recipient => Assert.Single(recipient.Attempts)))
        {
            Assert.StartsWith(StoredText.Note(reply)[..4], attempt.Reply, StringComparison.Ordinal);
            Assert.InRange(attempt.Reply.Length, 5, StoredText.MaxNoteLength);
            Assert.True(StoredText.IsStorable(attempt.Reply) && StoredText.IsStorable(attempt.RemoteHost));
        }
        Assert.InRange((await Store.Queue.FindBackoffAsync("example.net", default)).Reason.Length, 5, StoredText.MaxNoteLength);
    }

    // Not in attributes, which keep no half of a character.
    public static TheoryData<string> NoNames => new("q\0q@example.org", "\uD83D@example.org", "q@\uDE00.example.org");

    [Theory]
    [MemberData(nameof(NoNames))]
    public async Task A_name_that_is_no_text_is_nobodys_and_is_not_taken_for_another(string name)
    {
        await Store.Directory.AddDomainAsync("example.org");
        await Store.Directory.AddAccountAsync("qq@example.org", "hash");
        await Store.Directory.AddAccountAsync("q\uFFFDq@example.org", "hash");
        Assert.Null(await Store.Directory.FindAccountAsync(name, default));
        Assert.Empty((await Store.Directory.FindAsync(name, default)).Targets);
        Assert.False(await Store.Directory.IsLocalDomainAsync(name, default));
        foreach (var add in (Func<Task<bool>>[])[() => Store.Directory.AddAccountAsync(name, "hash"), () => Store.Directory.AddAliasAsync("a@example.org", name),
            () => Store.Directory.AddDomainAsync(name)])
        {
            var refused = await Assert.ThrowsAsync<StorageUnavailableException>(add);
            Assert.Equal(StorageFault.Refused, refused.Fault);
        }
        Assert.Equal(2, (await Store.Directory.ListAccountsAsync(default)).Count);
    }

    [Fact]
    public async Task What_the_store_refuses_for_its_data_fails_nobody_else()
    {
        for (var round = 0; round < 20; round++)
        {
            var bad = Enumerable.Range(0, 5).Select(_ => Assert.ThrowsAsync<StorageUnavailableException>(
                () => Store.Database.WriteAsync(transaction => transaction.ExecuteAsync(s_wrong, 1, 1)))).ToList();
            var good = Enumerable.Range(0, 40).Select(number =>
                Store.Database.WriteAsync(transaction => transaction.QueryAsync(s_echo, r => r.GetString(0), $"{number}"))).ToList();
            foreach (var (number, answer) in good.Index())
                Assert.Equal([$"{number}"], await answer);
            Assert.All(await Task.WhenAll(bad), refused => Assert.Equal(StorageFault.Refused, refused.Fault));
        }
    }

    [Fact]
    public async Task Any_text_comes_back_as_it_was_or_is_refused()
    {
        var text = Gen.OneOf(
            Gen.String[Gen.Char['\0', '\uFFFF'], 0, 40], Gen.String[Gen.OneOf(Gen.Char['\uD800', '\uDFFF'], Gen.Char['\0', '\u00FF']), 0, 40]);
        await text.SampleAsync(async sample =>
        {
            try
            {
                Assert.Equal([sample], await Store.Database.QueryAsync(s_echo, r => r.GetString(0), default, sample));
                Assert.Equal([sample], await Store.Database.WriteAsync(transaction => transaction.QueryAsync(s_echo, r => r.GetString(0), sample)));
                Assert.True(StoredText.IsStorable(sample));
            }
            catch (StorageUnavailableException refused) when (refused.Fault == StorageFault.Refused)
            {
                Assert.False(StoredText.IsStorable(sample));
            }
        }, iter: 300, threads: 1);
    }

    [Fact]
    public void A_note_is_cut_between_characters_and_is_as_it_was_where_it_can_be()
    {
        Gen.String[Gen.OneOf(Gen.Char['\uD800', '\uDFFF'], Gen.Char['\0', '\u00FF']), 0, 40].Select(Gen.Int[4, 40]).Sample((text, length) =>
        {
            var note = StoredText.Note(text, length);
            return StoredText.IsStorable(note) && note.Length <= length
                && (!StoredText.IsStorable(text) || text.Length > length || ReferenceEquals(note, text));
        });
    }
}
