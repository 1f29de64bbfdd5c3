using Aspire.Hosting.ApplicationModel;
using MailPipeline.AppHost;

// The whole pipeline on one machine: three servers, two of each service, and a far end that shows what leaves.
// Everything here speaks in clear on this machine: no development certificate is needed, and none is asked for.
var builder = DistributedApplication.CreateBuilder(new DistributedApplicationOptions { Args = args, TrustDeveloperCertificate = false });
var servers = Servers.Add(builder);
var farEnd = FarEnd.Add(builder);

var ingress = builder.AddProject<Projects.Ingress>("ingress")
    .WithReplicas(2)
    .WithHttpEndpoint(name: "http", env: "Http__Port")
    .WithHttpHealthCheck("/health/ready", endpointName: "http")
    // Proxied, because replicas share the outer port; each reads its own from the variable.
    .WithEndpoint(port: 2525, scheme: "tcp", name: "smtp", env: "Ingress__Listeners__0__Port", isExternal: true)
    .WithEnvironment("Ingress__Listeners__0__Name", "mx")
    .WithEnvironment("Ingress__Listeners__0__Kind", "Mx")
    .WithEndpoint(port: 2587, scheme: "tcp", name: "submission", env: "Ingress__Listeners__1__Port", isExternal: true)
    .WithEnvironment("Ingress__Listeners__1__Name", "submission")
    .WithEnvironment("Ingress__Listeners__1__Kind", "Submission")
    // This machine may relay; what it sends to others ends at the far end.
    .WithEnvironment("Ingress__RelayClients__0", "127.0.0.0/8")
    .WithReference(servers.MailDb).WaitFor(servers.MailDb)
    .WithReference(servers.RabbitMq).WaitFor(servers.RabbitMq);
var operation = new OperatorCommands(servers.MailDb.Resource);
var testMessage = new TestMessage(operation.TimelineAsync, TimeProvider.System);
var smtp = ingress.GetEndpoint("smtp");
ingress.WithCommand(
    "send-test-message", "Send a test message",
    context => testMessage.SendAsync(smtp.Host, smtp.Port, context.CancellationToken),
    new CommandOptions
    {
        IconName = "MailArrowUp",
        Description = "From test@example.org to somebody@example.net, by SMTP; says what became of it",
    });

builder.AddProject<Projects.Queue>("queue")
    .WithReplicas(2)
    .WithHttpEndpoint(name: "http", env: "Http__Port")
    .WithHttpHealthCheck("/health/ready", endpointName: "http")
    // Silos speak to each other directly, on the port that each reads here and tells the others.
    .WithEndpoint(scheme: "tcp", name: "silo", env: "Queue__SiloPort")
    .WithReference(servers.MailDb).WaitFor(servers.MailDb)
    .WithReference(servers.RabbitMq).WaitFor(servers.RabbitMq)
    .WithReference(servers.Redis).WaitFor(servers.Redis)
    .WithCommand(
        "pause-delivery", "Pause delivery", context => operation.PauseAsync(context.CancellationToken),
        new CommandOptions { IconName = "Pause", Description = "Nothing is handed out any more; mail is accepted as before" })
    .WithCommand(
        "resume-delivery", "Resume delivery", context => operation.ResumeAsync(context.CancellationToken),
        new CommandOptions { IconName = "Play", Description = "What is due is handed out again" });

builder.AddProject<Projects.Delivery>("delivery")
    .WithReplicas(2)
    .WithHttpEndpoint(name: "http", env: "Http__Port")
    .WithHttpHealthCheck("/health/ready", endpointName: "http")
    // Nothing leaves this machine.
    .WithEnvironment("Delivery__Routes", $"*={farEnd}")
    .WithReference(servers.MailDb).WaitFor(servers.MailDb)
    .WithReference(servers.RabbitMq).WaitFor(servers.RabbitMq);

builder.AddProject<Projects.Mailbox>("mailbox")
    .WithReplicas(2)
    .WithHttpEndpoint(name: "http", env: "Http__Port")
    .WithHttpHealthCheck("/health/ready", endpointName: "http")
    .WithEndpoint(port: 2110, scheme: "tcp", name: "pop3", env: "Mailbox__Listeners__0__Port", isExternal: true)
    .WithReference(servers.MailDb).WaitFor(servers.MailDb)
    .WithReference(servers.RabbitMq).WaitFor(servers.RabbitMq);

builder.AddProject<Projects.Console>("console")
    .WithReplicas(2)
    // Of this machine alone, so that tokens may come in clear text.
    .WithHttpEndpoint(name: "http", env: "Http__Port")
    .WithHttpHealthCheck("/health/ready", endpointName: "http")
    .WithReference(servers.MailDb).WaitFor(servers.MailDb);

await builder.Build().RunAsync();
