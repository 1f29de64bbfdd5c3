using MailPipeline.Console;
using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

return await ServiceHost.RunAsync("console", args, ["maildb"], AddSettings, Compose, ConsoleHosting.MapConsole);

static void Compose(WebApplicationBuilder builder)
{
    builder.AddSharedMailDatabase();
    builder.StayReadyWithoutStore();
    builder.AddConsole();
}

static void AddSettings(IServiceCollection services)
{
    services.AddConsoleSettings();
    services.AddMailDatabaseSettings();
}
