using MailPipeline.Queue;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("queue", args, ["maildb", "rabbitmq", "redis"], builder =>
{
    builder.AddQueue();
    builder.AddMailBus(bus => bus.AddQueueConsumers());
});
