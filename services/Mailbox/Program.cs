using MailPipeline.Mail;
using MailPipeline.Mailbox;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("mailbox", args, ["maildb", "rabbitmq"], AddSettings, builder =>
{
    builder.AddSharedMailDatabase();
    builder.StayReadyWithoutStore();
    builder.AddMailbox();
    builder.AddMailBus(bus => bus.AddMailboxConsumers());
});

static void AddSettings(IServiceCollection services)
{
    services.AddMailboxSettings();
    services.AddMailDatabaseSettings();
    services.RequireMailboxListener();
}
