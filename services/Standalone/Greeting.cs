using System.Globalization;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Standalone;

/// <summary>What a person sees who has just started the server: what listens where, and what to try next.</summary>
internal static class Greeting
{
    private const string SettingsFile = "appsettings.json";

    public static void Write(TextWriter output, WebApplicationBuilder builder, string dataFolder)
    {
        IConfiguration settings = builder.Configuration;
        var file = Path.Combine(builder.Environment.ContentRootPath, SettingsFile);
        output.WriteLine($"MailPipeline runs; its data is in {dataFolder}");
        output.WriteLine(File.Exists(file) ? $"  Settings are read from {file}" : $"  Settings would be read from {file}");
        foreach (var line in Listeners(settings))
            output.WriteLine(line);

        var submission = PortOf(settings, "Ingress", "Submission");
        var mx = PortOf(settings, "Ingress", "Mx");
        var pop3 = PortOf(settings, "Mailbox", kind: null);
        output.WriteLine($"""

            Try next, in another terminal:
              alias mail="{MailProgram.Shown} --data {Quote(dataFolder)}"
              mail domain add example.org
              echo s3cret-words | mail account add ann@example.org
              swaks --server 127.0.0.1:{mx} --from you@example.net --to ann@example.org
              swaks --server 127.0.0.1:{submission} -tls --auth PLAIN --auth-user ann@example.org --auth-password s3cret-words --from ann@example.org --to ann@example.org
              curl --ssl-reqd {Trust(settings)} -u ann@example.org:s3cret-words pop3://127.0.0.1:{pop3}/1
            Or see a whole tour: {Program()} demo
            """);
        output.Flush();
    }

    /// <summary>How this program is started again without building it.</summary>
    internal static string Program() =>
        Environment.ProcessPath is { } path && Path.GetFileNameWithoutExtension(path) != "dotnet"
            ? Quote(path)
            : $"dotnet {Quote(Path.Combine(AppContext.BaseDirectory, $"{typeof(Greeting).Assembly.GetName().Name}.dll"))}";

    /// <summary>A certificate of the operator's need not be for 127.0.0.1, which the one that is made here is.</summary>
    private static string Trust(IConfiguration settings) =>
        settings["Tls:CertificatePath"] is null
            ? $"--cacert {Quote(Path.GetFullPath(Path.Combine(settings["Tls:SelfSignedDirectory"]!, TlsOptions.SelfSignedCertificateFile)))}"
            : "-k";

    internal static string Quote(string path) => path.All(c => char.IsLetterOrDigit(c) || c is '/' or '.' or '-' or '_') ? path : $"'{path}'";

    private static IEnumerable<string> Listeners(IConfiguration settings)
    {
        foreach (var (service, protocol) in new[] { ("Ingress", "SMTP"), ("Mailbox", "POP3") })
        {
            foreach (var listener in settings.GetSection($"{service}:Listeners").GetChildren())
            {
                var tls = listener["Tls"] switch
                {
                    "Implicit" => "TLS",
                    "None" => "no TLS",
                    _ => protocol == "SMTP" ? "STARTTLS" : "STLS",
                };
                // It has no defaults here: it is open where the operator says so.
                if (string.Equals(listener["Kind"], "Lmtp", StringComparison.OrdinalIgnoreCase))
                    yield return $"  LMTP  {listener["Socket"] ?? $"{listener["Address"] ?? "127.0.0.1"}:{listener["Port"] ?? "24"}"} {listener["Name"] ?? "lmtp"}, {tls}";
                else
                    yield return string.Create(CultureInfo.InvariantCulture,
                        $"  {protocol}  {listener["Address"]}:{listener["Port"],-6} {listener["Name"]}, {tls}");
            }
        }
        yield return $"  HTTP  {settings["Http:Address"]}:{settings["Http:Port"],-6} /health/live /health/ready /metrics{(settings.GetValue("Console:Enabled", true) ? " /api/v1" : "")}";
    }

    private static string PortOf(IConfiguration settings, string service, string? kind) =>
        settings.GetSection($"{service}:Listeners").GetChildren()
            .FirstOrDefault(listener => kind is null || string.Equals(listener["Kind"], kind, StringComparison.OrdinalIgnoreCase))?["Port"] ?? "?";
}
