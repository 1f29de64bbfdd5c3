using System.Runtime.InteropServices;
using System.Security.Cryptography;
using MailPipeline.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Configuration.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MailPipeline.ServiceDefaults;

/// <summary>
/// SIGHUP: what can be read again is read again, and said; no session and no message notices. When it comes because the terminal
/// of the process is gone, the process stops in order.
/// </summary>
public sealed partial class Hangup : IDisposable
{
    private const string Terminal = "/dev/tty";

    private readonly IServiceProvider _services;
    private readonly ILogger _log;
    private readonly bool _hadTerminal = HasTerminal();
    private readonly PosixSignalRegistration _registration;

    private Hangup(IServiceProvider services)
    {
        _services = services;
        _log = services.GetRequiredService<ILoggerFactory>().CreateLogger("MailPipeline.ServiceDefaults");
        _registration = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle);
    }

    /// <summary>From now until it is disposed the signal does not end the process.</summary>
    public static Hangup Listen(IServiceProvider services) => new(services);

    public void Dispose() => _registration.Dispose();

    private void Handle(PosixSignalContext context)
    {
        context.Cancel = true;
        if (_hadTerminal && !HasTerminal())
            _services.GetRequiredService<IHostApplicationLifetime>().StopApplication();
        else
            ReadAgain();
    }

    private void ReadAgain()
    {
        var configuration = (IConfigurationRoot)_services.GetRequiredService<IConfiguration>();
        try
        {
            Check(configuration);
            configuration.Reload();
            LogLevels();
        }
        catch (Exception unreadable) when (unreadable is StartupException or InvalidDataException or IOException or UnauthorizedAccessException)
        {
            LogNotRead(unreadable.GetBaseException().Message);
        }
        try
        {
            if (_services.GetService<ServerCertificate>() is { } certificate)
                LogCertificate(certificate.ReadAgain().NotAfter.ToUniversalTime());
        }
        catch (Exception unusable) when (unusable is ServerCertificateException or CryptographicException)
        {
            LogNotRead(unusable.Message);
        }
        _services.GetService<MailDirectory>()?.Forget();
    }

    /// <summary>The files as they are now, before anything in the process is told of them.</summary>
    private static void Check(IConfigurationRoot configuration)
    {
        var now = new ConfigurationBuilder();
        foreach (var file in configuration.Providers.OfType<JsonConfigurationProvider>())
        {
            now.Add(new JsonConfigurationSource
            {
                Path = file.Source.Path!, FileProvider = file.Source.FileProvider, Optional = file.Source.Optional, ReloadOnChange = false,
            });
        }
        using var read = (ConfigurationRoot)now.Build();
        read.CheckSharedSections();
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

    [LoggerMessage(6020, LogLevel.Information, "SIGHUP: log levels and the directory are read again; other settings are those of the start")]
    private partial void LogLevels();

    [LoggerMessage(6021, LogLevel.Information, "SIGHUP: the TLS certificate was looked at again; the one in use is valid until {NotAfter:u}")]
    private partial void LogCertificate(DateTime notAfter);

    [LoggerMessage(6022, LogLevel.Error, "SIGHUP: not read again, what was before stays: {Reason}")]
    private partial void LogNotRead(string reason);
}
