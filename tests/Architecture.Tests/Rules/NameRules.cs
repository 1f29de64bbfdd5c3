using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>Things are named for what they are.</summary>
internal static partial class NameRules
{
    private static readonly string[] VagueProjects = ["Common", "Core", "Utils", "Util", "Helpers", "Abstractions", "Shared", "Misc"];

    private static readonly string[] VagueEndings =
        ["Manager", "Helper", "Helpers", "Util", "Utils", "Common", "Base", "Impl", "Processor", "Info", "Data", "Service"];

    public static IEnumerable<string> No_project_is_a_drawer(Tree tree) =>
        from project in tree.Projects
        where VagueProjects.Contains(project.Name)
        select $"{project.Path} is named for nothing in particular";

    public static IEnumerable<string> No_type_is_named_vaguely(Tree tree) =>
        from file in tree.Sources()
        from type in DeclaredTypes(file)
        where VagueEndings.Any(ending => type.EndsWith(ending, StringComparison.Ordinal) && type.Length > ending.Length || type == ending)
        select $"{file.Path}: {type} ends in a word that says nothing";

    /// <summary>Whoever reads a name of the pipeline knows which type is meant. Types within a type or a file are nobody else's.</summary>
    public static IEnumerable<string> A_type_name_names_one_type(Tree tree) =>
        from declared in
            from file in tree.Sources("services", "shared")
            let place = Namespace().Match(file.Text).Groups[1].Value
            from type in TypesOf(file)
            select (type, place, file.Path)
        group declared by declared.type into same
        where same.DistinctBy(one => one.place).Count() > 1
        select $"{same.Key} is declared in {string.Join(" and ", same.Select(one => one.Path))}";

    /// <summary>AddIngress is found in IngressHosting.cs.</summary>
    public static IEnumerable<string> No_file_is_named_Extensions(Tree tree) =>
        from file in tree.Sources()
        where file.FileName.EndsWith("Extensions.cs", StringComparison.Ordinal)
        select $"{file.Path}: name it for what it adds, e.g. IngressHosting.cs";

    /// <summary>MailPipeline.(project), and after it all of the folders or none: folders may sort what belongs together.</summary>
    public static IEnumerable<string> Namespaces_match_folders(Tree tree)
    {
        foreach (var file in tree.Sources())
        {
            if (tree.ProjectOf(file.Path) is not { } project || Namespace().Match(file.Text) is not { Success: true } declared)
                continue;
            var folders = file.Path[(project.Folder.Length + 1)..].Split('/')[..^1];
            var root = $"MailPipeline.{project.Name}";
            var full = string.Join('.', [root, .. folders]);
            if (declared.Groups[1].Value != root && declared.Groups[1].Value != full)
                yield return $"{file.Path}: the namespace is {declared.Groups[1].Value}; its place says {full}";
        }
    }

    /// <summary>Words of our own where the field has one, and what it says. "To hand out", "the rest of" and the like are plain English.</summary>
    private static readonly (Regex Ours, string Theirs)[] Words =
    [
        (new(@"\bwardens?\b", RegexOptions.IgnoreCase), "reconciler"),
        (new(@"\bdeeds?\b", RegexOptions.IgnoreCase), "act, or entry of the audit"),
        (new(@"\bfarewells?\b", RegexOptions.IgnoreCase), "closing reply"),
        (new(@"\bwaiting[ -]rooms?\b", RegexOptions.IgnoreCase), "queue"),
        (new(@"(?<![A-Za-z])hand-?outs?(?![a-z])", RegexOptions.IgnoreCase), "batch"),
        (new(@"\b_?aside\b|(?:Put|Set|TakeUp)Aside", RegexOptions.IgnoreCase), "parked, dead-letter, or what it waits for"),
        (new(@"(?<![a-z])domains?(?:'s?)?[_ ](?:that[_ ])?rests?(?![a-z])", RegexOptions.IgnoreCase), "back-off"),
        (new(@"\bholds?[_ ](?:the[_ ]|its[_ ])?(?:content|message's bytes)(?![_ ]back)\b|\bcontent_holds?\b", RegexOptions.IgnoreCase), "reference to the content"),
    ];

    /// <summary>One word for one thing, the field's: whoever knows mail reads it once.</summary>
    public static IEnumerable<string> Words_are_those_of_the_field(Tree tree) =>
        from file in tree.Files
        // Here they stand as examples.
        where !file.Key.StartsWith("tests/Architecture.Tests/", StringComparison.Ordinal)
        from word in Words
        from Match ours in word.Ours.Matches(file.Value)
        select $"{file.Key} says '{ours.Value}'; the field says {word.Theirs}";

    /// <summary>The types that a file declares for others.</summary>
    internal static IEnumerable<string> TypesOf(SourceFile file) => SharedType().Matches(file.Text).Select(match => match.Groups[1].Value);

    private static IEnumerable<string> DeclaredTypes(SourceFile file) =>
        file.Lines.Select(line => TypeDeclaration().Match(line)).Where(match => match.Success).Select(match => match.Groups[1].Value);

    [GeneratedRegex(@"^namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    // At the start of a line: within no other type; and without "file".
    [GeneratedRegex(@"^(?:(?:public|internal|sealed|static|abstract|partial|readonly|ref)\s+)*(?:class|struct|interface|enum|record(?:\s+struct|\s+class)?)\s+(\w+)", RegexOptions.Multiline)]
    private static partial Regex SharedType();

    [GeneratedRegex(@"^\s*(?:(?:public|internal|private|protected|sealed|static|abstract|partial|readonly|ref|file|new)\s+)*(?:class|struct|interface|enum|record(?:\s+struct|\s+class)?)\s+(\w+)")]
    private static partial Regex TypeDeclaration();
}
