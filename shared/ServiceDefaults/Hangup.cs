using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;

namespace MailPipeline.ServiceDefaults;

/// <summary>Answers that a part of the process remembers for a while. They are forgotten, and so asked for again, on SIGHUP.</summary>
public sealed record RememberedAnswers(Action Forget);

/// <summary>
/// SIGHUP: what can be read again is read again, and said; no session and no message notices. When it comes because the terminal
/// of the process is gone, the process stops in order.
/// </summary>
public sealed partial class Hangup : IDisposable
{
    private const string Terminal = "/dev/tty";

    private readonly Lock _lock = new();
    private readonly bool _hadTerminal = HasTerminal();
    private readonly PosixSignalRegistration _registration;
    private IServiceProvider? _services;
    private Action<IConfigurationRoot> _check = _ => { };
    private bool _came;

    private Hangup() => _registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle);

    /// <summary>From now until it is disposed the signal does not end the process. What comes before there are services waits for them.</summary>
    public static Hangup Hold() => new();

    /// <summary>The signal is for these services; one that came already is heeded now.</summary>
    /// <param name="check">Throws where the next start would not take these settings.</param>
    public void ListenFor(IServiceProvider services, Action<IConfigurationRoot> check)
    {
        lock (_lock)
        {
            (_services, _check) = (services, check);
            if (!_came)
                return;
        }
        Heed(services);
    }

    public void Dispose() => _registration.Dispose();

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        IServiceProvider services;
        lock (_lock)
        {
            _came = true;
            if (_services is null)
                return;
            services = _services;
        }
        Heed(services);
    }

    private void Heed(IServiceProvider services)
    {
        try
        {
            if (_hadTerminal && !HasTerminal())
                services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
            else
                ReadAgain(services, services.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.ServiceDefaults"));
        }
        catch (ObjectDisposedException)
        {
            // The process is about to end anyway.
        }
#pragma warning disable CA1031 // The runtime calls this, and nobody above it: whatever goes wrong would end the process.
        catch (Exception unexpected)
#pragma warning restore CA1031
        {
            LogNotRead(services.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.ServiceDefaults"), unexpected.Message);
        }
    }

    private void ReadAgain(IServiceProvider services, ILogger log)
    {
        var configuration = (IConfigurationRoot)services.GetRequiredService<IConfiguration>();
        try
        {
            Check(configuration);
            configuration.Reload();
            LogLevels(log);
        }
        catch (Exception unreadable) when (unreadable is StartupException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            LogNotRead(log, unreadable is StartupException ? unreadable.Message : unreadable.GetBaseException().Message);
        }
        try
        {
            if (services.GetService<ServerCertificate>() is { } certificate)
                LogCertificate(log, certificate.ReadAgain().NotAfter.ToUniversalTime());
        }
        catch (Exception unusable) when (unusable is ServerCertificateException or CryptographicException)
        {
            LogNotRead(log, unusable.Message);
        }
        foreach (var answers in services.GetServices<RememberedAnswers>())
            answers.Forget();
    }

    /// <summary>All settings as the next start would find them, before anything in the process is told of them.</summary>
    private void Check(IConfigurationRoot configuration)
    {
        var now = new ConfigurationBuilder();
        foreach (var provider in configuration.Providers)
        {
            if (provider is JsonConfigurationProvider file)
            {
                now.Add(new JsonConfigurationSource
                {
                    Path = file.Source.Path!, FileProvider = file.Source.FileProvider, Optional = file.Source.Optional, ReloadOnChange = false,
                });
            }
            else
            {
                now.AddInMemoryCollection(SettingsOf(provider, parent: null).ToList());
            }
        }
        using var read = (ConfigurationRoot)now.Build();
        try
        {
            read.CheckSharedSections();
            _check(read);
        }
        catch (Exception refused) when (refused is OptionsValidationException or AggregateException)
        {
            // With the values that were read, not with those in use. Of several sections the first that is refused is named.
            throw new StartupException(StartupFailure.Explain(refused, read) ?? refused.Message, refused);
        }
    }

    private static IEnumerable<KeyValuePair<string, string?>> SettingsOf(IConfigurationProvider provider, string? parent)
    {
        foreach (var key in provider.GetChildKeys([], parent).Distinct(StringComparer.OrdinalIgnoreCase))
        {
            var path = parent is null ? key : ConfigurationPath.Combine(parent, key);
            if (provider.TryGet(path, out var value))
                yield return new(path, value);
            foreach (var below in SettingsOf(provider, path))
                yield return below;
        }
    }

    private static bool HasTerminal()
    {
        try
        {
            using var terminal = File.OpenHandle(Terminal);
            return true;
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    [LoggerMessage(6030, LogLevel.Information, "SIGHUP: log levels and the directory are read again; other settings are those of the start")]
    private static partial void LogLevels(ILogger log);

    [LoggerMessage(6031, LogLevel.Information, "SIGHUP: the TLS certificate was looked at again; the one in use is valid until {NotAfter:u}")]
    private static partial void LogCertificate(ILogger log, DateTime notAfter);

    [LoggerMessage(6032, LogLevel.Error, "SIGHUP: not read again, what was before stays: {Reason}")]
    private static partial void LogNotRead(ILogger log, string reason);
}
