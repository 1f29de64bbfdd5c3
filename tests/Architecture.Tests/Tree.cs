using System.Xml.Linq;

namespace MailPipeline.Architecture.Tests;

/// <summary>The files of the repository, by their paths with forward slashes; read from disk or made up by a test.</summary>
internal sealed class Tree(IReadOnlyDictionary<string, string> files)
{
    private const string SolutionPath = "MailPipeline.sln";

    private static readonly string[] Kinds = [".cs", ".csproj", ".props", ".targets", ".md", ".sln", ".json", ".sh"];
    private static readonly string[] Folders = ["AppHost", "docs", "k8s", "services", "shared", "tests"];
    private static readonly string[] Output = ["bin", "obj", "TestResults", "data"];

    public IReadOnlyDictionary<string, string> Files => files;

    public string Solution => files.GetValueOrDefault(SolutionPath, "");

    public IReadOnlyList<ProjectFile> Projects { get; } =
        [.. files.Where(file => file.Key.EndsWith(".csproj", StringComparison.Ordinal))
            .Select(file => new ProjectFile(file.Key, XDocument.Parse(file.Value)))
            .OrderBy(project => project.Path, StringComparer.Ordinal)];

    /// <summary>C# files under one of these folders, or all.</summary>
    public IEnumerable<SourceFile> Sources(params string[] folders) => files
        .Where(file => file.Key.EndsWith(".cs", StringComparison.Ordinal))
        .Where(file => folders.Length == 0 || folders.Any(folder => file.Key.StartsWith(folder + "/", StringComparison.Ordinal)))
        .Select(file => new SourceFile(file.Key, file.Value))
        .OrderBy(file => file.Path, StringComparer.Ordinal);

    /// <summary>The project whose folder a file lies in; null when there is none.</summary>
    public ProjectFile? ProjectOf(string path) => Projects
        .Where(project => path.StartsWith(project.Folder + "/", StringComparison.Ordinal))
        .MaxBy(project => project.Folder.Length);

    /// <summary>Reads the repository that this test was built in.</summary>
    public static Tree Load()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, SolutionPath)))
            root = root.Parent;
        if (root is null)
            throw new DirectoryNotFoundException($"No {SolutionPath} above {AppContext.BaseDirectory}");

        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var file in root.EnumerateFiles())
            Add(found, root, file);
        foreach (var folder in Folders.Select(name => new DirectoryInfo(Path.Combine(root.FullName, name))).Where(folder => folder.Exists))
            AddFolder(found, root, folder);
        return new Tree(found);
    }

    private static void AddFolder(Dictionary<string, string> found, DirectoryInfo root, DirectoryInfo folder)
    {
        foreach (var file in folder.EnumerateFiles())
            Add(found, root, file);
        foreach (var child in folder.EnumerateDirectories().Where(child => !Output.Contains(child.Name)))
            AddFolder(found, root, child);
    }

    private static void Add(Dictionary<string, string> found, DirectoryInfo root, FileInfo file)
    {
        if (Kinds.Contains(file.Extension))
            found.Add(Path.GetRelativePath(root.FullName, file.FullName).Replace('\\', '/'), File.ReadAllText(file.FullName));
    }
}

/// <summary>A project: where it lies and what it asks for itself.</summary>
internal sealed class ProjectFile(string path, XDocument xml)
{
    public string Path => path;

    public string Folder { get; } = path[..path.LastIndexOf('/')];

    public string Name { get; } = System.IO.Path.GetFileNameWithoutExtension(path);

    /// <summary>The folder at the top: AppHost, services, shared or tests.</summary>
    public string Layer { get; } = path[..path.IndexOf('/', StringComparison.Ordinal)];

    public string Sdk => xml.Root?.Attribute("Sdk")?.Value ?? "";

    public IEnumerable<string> Packages => Includes("PackageReference");

    public IEnumerable<string> Frameworks => Includes("FrameworkReference");

    /// <summary>Paths of the projects it references.</summary>
    public IEnumerable<string> References => Includes("ProjectReference").Select(Resolve);

    public IEnumerable<XElement> PackageElements => xml.Descendants("PackageReference");

    private IEnumerable<string> Includes(string element) =>
        xml.Descendants(element).Select(item => item.Attribute("Include")?.Value).OfType<string>();

    private string Resolve(string reference)
    {
        var parts = new List<string>(Folder.Split('/'));
        foreach (var part in reference.Replace('\\', '/').Split('/'))
        {
            if (part == "..")
                parts.RemoveAt(parts.Count - 1);
            else
                parts.Add(part);
        }
        return string.Join('/', parts);
    }
}

/// <summary>A C# file.</summary>
internal sealed record SourceFile(string Path, string Text)
{
    public string[] Lines { get; } = Text.Split('\n');

    public string FileName => Path[(Path.LastIndexOf('/') + 1)..];
}
