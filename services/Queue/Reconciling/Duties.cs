namespace MailPipeline.Queue.Reconciling;

/// <summary>All duties. Each has a grain of its own, one in the cluster, so that none waits for another.</summary>
internal static class Duties
{
    public static IServiceCollection AddDuties(this IServiceCollection services) => services
        .AddSingleton<IDuty, ForgottenMessages>()
        .AddSingleton<IDuty, DueDomains>()
        .AddSingleton<IDuty>(provider => provider.GetRequiredService<DeadWorkers>())
        .AddSingleton<IDuty, OwnerlessRecipients>()
        .AddSingleton<IDuty, OwedReports>()
        .AddSingleton<IDuty, LateMail>()
        .AddSingleton<IDuty, TlsReporting>()
        .AddSingleton<IDuty, DmarcReporting>()
        .AddSingleton<IDuty, DmarcReading>()
        .AddSingleton<IDuty, Deadlines>()
        .AddSingleton<IDuty, RuleActs>()
        .AddSingleton<QueueRules>()
        .AddSingleton<IDuty, StateKeeping>()
        .AddSingleton<IDuty, QueueMeasuring>()
        .AddSingleton<IDuty, SenderCounting>()
        .AddSingleton<IDuty, Housekeeping>();
}
