using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Text from strangers: what is kept of it, what is refused, and that neither harms anybody else.</summary>
public abstract partial class StoreTests
{
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
        await Store.TakeAsync(7, "example.net", recipients, begun: true, default);
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
        Assert.Null(await Store.Directory.FindDomainAsync(name, default));
        foreach (var add in (Func<Task<bool>>[])[() => Store.Directory.AddAccountAsync(name, "hash"), () => Store.Directory.AddAliasAsync("a@example.org", name),
            () => Store.Directory.AddDomainAsync(name)])
        {
            var refused = await Assert.ThrowsAsync<StorageUnavailableException>(add);
            Assert.Equal(StorageFault.Refused, refused.Fault);
        }
        Assert.Equal(2, (await Store.Directory.ListAccountsAsync(default)).Count);
    }
}
