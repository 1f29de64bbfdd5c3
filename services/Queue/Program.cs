using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("queue", args, ["maildb", "rabbitmq", "redis"], services => services.AddQueueSettings(), builder =>
{
    builder.AddQueue();
    builder.AddMailBus(bus => bus.AddQueueConsumers());
});
