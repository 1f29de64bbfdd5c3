using MailPipeline.Delivery;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Configuration.Memory;

return await ServiceHost.RunAsync("delivery", args, ["maildb", "rabbitmq"], services => services.AddDeliverySettings(), builder =>
{
    // Beneath the operator's own settings.
    builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = DeliveryHosting.DefaultsBesideOthers(builder.Configuration) });
    builder.AddDelivery();
    builder.AddMailBus(bus => bus.AddDeliveryConsumers());
});
