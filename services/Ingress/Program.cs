using MailPipeline.Ingress;
using MailPipeline.ServiceDefaults;

SocketCompletions.Inline();
return await ServiceHost.RunAsync("ingress", args, ["maildb", "rabbitmq"], builder =>
{
    builder.StayReadyWithoutStore();
    builder.AddIngress();
    builder.AddMailBus(_ => { });
});
