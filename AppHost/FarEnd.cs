namespace MailPipeline.AppHost;

/// <summary>
/// Where mail for other domains goes instead of to the world: Mailpit, which shows it in a browser. With installed servers there
/// are no containers; then it is whatever listens at the setting <c>FarEnd</c>.
/// </summary>
internal static class FarEnd
{
    private const int SmtpPort = 11025;

    /// <returns>host:port.</returns>
    public static string Add(IDistributedApplicationBuilder builder)
    {
        if (builder.Configuration["FarEnd"] is { Length: > 0 } address)
            return address;
        if (!string.Equals(builder.Configuration[Servers.Setting], Servers.Installed, StringComparison.OrdinalIgnoreCase))
        {
            builder.AddContainer("far-end", "axllent/mailpit", "v1.27")
                .WithEndpoint(port: SmtpPort, targetPort: 1025, scheme: "tcp", name: "smtp")
                .WithHttpEndpoint(targetPort: 8025, name: "http");
        }
        return $"127.0.0.1:{SmtpPort}";
    }
}
