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

    /// <summary>
    /// A shared project says it in its README; a room in its own, or in its row of the project's table.
    /// </summary>
    public static IEnumerable<string> Every_room_says_who_may_call_it(Tree tree) =>
        from file in tree.Sources("services", "shared")
        let project = tree.ProjectOf(file.Path)
        where project is not null
        let room = file.Path[(project.Folder.Length + 1)..].Split('/') is [var folder, _, ..] ? folder : ""
        where room.Length > 0 || project.Layer == "shared" || project.Folder == Composition
        group room by (project.Folder, Room: room) into rooms
        let path = $"{rooms.Key.Folder}/{rooms.Key.Room}".TrimEnd('/')
        let own = tree.Files.GetValueOrDefault($"{path}/README.md", "")
        where !own.Contains(Callers, StringComparison.OrdinalIgnoreCase)
        where rooms.Key.Room.Length == 0 || RoomTable(tree, rooms.Key.Folder).All(row => row.Room != rooms.Key.Room)
        select $"{path}: no README says who may call it";

    /// <summary>What the tables of rooms say of callers and of what is used is what the walls say.</summary>
    public static IEnumerable<string> Tables_of_rooms_say_what_holds(Tree tree)
    {
        foreach (var project in tree.Projects.Where(project => project.Layer is "services" or "shared"))
        {
            var rooms = RoomRules.Uses.Keys.Where(key => key.Project == project.Folder).Select(key => key.Room).ToArray();
            foreach (var row in RoomTable(tree, project.Folder).Where(row => rooms.Contains(row.Room)))
            {
                var callers = rooms.Where(room => RoomRules.Uses[(project.Folder, room)].Contains(row.Room));
                foreach (var wrong in Difference(NamedIn(row.Callers, rooms), callers))
                    yield return $"{project.Folder}/README.md: {row.Room} and its caller {wrong} do not agree with the walls";
                if (row.Uses is not { } uses || uses == "all")
                    continue;
                foreach (var wrong in Difference(NamedIn(uses, rooms), RoomRules.Uses[(project.Folder, row.Room)]))
                    yield return $"{project.Folder}/README.md: {row.Room} and {wrong}, which it uses, do not agree with the walls";
            }
        }
    }

    /// <summary>Who may call a shared project is who references it: each is named there, up to where it says whom the project calls, and nobody else.</summary>
    public static IEnumerable<string> Who_may_call_a_project_references_it(Tree tree)
    {
        var projects = tree.Projects.Where(project => project.Layer is "services" or "shared").ToList();
        foreach (var project in projects.Where(project => project.Layer == "shared"))
        {
            var path = $"{project.Folder}/README.md";
            var section = CallersSection().Match(tree.Files.GetValueOrDefault(path, ""));
            if (!section.Success)
                continue;
            var named = projects.Where(other => other != project && Regex.IsMatch(section.Groups[1].Value, $@"\b{other.Name}\b")).Select(other => other.Name);
            var callers = projects.Where(other => other.References.Contains(project.Path)).Select(other => other.Name);
            foreach (var wrong in Difference(named, callers))
                yield return callers.Contains(wrong) ? $"{path} does not name {wrong}, which references it" : $"{path} names {wrong}, which does not reference it";
        }
    }

    /// <summary>A source file that a document names is there: beside the document, by its path in the repository, or by its name anywhere.</summary>
    public static IEnumerable<string> Files_that_documents_name_exist(Tree tree) =>
        from document in tree.Files
        where document.Key.EndsWith(".md", StringComparison.Ordinal)
        let folder = document.Key.Contains('/', StringComparison.Ordinal) ? document.Key[..document.Key.LastIndexOf('/')] : ""
        from Match name in NamedFile().Matches(document.Value)
        let file = name.Groups[1].Value
        where !tree.Files.ContainsKey(Resolve(folder, file)) && !tree.Files.ContainsKey(file)
            && (file.Contains('/', StringComparison.Ordinal) || !tree.Files.Keys.Any(path => path.EndsWith($"/{file}", StringComparison.Ordinal)))
        select $"{document.Key} names {file}, which does not exist";

    /// <summary>Each project of tests says in the table what it proves.</summary>
    public static IEnumerable<string> Every_project_of_tests_has_a_row(Tree tree) =>
        from project in tree.Projects
        where project.Layer == "tests" && project.Name.EndsWith(".Tests", StringComparison.Ordinal)
        where !Regex.IsMatch(tree.Files.GetValueOrDefault("tests/README.md", ""), $@"^\| `{Regex.Escape(project.Name)}` \|", RegexOptions.Multiline)
        select $"{project.Name} has no row in tests/README.md";

    /// <summary>The rows of a project's table of rooms: with a column that says who may call each, and perhaps one that says what it uses.</summary>
    private static IEnumerable<(string Room, string? Uses, string Callers)> RoomTable(Tree tree, string project)
    {
        string[]? columns = null;
        foreach (var line in tree.Files.GetValueOrDefault($"{project}/README.md", "").Split('\n'))
        {
            if (!line.StartsWith("| ", StringComparison.Ordinal))
            {
                columns = null;
                continue;
            }
            var cells = Array.ConvertAll(line.Trim().Trim('|').Split(" | "), cell => cell.Trim());
            columns ??= cells;
            var (uses, callers) = (Array.IndexOf(columns, "uses"), Array.IndexOf(columns, Callers));
            if (callers >= 0 && cells.Length == columns.Length && RoomName().Match(cells[0]) is { Success: true } room)
                yield return (room.Groups[1].Value, uses < 0 ? null : cells[uses], cells[callers]);
        }
    }

    private static IEnumerable<string> NamedIn(string cell, string[] rooms) => rooms.Where(room => cell.Contains($"`{room}`", StringComparison.Ordinal));

    private static IEnumerable<string> Difference(IEnumerable<string> said, IEnumerable<string> so) => said.Except(so).Concat(so.Except(said));

    [GeneratedRegex(@"^\[?`(\w+)`")]
    private static partial Regex RoomName();

    // Group 1: up to the sentence that begins with what it does itself, or to the next heading.
    [GeneratedRegex(@"^## Who may call it\r?\n(.*?)(?=\bIt (?:calls|uses|asks)\b|^## |\z)", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex CallersSection();

    // Not: "...Options.cs", for many.
    [GeneratedRegex(@"`((?!\.\.\.)[\w./-]+\.(?:cs|csproj|sh))`")]
    private static partial Regex NamedFile();

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
