using MailPipeline.Ingress;
using MailPipeline.ServiceDefaults;

SocketCompletions.Inline();
return await ServiceHost.RunAsync("ingress", args, ["maildb", "rabbitmq"], services => services.AddIngressSettings(), builder =>
{
    builder.StayReadyWithoutStore();
    // What starts first stops last: the last hints still find the bus.
    builder.AddMailBus(_ => { });
    builder.AddIngress();
});
