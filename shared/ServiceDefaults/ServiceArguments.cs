namespace MailPipeline.ServiceDefaults;

/// <summary>What the command line of a service may say: settings of its own sections, and <c>--help</c>.</summary>
public static class ServiceArguments
{
    /// <summary>Sections that belong to no options class.</summary>
    internal static readonly string[] Shared = ["ConnectionStrings", "Logging"];

    /// <returns>What is wrong with an option's name; null when it is a setting of one of the sections.</returns>
    public static string? FaultOf(string name, IReadOnlyList<string> sections)
    {
        var colon = name.IndexOf(':', StringComparison.Ordinal);
        if (!name.StartsWith("--", StringComparison.Ordinal) || colon < 0)
            return $"Unknown option {name}; settings are written --Section:Key=value";
        var section = name[2..colon];
        return sections.Contains(section, StringComparer.OrdinalIgnoreCase)
            ? null
            : $"There is no section of settings named '{section}'; there are {string.Join(", ", sections)}";
    }

    internal static bool AsksForHelp(IEnumerable<string> line) => line.Any(word => word is "--help" or "-h" or "help");

    /// <exception cref="StartupException">Something is no setting of this service.</exception>
    internal static void Check(IReadOnlyList<string> line, IReadOnlyList<string> sections)
    {
        for (var i = 0; i < line.Count; i++)
        {
            var equals = line[i].IndexOf('=', StringComparison.Ordinal);
            var name = equals < 0 ? line[i] : line[i][..equals];
            if (!name.StartsWith('-'))
                throw new StartupException($"'{line[i]}' is no setting; they are written --Section:Key=value");
            if (FaultOf(name, sections) is { } fault)
                throw new StartupException(fault);
            if (equals < 0 && ++i == line.Count)
                throw new StartupException($"{name} needs a value");
        }
    }

    internal static string Help(string serviceName, IReadOnlyList<string> sections, IReadOnlyList<string> connections) =>
        $"""
        MailPipeline {serviceName} {ProgramVersion.Text}, a service of its own beside the others.

        Usage: MailPipeline.{char.ToUpperInvariant(serviceName[0])}{serviceName[1..]} [--Section:Key=value ...]

          --Section:Key=value   any setting; also from appsettings.json in the working directory and the environment (Section__Key)
          --help                this text

        Sections:    {string.Join(", ", sections)}
        It needs:    {string.Join(", ", connections.Select(name => $"ConnectionStrings:{name}"))}
        Signals:     SIGTERM stops it in order; SIGHUP reads log levels, certificate and directory again
        Settings are described in services/{char.ToUpperInvariant(serviceName[0])}{serviceName[1..]}/README.md.
        """;
}
