using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>What is documented, and where.</summary>
internal static partial class DocumentationRules
{
    private static readonly string[] Headings =
        ["## Does", "## Promises", "## Messages in and out", "## Configuration", "## RFC coverage and deviations"];

    // The wiring of the others, whose README has the settings of shared parts.
    private const string Composition = "services/Standalone";

    // What speaks no protocol and has no messages of its own.
    private static readonly string[] WithoutProtocol = [Composition, "services/Commands"];

    private const string Callers = "who may call it";

    public static IEnumerable<string> Every_service_has_a_README_with_the_five_headings(Tree tree)
    {
        foreach (var project in tree.Projects.Where(project => project.Layer == "services" && !WithoutProtocol.Contains(project.Folder)))
        {
            var path = $"{project.Folder}/README.md";
            if (!tree.Files.TryGetValue(path, out var text))
            {
                yield return $"{path} is missing";
                continue;
            }
            foreach (var heading in Headings.Where(heading => !text.Split('\n').Contains(heading)))
                yield return $"{path} has no heading '{heading}'";
        }
    }

    /// <summary>A shared project says it in its README, a folder of a service in its own or in the row of the service's table.</summary>
    public static IEnumerable<string> Every_room_says_who_may_call_it(Tree tree) =>
        from file in tree.Sources("services", "shared")
        let project = tree.ProjectOf(file.Path)
        where project is not null && project.Folder != Composition
        let room = project.Layer == "shared" ? "" : file.Path[(project.Folder.Length + 1)..].Split('/') is [var folder, _, ..] ? folder : null
        where room is not null
        group room by (project.Folder, Room: room) into rooms
        let path = $"{rooms.Key.Folder}/{rooms.Key.Room}".TrimEnd('/')
        let own = tree.Files.GetValueOrDefault($"{path}/README.md", "")
        let table = rooms.Key.Room.Length > 0 ? tree.Files.GetValueOrDefault($"{rooms.Key.Folder}/README.md", "") : ""
        where !own.Contains(Callers, StringComparison.OrdinalIgnoreCase)
        where !table.Contains($"| {Callers} |", StringComparison.Ordinal) || !Regex.IsMatch(table, $@"^\| \[?`{rooms.Key.Room}`", RegexOptions.Multiline)
        select $"{path}: no README says who may call it";

    /// <summary>Programs read what a command says it did: each name stands in the README of the commands.</summary>
    public static IEnumerable<string> Every_result_of_a_command_is_documented(Tree tree) =>
        from file in tree.Sources("services/Commands")
        where file.FileName.EndsWith("Reply.cs", StringComparison.Ordinal)
        from Match result in ResultName().Matches(file.Text)
        let name = result.Groups[1].Value
        where !tree.Files.GetValueOrDefault("services/Commands/README.md", "").Contains($"`{name}`", StringComparison.Ordinal)
        select $"{file.Path}: `{name}` is not in services/Commands/README.md";

    /// <summary>Why something waits has the same words for operators as for the code: each document that lists them lists all, in their order, and no others.</summary>
    public static IEnumerable<string> Documents_have_the_words_of_reasons(Tree tree)
    {
        if (!tree.Files.TryGetValue("shared/Mail/Queue/WaitKind.cs", out var source))
            yield break;
        var words = ReasonValue().Matches(source).Select(match => char.ToLowerInvariant(match.Groups[1].Value[0]) + match.Groups[1].Value[1..]).ToList();
        foreach (var path in new[] { "services/Queue/README.md", "docs/operations.md" })
        {
            var table = tree.Files.GetValueOrDefault(path, "").Split('\n').SkipWhile(line => !line.StartsWith("| reason |", StringComparison.Ordinal)).Skip(2)
                .TakeWhile(line => line.StartsWith('|')).Select(line => line.Split('`').ElementAtOrDefault(1) ?? "");
            if (!table.SequenceEqual(words))
                yield return $"{path}: its table of reasons is not the list {string.Join(", ", words)}";
        }
    }

    [GeneratedRegex(@"^    ([A-Z]\w+) = \d+,", RegexOptions.Multiline)]
    private static partial Regex ReasonValue();

    [GeneratedRegex("""=> "([a-z][A-Za-z]+)",""")]
    private static partial Regex ResultName();

    /// <summary>Each setting stands in the README of its service; those of shared parts in the part's or in Standalone's.</summary>
    public static IEnumerable<string> Every_setting_is_documented(Tree tree)
    {
        foreach (var file in tree.Sources("services", "shared").Where(file => file.FileName.EndsWith("Options.cs", StringComparison.Ordinal)))
        {
            if (tree.ProjectOf(file.Path) is not { } project)
                continue;
            var own = tree.Files.GetValueOrDefault($"{project.Folder}/README.md", "");
            var text = project.Layer == "shared" ? own + tree.Files.GetValueOrDefault($"{Composition}/README.md", "") : own;
            foreach (var name in Settings(file).Where(name => !Regex.IsMatch(text, $@"`(?:[\w:]*:)?{name}(?::[\w:]+)?`")))
                yield return $"{file.Path}: {name} is in no README";
        }
    }

    /// <summary>A decision has context, decision and consequences.</summary>
    public static IEnumerable<string> Decisions_have_three_parts(Tree tree) =>
        from file in tree.Files
        where file.Key.StartsWith("docs/adr/", StringComparison.Ordinal) && char.IsDigit(file.Key["docs/adr/".Length])
        from heading in new[] { "## Context", "## Decision", "## Consequences" }
        where !file.Value.Split('\n').Contains(heading)
        select $"{file.Key} has no heading '{heading}'";

    /// <summary>
    /// Text speaks of the project: not of tickets, of one machine's folders, or of papers that are not in the repository.
    /// </summary>
    public static IEnumerable<string> Text_speaks_of_the_project_alone(Tree tree) =>
        from file in tree.Files
        // Here the words stand as examples.
        where !file.Key.StartsWith("tests/Architecture.Tests/", StringComparison.Ordinal)
        from line in file.Value.Split('\n')
        let foreign = Foreign().Match(line)
        where foreign.Success
        select $"{file.Key} speaks of '{foreign.Value}'";

    /// <summary>A link to a file of the repository leads somewhere.</summary>
    public static IEnumerable<string> Links_lead_somewhere(Tree tree)
    {
        foreach (var (path, text) in tree.Files.Where(file => file.Key.EndsWith(".md", StringComparison.Ordinal)))
        {
            var folder = path.Contains('/', StringComparison.Ordinal) ? path[..path.LastIndexOf('/')] : "";
            foreach (Match link in Link().Matches(text))
            {
                var target = Resolve(folder, link.Groups[1].Value);
                if (!tree.Files.Keys.Any(file => file == target || file.StartsWith(target + "/", StringComparison.Ordinal)))
                    yield return $"{path} links to {link.Groups[1].Value}, which does not exist";
            }
        }
    }

    private static IEnumerable<string> Settings(SourceFile file) =>
        from line in file.Lines
        let property = Property().Match(line)
        where property.Success
        select property.Groups[1].Value;

    private static string Resolve(string folder, string link)
    {
        var parts = folder.Split('/', StringSplitOptions.RemoveEmptyEntries).ToList();
        foreach (var part in link.TrimEnd('/').Split('/'))
        {
            if (part == ".." && parts.Count > 0)
                parts.RemoveAt(parts.Count - 1);
            else if (part != ".")
                parts.Add(part);
        }
        return string.Join('/', parts);
    }

    [GeneratedRegex(@"^\s*public\s+(?!static|const)[\w<>\[\],.? ]+\s+(\w+)\s*\{\s*get;\s*(?:set|init);")]
    private static partial Regex Property();

    [GeneratedRegex(@"\b(?:DESIGN|STYLE|RELIABILITY|ASPIRE)\.md\b|(?<![\w.~])/(?:work|root|home/\w+)/|/tmp/(?:wt|api|brief)\b|\b[Ii]ssue #?\d+\b")]
    private static partial Regex Foreign();

    // Not: other sites, anchors, mail addresses.
    [GeneratedRegex(@"\]\((?!https?:|mailto:|#)([^)#\s]+)")]
    private static partial Regex Link();
}
