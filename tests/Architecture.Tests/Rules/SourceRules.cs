using System.Globalization;
using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>How source files are kept.</summary>
internal static partial class SourceRules
{
    private const int MaxLines = 600;

    private static readonly Dictionary<string, int> EventIdThousands = new(StringComparer.Ordinal)
    {
        ["services/Ingress"] = 1,
        ["services/Queue"] = 2,
        ["services/Delivery"] = 3,
        ["services/Mailbox"] = 4,
        ["shared/Storage"] = 5,
        ["shared/ServiceDefaults"] = 6,
        ["services/Standalone"] = 7,
        ["shared/LineServer"] = 8,
        ["shared/Mail"] = 9,
        ["shared/Authentication"] = 10,
        ["services/Console"] = 11,
    };

    /// <summary>What an operator can do is done for any caller: it writes no text, reads no console and ends no process.</summary>
    public static IEnumerable<string> Administration_has_no_console(Tree tree) =>
        from file in tree.Sources("shared/Administration")
        from line in file.Lines
        where ConsoleUse().IsMatch(line)
        select $"{file.Path}: {line.Trim()}";

    /// <summary>What is found is said in words by whoever shows it: here it is a kind and its values. What is thrown is no result.</summary>
    public static IEnumerable<string> Administration_has_no_sentences(Tree tree) =>
        from file in tree.Sources("shared/Administration")
        from line in file.Lines
        where !line.Contains("Exception(", StringComparison.Ordinal)
        from Match text in Literal().Matches(LineComment().Replace(line, ""))
        // In <...> stands what belongs into a record and is not known.
        where Sentence().IsMatch(Blank().Replace(text.Value, ""))
        select $"{file.Path} says {text.Value}";

    public static IEnumerable<string> No_file_is_longer_than_600_lines(Tree tree) =>
        from file in tree.Sources("services", "shared", "AppHost")
        let lines = file.Text.Count(character => character == '\n')
        where lines > MaxLines
        select $"{file.Path} has {lines} lines";

    /// <summary>An event id names one event, in the range of its part.</summary>
    public static IEnumerable<string> Event_ids_are_in_range(Tree tree)
    {
        foreach (var (file, id) in EventIds(tree))
        {
            var part = tree.ProjectOf(file.Path)?.Folder ?? "";
            if (!EventIdThousands.TryGetValue(part, out var thousand))
                yield return $"{file.Path}: {part} has no range of event ids";
            else if (id / 1000 != thousand)
                yield return $"{file.Path}: event id {id} is not in {thousand}000 to {thousand}999";
        }
    }

    public static IEnumerable<string> Event_ids_are_unique(Tree tree) =>
        from entry in EventIds(tree)
        group entry.File.Path by entry.Id into same
        where same.Count() > 1
        select $"event id {same.Key} is used in {string.Join(" and ", same)}";

    /// <summary>Whoever looks for <c>message=ID</c> finds every line that speaks of the message.</summary>
    public static IEnumerable<string> A_message_id_in_the_log_has_its_key(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from Match match in Template().Matches(file.Text)
        where MessageId().IsMatch(match.Groups[1].Value)
        select $"{file.Path}: no message= before the id in \"{match.Groups[1].Value}\"";

    /// <summary>"$" also matches before a line end that ends the text: a name that is checked by it may have one.</summary>
    public static IEnumerable<string> A_pattern_ends_where_the_text_does(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from Match pattern in EndOfLine().Matches(file.Text)
        select $"{file.Path}: {pattern.Value} ends in '$'; '\\z' is the end of the text";

    /// <summary>Two whole pipelines run in one process, so nothing may be shared by being static.</summary>
    public static IEnumerable<string> Nothing_static_is_mutable(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from line in file.Lines
        where MutableStatic().IsMatch(line)
        select $"{file.Path}: {line.Trim()}";

    /// <summary>Tests that let real time pass, each with its reason.</summary>
    private static readonly Dictionary<string, string> Sleepers = new(StringComparer.Ordinal)
    {
        ["tests/Testing/Servers/Eventually.cs"] = "looks again until it is as it should be",
        ["tests/Testing/Servers/ServerProcess.cs"] = "looks again until a server is ready",
        ["tests/Testing/Ledger/LoadClient.cs"] = "sends at the pace of a client",
        ["tests/Testing/Pop3/Pop3Poller.cs"] = "reads at the pace of a user",
        ["tests/Testing/Sinks/SinkServer.cs"] = "answers as late as a slow far end",
        ["tests/Cluster.Tests/ClusterRun.cs"] = "says how long a fault lasts, and when it comes",
        ["tests/EndToEnd.Tests/KillTests.cs"] = "kills at any moment",
    };

    /// <summary>A test that waits a fixed time for what somebody is about to do fails on a slow machine, and is slow on every other.</summary>
    public static IEnumerable<string> Tests_wait_for_what_is_meant(Tree tree) =>
        from file in tree.Sources("tests")
        where !Sleepers.ContainsKey(file.Path) && !file.Path.StartsWith("tests/Architecture.Tests/", StringComparison.Ordinal)
        from Match sleep in Sleep().Matches(file.Text)
        select $"{file.Path}: '{sleep.Value}' waits for a time; Eventually waits for what is meant";

    /// <summary>Nobody is on the list who does not need it.</summary>
    public static IEnumerable<string> Who_may_sleep_does(Tree tree) =>
        from path in Sleepers.Keys
        where tree.Files.TryGetValue(path, out var text) && !Sleep().IsMatch(text)
        select $"{path} waits for no time, and need not be on the list";

    /// <summary>Other parts than these see no clock but TimeProvider; the compiler's list of banned symbols must say so.</summary>
    public static IEnumerable<string> The_clock_is_banned_in_every_project(Tree tree)
    {
        var build = tree.Files.GetValueOrDefault("Directory.Build.props", "");
        if (!build.Contains("BannedSymbols.txt", StringComparison.Ordinal)
            || !build.Contains("Microsoft.CodeAnalysis.BannedApiAnalyzers", StringComparison.Ordinal))
            yield return "Directory.Build.props does not ban what BannedSymbols.txt lists";
        if (!build.Contains("<TreatWarningsAsErrors>true</TreatWarningsAsErrors>", StringComparison.Ordinal))
            yield return "Directory.Build.props does not treat warnings as errors";
    }

    private static IEnumerable<(SourceFile File, int Id)> EventIds(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from Match match in LoggerMessage().Matches(file.Text)
        select (file, int.Parse(match.Groups[1].Success ? match.Groups[1].Value : "0", CultureInfo.InvariantCulture));

    // Group 1: the id, positional or by name; without one the compiler makes an id up, which counts as 0 here.
    [GeneratedRegex(@"\[LoggerMessage\((?:(?:EventId\s*=\s*)?(\d+))?")]
    private static partial Regex LoggerMessage();

    // Group 1: what the line says.
    [GeneratedRegex("""\[LoggerMessage\([^"]*"((?:[^"\\]|\\.)*)["]""")]
    private static partial Regex Template();

    [GeneratedRegex("""["](?:[^"\\]|\\.)*["]""")]
    private static partial Regex Literal();

    [GeneratedRegex(@"(?<!:)//.*")]
    private static partial Regex LineComment();

    [GeneratedRegex("<[^>]*>")]
    private static partial Regex Blank();

    [GeneratedRegex(@"\b[a-z]+ [a-z]+ [a-z]+\b")]
    private static partial Regex Sentence();

    // With Multiline it is meant.
    [GeneratedRegex("""\[(?:GeneratedRegex|RegularExpression)\(@?"[^"\r\n]*[$]"(?![^\r\n]*Multiline)""")]
    private static partial Regex EndOfLine();

    // By the machine's clock; a clock of the test's own lets no time pass, and what never ends waits for something else.
    [GeneratedRegex(@"\bThread\.Sleep\(|\bTask\.Delay\((?!Timeout\.Infinite)[^;{]*?\bTimeProvider\.System\b")]
    private static partial Regex Sleep();

    [GeneratedRegex(@"\bConsole\.|\bTextWriter\b|\bExitCode\b|\bEnvironment\.")]
    private static partial Regex ConsoleUse();

    [GeneratedRegex(@"(?<!message=)\{MessageId[:,}]", RegexOptions.IgnoreCase)]
    private static partial Regex MessageId();

    // A field that is not readonly, or a property that can be set. A type is a tuple or a name with its arguments.
    [GeneratedRegex(@"^\s*(?:\[ThreadStatic\]\s*)?(?:(?:public|internal|private|protected)\s+)*static\s+(?!readonly\b)(?:volatile\s+)?(?:\([^()]*\)|[\w.]+(?:<[^;={(]*>)?)(?:\[\])?\??\s+\w+\s*(?:;|=(?![>=])|\{\s*get;[^}]*\bset;)")]
    private static partial Regex MutableStatic();
}
