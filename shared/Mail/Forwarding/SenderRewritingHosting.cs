using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace MailPipeline.Mail;

/// <summary>Puts together what rewrites senders. Services of one process that each add it share it.</summary>
public static class SenderRewritingHosting
{
    public static void AddSenderRewriting(this IServiceCollection services)
    {
        services.AddSenderRewritingSettings();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<SenderRewriting>();
    }

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddSenderRewritingSettings(this IServiceCollection services)
    {
        if (services.Any(service => service.ImplementationType == typeof(SenderRewritingOptionsValidator)))
            return;
        services.AddSettings<SenderRewritingOptions, SenderRewritingOptionsValidator>(SenderRewritingOptions.Section);
    }
}
