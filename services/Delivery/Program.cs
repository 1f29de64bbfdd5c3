using MailPipeline.Delivery;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Configuration.Memory;

return await ServiceHost.RunAsync("delivery", args, ["maildb", "rabbitmq"], builder =>
{
    // Beneath the operator's own setting: a connection that one process keeps for its next batch is one that the others, who get
    // that batch as well, do not know of, and then the domain's cap would not hold for all together.
    builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = [new("Delivery:IdleTime", "00:00:00")] });
    builder.AddDelivery();
    builder.AddMailBus(bus => bus.AddDeliveryConsumers());
});
