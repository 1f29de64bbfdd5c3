using MailPipeline.Queue.Events;

namespace MailPipeline.Queue.Reconciling;

/// <summary>All duties. Each has a grain of its own, one in the cluster, so that none waits for another.</summary>
internal static class Duties
{
    public static IServiceCollection AddDuties(this IServiceCollection services, EventOptions events)
    {
        for (var i = 0; i < events.Receivers; i++)
        {
            var number = i;
            services.AddSingleton<IDuty>(provider => new EventSending(
                provider.GetRequiredService<EventReceivers>(), number, provider.GetRequiredService<IHostApplicationLifetime>()));
        }

        return services.AddDuties();
    }

    private static IServiceCollection AddDuties(this IServiceCollection services) => services
        .AddSingleton<IDuty, ForgottenMessages>()
        .AddSingleton<IDuty, DueDomains>()
        .AddSingleton<IDuty>(provider => provider.GetRequiredService<DeadWorkers>())
        .AddSingleton<IDuty, OwnerlessRecipients>()
        .AddSingleton<IDuty, OwedReports>()
        .AddSingleton<IDuty, LateMail>()
        .AddSingleton<IDuty, TlsReporting>()
        .AddSingleton<IDuty, DmarcReporting>()
        .AddSingleton<IDuty, DmarcReading>()
        .AddSingleton<IDuty, EventKeeping>()
        .AddSingleton<IDuty, FeedbackReading>()
        .AddSingleton<IDuty, Deadlines>()
        .AddSingleton<IDuty, RuleActs>()
        .AddSingleton<QueueRules>()
        .AddSingleton<IDuty, StateKeeping>()
        .AddSingleton<IDuty, QueueMeasuring>()
        .AddSingleton<IDuty, SenderCounting>()
        .AddSingleton<IDuty, Housekeeping>();
}
