using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Storage;

public static class StorageHosting
{
    /// <summary>Registers the engine that the options name. Whoever composes the process opens it.</summary>
    /// <exception cref="OptionsValidationException">A setting is out of its range.</exception>
    public static IServiceCollection AddStorageEngine(this IServiceCollection services, StorageOptions options)
    {
        var checkedOptions = new StorageOptionsValidator().Validate(StorageOptions.SectionName, options);
        if (checkedOptions.Failed)
            throw new OptionsValidationException(StorageOptions.SectionName, typeof(StorageOptions), checkedOptions.Failures);
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(options);
        services.AddSingleton<MailDatabase>();
        return services;
    }
}
