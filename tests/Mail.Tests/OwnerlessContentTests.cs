using System.Security.Cryptography;
using MailPipeline.Storage;

namespace MailPipeline.Mail.Tests;

/// <summary>Chunks on PostgreSQL that belong to no message: left by the dead, or of a message still being received.</summary>
public sealed class OwnerlessContentTests(PostgresFixture postgres)
{
    private const int Bytes = 700_000;

    [Fact]
    public async Task What_a_process_that_died_had_received_is_collected()
    {
        await using var store = await OpenAsync(TimeSpan.Zero);
        var kept = await store.AcceptAsync(RandomNumberGenerator.GetBytes(Bytes), "a@example.net");
        // Never accepted and never disposed of: kill -9.
        var abandoned = store.Messages.CreateContent(await store.Messages.NextMessageIdAsync(default));
        await abandoned.AppendAsync(new byte[Bytes], default);
        Assert.Equal(2, await ChunksWithoutOwnerAsync(store));

        Assert.Equal(0, await store.History.ReclaimSpaceAsync(default));
        Assert.Equal(2 * store.Options.ChunkBytes, await store.History.ReclaimSpaceAsync(default));
        Assert.Equal(0, await ChunksWithoutOwnerAsync(store));
        Assert.Equal(Bytes, (await store.ReadAsync(kept.MessageId)).Length);
    }

    [Fact]
    public async Task A_message_still_being_received_is_left_alone()
    {
        await using var store = await OpenAsync(new StorageOptions().AbandonedContentAge);
        var content = RandomNumberGenerator.GetBytes(Bytes);
        var id = await store.Messages.NextMessageIdAsync(default);
        await using var writer = store.Messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        for (var round = 0; round < 3; round++)
            Assert.Equal(0, await store.History.ReclaimSpaceAsync(default));
        await store.Messages.AcceptAsync(Message(store, id), writer, default);
        Assert.Equal(content, await store.ReadAsync(id));
    }

    [Fact]
    public async Task What_was_noted_and_accepted_afterwards_stays()
    {
        await using var store = await OpenAsync(TimeSpan.Zero);
        var content = RandomNumberGenerator.GetBytes(Bytes);
        var id = await store.Messages.NextMessageIdAsync(default);
        await using var writer = store.Messages.CreateContent(id);
        await writer.AppendAsync(content, default);
        Assert.Equal(0, await store.History.ReclaimSpaceAsync(default));
        await store.Messages.AcceptAsync(Message(store, id), writer, default);
        Assert.Equal(0, await store.History.ReclaimSpaceAsync(default));
        Assert.Equal(content, await store.ReadAsync(id));
    }

    [Fact]
    public async Task A_message_that_outlasts_every_bound_is_refused_and_never_accepted_without_its_bytes()
    {
        await using var store = await OpenAsync(TimeSpan.Zero);
        var id = await store.Messages.NextMessageIdAsync(default);
        await using var writer = store.Messages.CreateContent(id);
        await writer.AppendAsync(new byte[Bytes], default);
        await store.History.ReclaimSpaceAsync(default);
        await store.History.ReclaimSpaceAsync(default);

        var refused = await Assert.ThrowsAsync<StorageUnavailableException>(() => store.Messages.AcceptAsync(Message(store, id), writer, default));
        Assert.Equal(StorageFault.Refused, refused.Fault);
        Assert.Null(await store.History.FindAsync(id, default));
    }

    [Fact]
    public async Task However_acceptance_and_collection_meet_an_accepted_message_is_whole()
    {
        await using var store = await OpenAsync(TimeSpan.Zero);
        // A process of its own: the two must not share a transaction.
        await using var other = await StoreFixture.PostgresAsync(
            store.Options.ConnectionString, options => options.AbandonedContentAge = TimeSpan.Zero, () => ValueTask.CompletedTask);
        var (accepted, refused) = (0, 0);
        for (var round = 0; round < 60; round++)
        {
            var id = await store.Messages.NextMessageIdAsync(default);
            await using var writer = store.Messages.CreateContent(id);
            await writer.AppendAsync(new byte[Bytes], default);
            await other.History.ReclaimSpaceAsync(default);
            var collecting = Task.Run(() => other.History.ReclaimSpaceAsync(default), TestContext.Current.CancellationToken);
            try
            {
                await store.Messages.AcceptAsync(Message(store, id), writer, default);
                await collecting;
                accepted++;
                Assert.Equal(Bytes, (await store.ReadAsync(id)).Length);
            }
            catch (StorageUnavailableException)
            {
                await collecting;
                refused++;
                Assert.Null(await store.History.FindAsync(id, default));
            }
        }
        Assert.Equal(60, accepted + refused);
    }

    private Task<StoreFixture> OpenAsync(TimeSpan age) => postgres.OpenAsync(options => options.AbandonedContentAge = age);

    private static Envelope Message(StoreFixture store, long id) =>
        new(id, "sender@example.org", ["a@example.net"], Bytes, BodyType.SevenBit, store.Time.GetUtcNow(), "");

    private static async Task<long> ChunksWithoutOwnerAsync(StoreFixture store) =>
        (await store.CountAsync()).ChunksWithoutOwner;
}
