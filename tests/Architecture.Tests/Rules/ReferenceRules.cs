using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>Who may reference whom: AppHost and Standalone -> services -> shared -> packages.</summary>
internal static partial class ReferenceRules
{
    private const string Composition = "services/Standalone/Standalone.csproj";

    private const string ContractMapping = "shared/Mail/ContractMapping.cs";

    // Contracts, Sasl and Smtp stand alone: everybody can take them without taking a database or a host along.
    private static readonly Dictionary<string, string[]> SharedReferences = new(StringComparer.Ordinal)
    {
        ["shared/Contracts/Contracts.csproj"] = [],
        ["shared/Sasl/Sasl.csproj"] = [],
        ["shared/Smtp/Smtp.csproj"] = ["shared/Sasl/Sasl.csproj"],
        ["shared/MtaSts/MtaSts.csproj"] = ["shared/ServiceDefaults/ServiceDefaults.csproj", "shared/Smtp/Smtp.csproj"],
        ["shared/Storage/Storage.csproj"] = [],
        ["shared/Mail/Mail.csproj"] =
            [
                "shared/Contracts/Contracts.csproj", "shared/Sasl/Sasl.csproj", "shared/ServiceDefaults/ServiceDefaults.csproj",
                "shared/Smtp/Smtp.csproj", "shared/Storage/Storage.csproj",
            ],
        // For the text that is safe to show.
        ["shared/ServiceDefaults/ServiceDefaults.csproj"] = ["shared/Smtp/Smtp.csproj"],
        ["shared/Authentication/Authentication.csproj"] =
            ["shared/Dns/Dns.csproj", "shared/ServiceDefaults/ServiceDefaults.csproj", "shared/Smtp/Smtp.csproj"],
        ["shared/Administration/Administration.csproj"] =
            [
                "shared/Authentication/Authentication.csproj", "shared/Dns/Dns.csproj", "shared/Mail/Mail.csproj", "shared/MtaSts/MtaSts.csproj",
                "shared/Sasl/Sasl.csproj", "shared/ServiceDefaults/ServiceDefaults.csproj", "shared/Smtp/Smtp.csproj",
            ],
        ["shared/Dns/Dns.csproj"] = ["shared/ServiceDefaults/ServiceDefaults.csproj"],
        ["shared/LineServer/LineServer.csproj"] = ["shared/ServiceDefaults/ServiceDefaults.csproj", "shared/Smtp/Smtp.csproj"],
    };

    private static readonly Dictionary<string, string[]> SharedPackages = new(StringComparer.Ordinal)
    {
        // What serializers are generated with and from; no silo, no client.
        ["shared/Contracts/Contracts.csproj"] =
            ["Microsoft.Orleans.Serialization.Abstractions", "Microsoft.Orleans.Serialization", "Microsoft.Orleans.CodeGenerator"],
        ["shared/Sasl/Sasl.csproj"] = [],
        ["shared/Smtp/Smtp.csproj"] = [],
    };

    /// <summary>Packages that belong to some projects only; a name that ends with a dot is a prefix.</summary>
    private static readonly (string Package, string[] Projects)[] Owned =
    [
        ("Microsoft.Orleans.Server", ["services/Queue/Queue.csproj"]),
        ("Microsoft.Orleans.Clustering.Redis", ["services/Queue/Queue.csproj"]),
        ("StackExchange.Redis", ["services/Ingress/Ingress.csproj"]),
        ("DnsClient", []),
        ("Microsoft.Data.Sqlite", ["shared/Storage/Storage.csproj"]),
        ("Npgsql", ["shared/Storage/Storage.csproj"]),
        ("Microsoft.IdentityModel.", ["shared/Mail/Mail.csproj"]),
        ("NSec.Cryptography", ["shared/Authentication/Authentication.csproj", "shared/Mail/Mail.csproj"]),
        ("MailKit", []),
        ("Aspire.", ["AppHost/AppHost.csproj"]),
        ("Spectre.Console", ["services/Commands/Commands.csproj"]),
        ("System.CommandLine", ["services/Commands/Commands.csproj"]),
    ];

    /// <summary>References point down, and services know nothing of each other.</summary>
    public static IEnumerable<string> References_point_down(Tree tree) =>
        from project in tree.Projects
        from reference in project.References
        where !MayReference(project, reference)
        select $"{project.Path} must not reference {reference}";

    /// <summary>What a reference names is there.</summary>
    public static IEnumerable<string> References_exist(Tree tree) =>
        from project in tree.Projects
        from reference in project.References
        where !tree.Files.ContainsKey(reference)
        select $"{project.Path} references {reference}, which does not exist";

    /// <summary>The compiler sees what a project references itself, so that these rules see all that it uses.</summary>
    public static IEnumerable<string> Nothing_is_referenced_unsaid(Tree tree)
    {
        const string Property = "DisableTransitiveProjectReferences";
        const string Build = "Directory.Build.props";
        if (!tree.Files.GetValueOrDefault(Build, "").Contains($"<{Property}>true</{Property}>", StringComparison.Ordinal))
            yield return $"{Build} does not set {Property}";
        foreach (var (path, text) in tree.Files)
        {
            if (path != Build && (path.EndsWith(".csproj", StringComparison.Ordinal) || path.EndsWith(".props", StringComparison.Ordinal) || path.EndsWith(".targets", StringComparison.Ordinal))
                && text.Contains(Property, StringComparison.Ordinal))
            {
                yield return $"{path} must not set {Property}; {Build} does";
            }
        }
    }

    /// <summary>Contracts, Sasl and Smtp have no dependency beyond what stands: no hosting, no packages.</summary>
    public static IEnumerable<string> Contracts_Sasl_and_Smtp_depend_on_nothing(Tree tree)
    {
        foreach (var project in tree.Projects)
        {
            if (!SharedPackages.TryGetValue(project.Path, out var allowed))
                continue;
            foreach (var package in project.Packages.Except(allowed, StringComparer.Ordinal))
                yield return $"{project.Path} must not need the package {package}";
            foreach (var framework in project.Frameworks)
                yield return $"{project.Path} must not need the framework {framework}";
            if (project.Sdk != "Microsoft.NET.Sdk")
                yield return $"{project.Path} must use Microsoft.NET.Sdk, not {project.Sdk}";
        }
    }

    /// <summary>A package that is one project's business is no other's. Tests take what they need.</summary>
    public static IEnumerable<string> Packages_stay_with_their_owners(Tree tree) =>
        from project in tree.Projects
        where project.Layer != "tests"
        from package in project.Packages
        from owned in Owned
        where owned.Package.EndsWith('.') ? package.StartsWith(owned.Package, StringComparison.Ordinal) : package == owned.Package
        where !owned.Projects.Contains(project.Path)
        select $"{project.Path} must not need the package {package}";

    /// <summary>What serves lines serves those of any protocol: it takes the reader of lines from Smtp, and nothing else of it.</summary>
    public static IEnumerable<string> LineServer_knows_no_protocol(Tree tree) =>
        from file in tree.Sources("shared/LineServer")
        from Match match in ProtocolOrStorage().Matches(file.Text)
        select $"{file.Path} must not know {match.Value}";

    /// <summary>Mail is what storage keeps; what services say to each other is mapped to it in one place.</summary>
    public static IEnumerable<string> Mail_maps_contracts_in_one_file(Tree tree) =>
        from file in tree.Sources("shared/Mail")
        where file.Path != ContractMapping
        where ContractUse().IsMatch(file.Text)
        select $"{file.Path} must not use contracts; {ContractMapping} does";

    /// <summary>Versions are named once, in Directory.Packages.props.</summary>
    public static IEnumerable<string> Versions_are_central(Tree tree) =>
        from project in tree.Projects
        from package in project.PackageElements
        where package.Attribute("Version") is not null || package.Attribute("VersionOverride") is not null
        select $"{project.Path} names a version of {package.Attribute("Include")?.Value}; Directory.Packages.props does";

    /// <summary>MassTransit 9 is commercial; 8 is under the Apache licence.</summary>
    public static IEnumerable<string> MassTransit_stays_at_8(Tree tree) =>
        from line in tree.Files.GetValueOrDefault("Directory.Packages.props", "").Split('\n')
        where line.Contains("Include=\"MassTransit", StringComparison.Ordinal)
        where !line.Contains("Version=\"8.", StringComparison.Ordinal)
        select $"Directory.Packages.props: {line.Trim()}";

    private static bool MayReference(ProjectFile project, string reference)
    {
        var target = reference[..reference.IndexOf('/', StringComparison.Ordinal)];
        return project.Layer switch
        {
            "tests" => target is "tests" or "services" or "shared" || project.Name == "AppHost.Tests",
            "AppHost" => target == "services",
            "services" when project.Path == Composition => target is "services" or "shared",
            "services" => target == "shared",
            "shared" => SharedReferences.TryGetValue(project.Path, out var allowed) && allowed.Contains(reference),
            _ => false,
        };
    }

    // By the whole name, or by what is left of it inside of MailPipeline.
    [GeneratedRegex(@"\bMailPipeline\.Contracts\b|(?<![\w.])Contracts\.\w")]
    private static partial Regex ContractUse();

    [GeneratedRegex(@"\bMailPipeline\.(Storage|Mail|Contracts)\b|(?<![\w.])(Storage|Mail|Contracts)\.\w|\bSmtp[A-Z]\w*|\bPop3\w*|\bReplies\b")]
    private static partial Regex ProtocolOrStorage();
}
