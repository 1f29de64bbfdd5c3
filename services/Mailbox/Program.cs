using MailPipeline.Mailbox;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("mailbox", args, ["maildb", "rabbitmq"], services => services.AddMailboxSettings(), builder =>
{
    builder.StayReadyWithoutStore();
    builder.AddMailbox();
    builder.AddMailBus(bus => bus.AddMailboxConsumers());
});
