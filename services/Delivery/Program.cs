using MailPipeline.Delivery;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("delivery", args, ["maildb", "rabbitmq"], builder =>
{
    builder.AddDelivery();
    builder.AddMailBus(bus => bus.AddDeliveryConsumers());
});
