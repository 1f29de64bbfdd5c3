using Microsoft.Extensions.DependencyInjection;

namespace MailPipeline.Administration;

public static class AdministrationHosting
{
    /// <summary>Registers what an operator can ask and do. Needs the store beside it.</summary>
    public static IServiceCollection AddAdministration(this IServiceCollection services) => services
        .AddSingleton<Domains>().AddSingleton<Accounts>().AddSingleton<Aliases>().AddSingleton<Messages>().AddSingleton<DeliveryQueue>()
        .AddSingleton<TlsPolicies>().AddSingleton<AuditTrail>().AddSingleton<Bans>();
}
