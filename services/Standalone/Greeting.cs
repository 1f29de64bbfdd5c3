using System.Globalization;
using MailPipeline.Ingress;
using MailPipeline.Mailbox;
using MailPipeline.ServiceDefaults;
using MailPipeline.Smtp;

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
        // Also of those that a user has added, with what holds where he has said nothing.
        foreach (var listener in ListenersOf<ListenerOptions>(settings, "Ingress"))
        {
            var tls = listener.Tls switch { TlsMode.Implicit => "TLS", TlsMode.None => "no TLS", _ => "STARTTLS" };
            yield return listener.Kind == ListenerKind.Lmtp
                ? $"  LMTP  {(listener.Socket.Length > 0 ? listener.Socket : $"{listener.Address}:{listener.PortOrDefault}")} {listener.NameOrDefault}, {tls}"
                : Line("SMTP", listener.Address, listener.PortOrDefault, listener.NameOrDefault, tls);
        }

        foreach (var listener in ListenersOf<MailboxListener>(settings, "Mailbox"))
        {
            var tls = listener.Tls switch { ListenerTls.Implicit => "TLS", ListenerTls.None => "no TLS", _ => "STLS" };
            yield return Line("POP3", listener.Address, listener.Port, listener.Name, tls);
        }

        yield return $"  HTTP  {settings["Http:Address"]}:{settings["Http:Port"],-6} /health/live /health/ready /metrics{(settings.GetValue("Console:Enabled", true) ? " /api/v1" : "")}";
    }

    private static string Line(string protocol, string address, int port, string name, string tls) =>
        string.Create(CultureInfo.InvariantCulture, $"  {protocol}  {address}:{port,-6} {name}, {tls}");

    private static IEnumerable<T> ListenersOf<T>(IConfiguration settings, string service)
        where T : class => settings.GetSection($"{service}:Listeners").GetChildren().Select(listener => listener.Get<T>()!);

    private static string PortOf(IConfiguration settings, string service, string? kind) =>
        settings.GetSection($"{service}:Listeners").GetChildren()
            .FirstOrDefault(listener => kind is null || string.Equals(listener["Kind"], kind, StringComparison.OrdinalIgnoreCase))?["Port"] ?? "?";
}
