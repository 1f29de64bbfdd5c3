using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Authentication.Dkim;

/// <summary>Puts the keys together that mail is signed with. Services of one process that each add them share them.</summary>
public static class DkimHosting
{
    public static void AddDkimKeys(this IServiceCollection services)
    {
        services.AddDkimSettings();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<SigningKeys>();
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddDkimSettings(this IServiceCollection services)
    {
        if (services.Any(service => service.ImplementationType == typeof(DkimOptionsValidator)))
            return;
        services.AddSettings<DkimOptions, DkimOptionsValidator>(DkimOptions.Section);
    }
}

internal sealed class DkimOptionsValidator : IValidateOptions<DkimOptions>
{
    public ValidateOptionsResult Validate(string? name, DkimOptions options)
    {
        if (options.CheckInterval < TimeSpan.FromMilliseconds(10) || options.CheckInterval > TimeSpan.FromDays(1))
            return ValidateOptionsResult.Fail($"Dkim:CheckInterval is {options.CheckInterval}; it must be 10 ms to 1 day");
        return options.KeyFolder.Length > 0 && File.Exists(options.KeyFolder)
            ? ValidateOptionsResult.Fail($"Dkim:KeyFolder is '{options.KeyFolder}', which is a file; it must be a folder") : ValidateOptionsResult.Success;
    }
}
