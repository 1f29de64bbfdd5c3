using MailPipeline.Mail;
using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("queue", args, ["maildb", "rabbitmq", "redis"], AddSettings, builder =>
{
    builder.AddSharedMailDatabase();
    builder.AddQueue();
    builder.AddMailBus(bus => bus.AddQueueConsumers());
});

static void AddSettings(IServiceCollection services)
{
    services.AddQueueSettings();
    services.AddMailDatabaseSettings();
}
