using Aspire.Hosting.ApplicationModel;

namespace MailPipeline.AppHost;

/// <summary>
/// PostgreSQL, RabbitMQ and Redis: in containers, or, with the setting <c>Servers=installed</c>, those that run already and are
/// named by the connection strings <c>maildb</c>, <c>rabbitmq</c> and <c>redis</c>.
/// </summary>
internal sealed record Servers(
    IResourceBuilder<IResourceWithConnectionString> MailDb,
    IResourceBuilder<IResourceWithConnectionString> RabbitMq,
    IResourceBuilder<IResourceWithConnectionString> Redis)
{
    public const string Setting = "Servers";
    public const string Installed = "installed";

    public static Servers Add(IDistributedApplicationBuilder builder)
    {
        if (string.Equals(builder.Configuration[Setting], Installed, StringComparison.OrdinalIgnoreCase))
        {
            return new Servers(
                builder.AddConnectionString("maildb"), builder.AddConnectionString("rabbitmq"), builder.AddConnectionString("redis"));
        }
        return new Servers(
            builder.AddPostgres("postgres").WithDataVolume().AddDatabase("maildb"),
            // Erlang's schedulers spin a while before they sleep; a developer's machine has better to do.
            builder.AddRabbitMQ("rabbitmq").WithManagementPlugin().WithDataVolume()
                .WithEnvironment("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none"),
            builder.AddRedis("redis"));
    }
}
