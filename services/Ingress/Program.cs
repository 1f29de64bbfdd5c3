using MailPipeline.Ingress;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

SocketCompletions.Inline();
return await ServiceHost.RunAsync("ingress", args, ["maildb", "rabbitmq"], AddSettings, builder =>
{
    builder.AddSharedMailDatabase();
    builder.StayReadyWithoutStore();
    // What starts first stops last: the last hints still find the bus.
    builder.AddMailBus(_ => { });
    builder.AddIngress();
});

static void AddSettings(IServiceCollection services)
{
    services.AddIngressSettings();
    services.AddMailDatabaseSettings();
    services.RequireIngressListener();
}
