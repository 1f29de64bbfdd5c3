using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>Something outside the process without which it cannot begin.</summary>
/// <param name="Name">As the operator knows it.</param>
/// <param name="ProbeAsync">Null when it is there, otherwise why it is not. Throws when waiting would not help.</param>
/// <param name="MayTakeLong">The probe does something that must not be begun again and again; it is waited for to its end.</param>
public sealed record Dependency(string Name, Func<CancellationToken, Task<string?>> ProbeAsync, bool MayTakeLong = false);

/// <summary>
/// Where a process waits for what it needs: it says for what, and goes on as soon as everything is there.
/// </summary>
internal static partial class DependencyWait
{
    private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(10);
    private static readonly string s_noAnswer = $"no answer within {s_patience.TotalSeconds:0} s";
    private static readonly string s_takesLong = $"it takes longer than {s_patience.TotalSeconds:0} s";

    /// <returns>False when the process was told to stop meanwhile.</returns>
    public static async Task<bool> WaitAsync(IServiceProvider services, HealthDoor door, CancellationToken cancellation)
    {
        var log = services.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.ServiceDefaults");
        var time = services.GetRequiredService<TimeProvider>();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation, door.Stopping);
        foreach (var dependency in services.GetServices<Dependency>())
        {
            var said = "";
            while (true)
            {
                using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(stop.Token);
                var probing = ProbeAsync(dependency, giveUp.Token);
                if (await Task.WhenAny(probing, Task.Delay(s_patience, time, stop.Token)) != probing && !stop.IsCancellationRequested)
                {
                    if (dependency.MayTakeLong)
                        Say(s_takesLong);
                    else
                        await giveUp.CancelAsync();
                }
                if (await probing is not { } reason)
                    break;
                if (!stop.IsCancellationRequested)
                {
                    Say(reason);
                    await Task.Delay(s_pause, time, stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }
                if (stop.IsCancellationRequested)
                    return false;
            }
            if (said.Length > 0)
                LogThere(log, dependency.Name);

            void Say(string reason)
            {
                if (said == reason)
                    return;
                LogWaiting(log, dependency.Name, said = reason);
                door.Say($"Waiting for {dependency.Name}");
            }
        }
        door.Say("Starting");
        return !stop.IsCancellationRequested;
    }

    private static async Task<string?> ProbeAsync(Dependency dependency, CancellationToken giveUp)
    {
        try
        {
            return await dependency.ProbeAsync(giveUp);
        }
        catch (OperationCanceledException) when (giveUp.IsCancellationRequested)
        {
            return s_noAnswer;
        }
    }

    [LoggerMessage(6010, LogLevel.Warning, "Waiting for {Dependency}: {Reason}")]
    private static partial void LogWaiting(ILogger log, string dependency, string reason);

    [LoggerMessage(6011, LogLevel.Information, "{Dependency} is there")]
    private static partial void LogThere(ILogger log, string dependency);
}
