using MailPipeline.Queue.Domains;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Queue.Tests;

public sealed class OverdueBatchesTests
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 1, 12, 0, 0, TimeSpan.Zero));

    [Fact]
    public async Task Overdue_batches_of_many_domains_are_one_question()
    {
        var questions = new List<long[]>();
        var overdue = new OverdueBatches(
            batchIds =>
            {
                questions.Add([.. batchIds]);
                return Task.FromResult<IReadOnlySet<long>>(batchIds.Where(id => id % 2 == 0).ToHashSet());
            },
            _time);
        for (var round = 1; round <= 2; round++)
        {
            var asking = Enumerable.Range(1, 100).Select(id => overdue.FindHeldAsync([id])).ToList();
            await Until.TrueAsync(
                () =>
                {
                    _time.Advance(TimeSpan.FromMilliseconds(250));
                    return Task.FromResult(asking.TrueForAll(answer => answer.IsCompleted));
                },
                "all are answered");
            Assert.Equal(round, questions.Count);
            Assert.Equal(100, questions[^1].Length);
            Assert.True((await asking[1]).Contains(2));
            Assert.False((await asking[0]).Contains(1));
        }
    }
}
