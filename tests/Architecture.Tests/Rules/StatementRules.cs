using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>Who writes what into storage.</summary>
internal static partial class StatementRules
{
    private const string Writer = "shared/Mail/Queue/OutcomeWriter.cs";

    /// <summary>Files that change recipients, attempts or claims, each with its reason.</summary>
    private static readonly Dictionary<string, string> Writers = new(StringComparer.Ordinal)
    {
        [Writer] = "writes what became of a recipient",
        ["shared/Mail/Queue/ClaimStore.cs"] = "takes recipients for an attempt; says nothing of its outcome",
        ["shared/Mail/Maildrops/MaildropStore.cs"] = "takes recipients in the transaction that stores their mail",
        ["shared/Mail/Queue/TakeBackStore.cs"] = "ends the claims of workers that died, whose recipients the writer then decides",
        ["shared/Mail/Operators/FlushStore.cs"] = "makes recipients due that nobody tries",
        ["shared/Mail/Operators/OperatorStore.cs"] = "holds and releases recipients that nobody tries",
    };

    /// <summary>What a recipient's row, its attempts and its claim say together is true only while one place writes them.</summary>
    public static IEnumerable<string> Outcomes_have_one_writer(Tree tree) =>
        from file in tree.Sources("services", "shared")
        where !Writers.ContainsKey(file.Path)
        from Match statement in OutcomeStatement().Matches(file.Text)
        select $"{file.Path}: '{statement.Value}' belongs into {Writer}";

    /// <summary>Nobody is on the list who does not need it.</summary>
    public static IEnumerable<string> Who_may_write_outcomes_does(Tree tree) =>
        from path in Writers.Keys
        where tree.Files.TryGetValue(path, out var text) && !OutcomeStatement().IsMatch(text)
        select $"{path} writes no outcome, and need not be on the list";

    /// <summary>Who else changes these tables: what is made, renewed and forgotten, each in its place.</summary>
    private static readonly (Regex Statement, string[] Places)[] Others =
    [
        (NewRecipient(), ["shared/Mail/Queue/QueueStore.cs", Writer]),
        (LivingClaim(), ["shared/Mail/Queue/ClaimStore.cs"]),
        (Reference(), ["shared/Mail/Content/ContentReferences.cs", "shared/Mail/Queue/QueueStore.cs"]),
        (Forgotten(), ["shared/Mail/History/MessageHistory.cs"]),
    ];

    /// <summary>Rows that outcomes are written to appear, are renewed and go where somebody looks for it.</summary>
    public static IEnumerable<string> Rows_of_outcomes_have_their_places(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from other in Others
        where !other.Places.Contains(file.Path)
        from Match statement in other.Statement.Matches(file.Text)
        select $"{file.Path}: '{statement.Value}' belongs into {string.Join(" or ", other.Places)}";

    [GeneratedRegex(@"\bINSERT\s+INTO\s+recipients\b", RegexOptions.IgnoreCase)]
    private static partial Regex NewRecipient();

    [GeneratedRegex(@"\b(INSERT\s+INTO|UPDATE)\s+claims\b", RegexOptions.IgnoreCase)]
    private static partial Regex LivingClaim();

    [GeneratedRegex(@"\bSET\s+content_refs\b", RegexOptions.IgnoreCase)]
    private static partial Regex Reference();

    [GeneratedRegex(@"\bDELETE\s+FROM\s+(recipients|attempts|messages)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Forgotten();

    [GeneratedRegex(@"\bUPDATE\s+recipients\b|\bINSERT\s+INTO\s+attempts\b|\bDELETE\s+FROM\s+claims\b", RegexOptions.IgnoreCase)]
    private static partial Regex OutcomeStatement();
}
