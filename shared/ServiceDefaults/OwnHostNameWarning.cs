using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>A setting that names this system towards others, and has <see cref="OwnHostName.Default"/> for its default.</summary>
internal sealed record HostNameSetting(string Key);

/// <summary>Says once, at the start, what this system calls itself where no setting says so.</summary>
internal sealed partial class OwnHostNameWarning(
    IEnumerable<HostNameSetting> settings, IConfiguration configuration, ILogger<OwnHostNameWarning> log) : IHostedLifecycleService
{
    // A start that fails says what it failed of, and nothing else.
    public Task StartedAsync(CancellationToken cancellationToken)
    {
        var unset = settings.Select(setting => setting.Key).Where(key => configuration[key] is null).ToList();
        if (unset.Count > 0)
        {
            var (keys, name) = (string.Join(", ", unset), OwnHostName.Default);
            if (name.IsAddress)
                LogAddress(log, keys, name.Text);
            else
                LogName(log, keys, name.Text);
        }

        return Task.CompletedTask;
    }

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(6015, LogLevel.Warning, "Not set: {Settings}. This system calls itself {Name}, as DNS does this machine")]
    private static partial void LogName(ILogger log, string settings, string name);

    [LoggerMessage(6016, LogLevel.Warning,
        "Not set: {Settings}. This system calls itself {Name}, as DNS has no full name for this machine; many servers refuse mail from such")]
    private static partial void LogAddress(ILogger log, string settings, string name);
}
