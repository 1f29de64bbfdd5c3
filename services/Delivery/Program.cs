using MailPipeline.Delivery;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;
using Microsoft.Extensions.Configuration.Memory;

return await ServiceHost.RunAsync("delivery", args, ["maildb", "rabbitmq"], AddSettings, builder =>
{
    builder.AddSharedMailDatabase();
    // Beneath the operator's own settings.
    builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = DeliveryHosting.DefaultsBesideOthers(builder.Configuration) });
    builder.AddDelivery();
    builder.AddMailBus(bus => bus.AddDeliveryConsumers());
});

static void AddSettings(IServiceCollection services)
{
    services.AddDeliverySettings();
    services.AddMailDatabaseSettings();
}
