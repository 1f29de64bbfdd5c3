namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>The solution holds all there is.</summary>
internal static class SolutionRules
{
    /// <summary>A project that is in no solution is built by nobody.</summary>
    public static IEnumerable<string> Every_project_is_in_the_solution(Tree tree) =>
        from project in tree.Projects
        where !SolutionPaths(tree).Contains(project.Path)
        select $"{project.Path} is not in MailPipeline.sln";

    public static IEnumerable<string> Every_project_of_the_solution_exists(Tree tree) =>
        from path in SolutionPaths(tree)
        where !tree.Files.ContainsKey(path)
        select $"MailPipeline.sln lists {path}, which does not exist";

    /// <summary>A part without tests of its own is untested, whatever else runs through it.</summary>
    public static IEnumerable<string> Every_part_has_its_tests(Tree tree) =>
        from project in tree.Projects
        where project.Layer is "services" or "shared"
        // Records only; what they are for is tested where they are used.
        where project.Name != "Contracts"
        let tests = $"tests/{project.Name}.Tests/{project.Name}.Tests.csproj"
        where !tree.Files.ContainsKey(tests)
        select $"{project.Path} has no {tests}";

    /// <summary>The Aspire SDK is not everywhere to be had, so the default build leaves AppHost out.</summary>
    public static IEnumerable<string> AppHost_is_not_built_by_default(Tree tree)
    {
        foreach (var line in tree.Solution.Split('\n').Where(line => line.Contains("AppHost\\AppHost", StringComparison.Ordinal)))
        {
            var id = line[(line.LastIndexOf('{') + 1)..line.LastIndexOf('}')];
            foreach (var configuration in new[] { "Debug|", "Release|" })
            {
                var built = tree.Solution.Split('\n').FirstOrDefault(other =>
                    other.Contains(id, StringComparison.OrdinalIgnoreCase) && other.Contains($".{configuration}", StringComparison.Ordinal)
                    && other.Contains(".Build.0", StringComparison.Ordinal));
                if (built is not null)
                    yield return $"MailPipeline.sln builds AppHost by default: {built.Trim()}";
            }
        }
    }

    private static HashSet<string> SolutionPaths(Tree tree) => tree.Solution.Split('\n')
        .Where(line => line.StartsWith("Project(", StringComparison.Ordinal))
        .Select(line => line.Split('"')[5].Replace('\\', '/'))
        .Where(path => path.EndsWith(".csproj", StringComparison.Ordinal))
        .ToHashSet(StringComparer.Ordinal);
}
