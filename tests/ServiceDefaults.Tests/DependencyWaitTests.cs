using Microsoft.Extensions.Logging.Testing;

namespace MailPipeline.ServiceDefaults.Tests;

/// <summary>What is said while a process waits for what it needs.</summary>
public sealed class DependencyWaitTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stop_ends_the_waiting_without_another_word(bool mayTakeLong)
    {
        using var log = new FakeLoggerProvider();
        using var stop = new CancellationTokenSource();
        var asked = new TaskCompletionSource();
        await using var services = new ServiceCollection()
            .AddLogging(logging => logging.AddProvider(log))
            .AddSingleton(TimeProvider.System)
            .AddSingleton(new Dependency("a store", ProbeAsync, mayTakeLong))
            .BuildServiceProvider();

        await using var door = new HealthDoor();
        var waiting = DependencyWait.WaitAsync(services, door, stop.Token);
        await asked.Task;
        await stop.CancelAsync();

        Assert.False(await waiting);
        Assert.Empty(log.Collector.GetSnapshot());

        async Task<string?> ProbeAsync(CancellationToken cancellation)
        {
            asked.SetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, cancellation);
            return null;
        }
    }
}
