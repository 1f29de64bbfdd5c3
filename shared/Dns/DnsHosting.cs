using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;

namespace MailPipeline.Dns;

/// <summary>Puts look-ups together. Services of one process that each add them share servers, settings and answers.</summary>
public static class DnsHosting
{
    public static void AddDns(this IServiceCollection services)
    {
        services.AddDnsSettings();
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<IDnsLookup, DnsLookup>();
        services.TryAddSingleton<UnansweredQuestions>();
        services.TryAddSingleton<DnsCache>();
    }

    /// <summary>The text is an address, or address:port, as a server is named in settings.</summary>
    public static bool IsServer(string text) => DnsLookup.TryParseServer(text, out _);

    /// <summary>The settings alone, for who only wants to check them.</summary>
    public static void AddDnsSettings(this IServiceCollection services)
    {
        // Bound a second time, a list would have each of its entries twice.
        if (services.Any(service => service.ImplementationType == typeof(DnsServersValidator)))
            return;
        services.AddSettings<DnsOptions, DnsOptionsValidator>(DnsOptions.Section);
        services.AddSingleton<IValidateOptions<DnsOptions>, DnsServersValidator>();
    }
}
