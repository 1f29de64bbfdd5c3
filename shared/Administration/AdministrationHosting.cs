using MailPipeline.MtaSts;
using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Administration;

public static class AdministrationHosting
{
    /// <summary>Registers what an operator can ask and do. Needs the store beside it.</summary>
    public static IServiceCollection AddAdministration(this IServiceCollection services) => services
        .AddSingleton<Domains>().AddSingleton<Accounts>().AddSingleton<Aliases>().AddSingleton<Messages>().AddSingleton<DeliveryQueue>()
        .AddSingleton<TlsPolicies>().AddSingleton<DmarcOverview>().AddSingleton<EventOverview>().AddSingleton<AuditTrail>().AddSingleton<Bans>().AddSingleton<ApiTokens>().AddSingleton<Suppressions>()
        .AddSingleton<Rules>();

    /// <summary>Registers what an operator can ask of DNS and of messages. Needs DNS beside it (AddDns), and no store.</summary>
    public static IServiceCollection AddAdministrationChecks(this IServiceCollection services) => services
        .AddSingleton<SenderCheck>().AddSingleton<MessageCheck>().AddSingleton<DomainCheck>()
        .AddSingleton<IPolicyHosts, PublishedHosts>()
        .AddSingleton(provider => new StsFetch(
            provider.GetRequiredService<IPolicyHosts>(), new TrustedRoots(""), PublishedStsPolicy.Timeout, provider.GetRequiredService<TimeProvider>()))
        .AddSingleton<SuffixList>();
}
