namespace MailPipeline.Testing;

/// <summary>Finds the built programs of the product; the configuration (Debug or Release) of the running tests is taken.</summary>
public static class BuiltProgram
{
    public static string DotNet => Environment.GetEnvironmentVariable("DOTNET_HOST_PATH") ?? "dotnet";

    /// <summary>The operator's program.</summary>
    public static string Mail => Find("Commands", "mail");

    /// <param name="service">Its folder in services, e.g. <c>Ingress</c>.</param>
    /// <returns>Path of the assembly, to be run by <see cref="DotNet"/>.</returns>
    public static string Find(string service) => Find(service, $"MailPipeline.{service}");

    private static string Find(string service, string assembly)
    {
        // .../tests/X.Tests/bin/Release/net10.0/ -> .../services/Ingress/bin/Release/net10.0/
        var output = AppContext.BaseDirectory.TrimEnd('/').Split("/bin/")[^1];
        var program = FindInRepository(Path.Combine("services", service, "bin", output, assembly + ".dll"));
        return File.Exists(program)
            ? program
            : throw new FileNotFoundException($"{service} is not built: {program} is missing. Build MailPipeline.sln first.");
    }

    /// <summary>The whole path of a file of the repository, whether it is there or not.</summary>
    public static string FindInRepository(string path)
    {
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "MailPipeline.sln")))
                return Path.Combine(folder.FullName, path);
        }
        throw new FileNotFoundException($"No MailPipeline.sln above {AppContext.BaseDirectory}");
    }
}
