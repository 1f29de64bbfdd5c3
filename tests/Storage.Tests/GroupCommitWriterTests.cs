using System.Data.Common;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging.Testing;
using Microsoft.Extensions.Time.Testing;

namespace MailPipeline.Storage.Tests;

/// <summary>What the log says of transactions that fail.</summary>
public sealed class GroupCommitWriterTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly FakeLogger _log = new();
    private readonly FailingEngine _engine = new();

    [Fact]
    public async Task While_the_store_is_away_one_failure_is_shown_and_the_end_says_how_many_there_were()
    {
        using var meters = new Meters();
        using var writer = new GroupCommitWriter(_engine, 10, new StorageTelemetry(meters), _time, _log);
        for (var outage = 1; outage <= 2; outage++)
        {
            _log.Collector.Clear();
            _engine.Fault = StorageFault.Unavailable;
            for (var i = 0; i < 4; i++)
                await FailAsync(writer);
            Assert.NotNull(Assert.Single(Records()).Exception);
            // Another reason is news, and what one caller asked for is a failure of its own each time.
            _engine.Fault = StorageFault.Full;
            await FailAsync(writer);
            await FailAsync(writer);
            Assert.Equal(2, Records().Count);
            _engine.Fault = StorageFault.Refused;
            await FailAsync(writer);
            await FailAsync(writer);
            Assert.Equal(4, Records().Count);

            _time.Advance(TimeSpan.FromSeconds(95));
            _engine.Fault = null;
            await writer.WriteAsync(_ => ValueTask.FromResult(true));
            await writer.WriteAsync(_ => ValueTask.FromResult(true));
            Assert.Equal("The store commits again: 6 transactions failed within 95 s, of which the first is shown", Records()[4].Message);
            Assert.Equal(5, Records().Count);
        }
    }

    private IReadOnlyList<FakeLogRecord> Records() => _log.Collector.GetSnapshot();

    private static Task FailAsync(GroupCommitWriter writer) =>
        Assert.ThrowsAsync<StorageUnavailableException>(() => writer.WriteAsync(_ => ValueTask.FromResult(true)));

    private sealed class Meters : IMeterFactory
    {
        private readonly List<Meter> _made = [];

        public Meter Create(MeterOptions options)
        {
            _made.Add(new Meter(options));
            return _made[^1];
        }

        public void Dispose() => _made.ForEach(meter => meter.Dispose());
    }

    /// <summary>Commits nothing, and fails as it is told to.</summary>
    private sealed class FailingEngine : StorageEngine
    {
        private volatile object? _fault;

        public StorageFault? Fault
        {
            get => (StorageFault?)_fault;
            set => _fault = value;
        }

        public override SqlDialect Dialect => SqlDialect.Sqlite;

        public override bool SingleProcess => true;

        public override int MaxInlineBytes => 0;

        public override void RunTransaction(ReadOnlySpan<WriteWork> works)
        {
            if (Fault is { } fault)
                throw new StorageUnavailableException(fault, "failed");
        }

        public override StorageUnavailableException? Classify(Exception exception) => exception as StorageUnavailableException;

        public override Task OpenAsync(Migrations migrations, CancellationToken cancellationToken) => Task.CompletedTask;

        public override Task<List<T>> QueryAsync<T>(
            Statement statement, Func<DbDataReader, T> map, SqlValue[] values, CancellationToken cancellationToken) => throw new NotSupportedException();

        public override ValueTask<ContentChunk> SpillAsync(long chunkId, byte[] bytes, int length, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public override ValueTask DiscardAsync(IReadOnlyList<ContentChunk> chunks) => throw new NotSupportedException();

        public override ValueTask ReadSegmentAsync(ContentChunk chunk, Memory<byte> buffer, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public override ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
