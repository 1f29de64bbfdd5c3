using MailPipeline.Mailbox;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("mailbox", args, ["maildb", "rabbitmq"], builder =>
{
    builder.StayReadyWithoutStore();
    builder.AddMailbox();
    builder.AddMailBus(bus => bus.AddMailboxConsumers());
});
