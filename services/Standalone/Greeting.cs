using System.Globalization;

namespace MailPipeline.Standalone;

/// <summary>What a person sees who has just started the server: what listens where, and what to try next.</summary>
internal static class Greeting
{
    public static void Write(TextWriter output, IConfiguration settings, Arguments arguments)
    {
        var folder = Path.GetRelativePath(Directory.GetCurrentDirectory(), arguments.DataFolder);
        output.WriteLine($"MailPipeline runs; its data is in {(folder.StartsWith("..", StringComparison.Ordinal) ? arguments.DataFolder : folder)}");
        foreach (var line in Listeners(settings))
            output.WriteLine(line);

        var again = "dotnet run --project services/Standalone --" +
            (arguments.DataFolder == Arguments.DefaultDataFolder ? "" : $" --data {arguments.DataFolder}");
        var submission = PortOf(settings, "Ingress", "Submission");
        var mx = PortOf(settings, "Ingress", "Mx");
        var pop3 = PortOf(settings, "Mailbox", kind: null);
        output.WriteLine($"""

            Try next, in another terminal:
              {again} domain add example.org
              echo s3cret | {again} account add ann@example.org
              swaks --server 127.0.0.1:{mx} --from you@example.net --to ann@example.org
              swaks --server 127.0.0.1:{submission} -tls --auth PLAIN --auth-user ann@example.org --auth-password s3cret --from ann@example.org --to ann@example.org
              curl --ssl-reqd -k -u ann@example.org:s3cret pop3://127.0.0.1:{pop3}/1
            Or see a whole tour: dotnet run --project services/Standalone -- demo
            """);
        output.Flush();
    }

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
                yield return string.Create(CultureInfo.InvariantCulture,
                    $"  {protocol}  {listener["Address"]}:{listener["Port"],-6} {listener["Name"]}, {tls}");
            }
        }
        yield return $"  HTTP  {settings["Http:Address"]}:{settings["Http:Port"],-6} /health/live /health/ready /metrics";
    }

    private static string PortOf(IConfiguration settings, string service, string? kind) =>
        settings.GetSection($"{service}:Listeners").GetChildren()
            .FirstOrDefault(listener => kind is null || string.Equals(listener["Kind"], kind, StringComparison.OrdinalIgnoreCase))?["Port"] ?? "?";
}
