using System.Text.RegularExpressions;

namespace MailPipeline.Architecture.Tests.Rules;

/// <summary>
/// Who writes what into storage. What a recipient's row, its attempts and its claim say together is true only while one place writes each kind
/// of change.
/// </summary>
internal static partial class StatementRules
{
    private const string Writer = "shared/Mail/Queue/OutcomeWriter.cs";
    private const string OperatorsWriter = "shared/Mail/Queue/OutcomeWriter.Operators.cs";
    private const string Claims = "shared/Mail/Queue/ClaimStore.cs";

    /// <summary>All kinds of statement that change these tables, with the words that say what each does, and where it is.</summary>
    private static readonly (string What, Regex Statement, string[] Places)[] Kinds =
    [
        ("recipients begin, in the state that the router has found for them; one that was removed before it was routed ends at once", Begin(),
            ["shared/Mail/Queue/QueueStore.cs", OperatorsWriter]),
        ("a claim is won: recipients that nobody tries get its number, and nothing else of them changes", ClaimWon(), [Claims]),
        ("recipients that wait become due: their time changes, and neither state nor attempts", MadeDue(), ["shared/Mail/Operators/FlushStore.cs"]),
        ("it is written what became of recipients: state, attempt, what is owed, the end of the claim", Outcome(), [Writer, OperatorsWriter]),
        ("a claim begins, is renewed, and says how far its holder has come", LivingClaim(), [Claims]),
        ("references to content are counted", Reference(), ["shared/Mail/Content/ContentReferences.cs", "shared/Mail/Queue/QueueStore.cs"]),
        ("what has ended long ago is forgotten", Forgotten(), ["shared/Mail/History/MessageHistory.cs"]),
    ];

    /// <summary>A statement of a kind is where the others of its kind are.</summary>
    public static IEnumerable<string> Each_kind_of_statement_has_its_place(Tree tree) =>
        from file in tree.Sources("services", "shared")
        from kind in Kinds
        where !kind.Places.Contains(file.Path)
        from Match statement in kind.Statement.Matches(file.Text)
        select $"{file.Path}: '{statement.Value}' belongs into {string.Join(" or ", kind.Places)}, where {kind.What}";

    /// <summary>A place has statements of its kind, or need not be in the list.</summary>
    public static IEnumerable<string> Each_place_has_statements_of_its_kind(Tree tree) =>
        from kind in Kinds
        from place in kind.Places
        where tree.Files.TryGetValue(place, out var text) && !kind.Statement.IsMatch(text)
        select $"{place} has no statement by which {kind.What}";

    [GeneratedRegex(@"\bINSERT\s+INTO\s+recipients\b", RegexOptions.IgnoreCase)]
    private static partial Regex Begin();

    [GeneratedRegex(@"\bUPDATE\s+recipients\s+SET\s+claim\s*=\s*\$\d+\s+WHERE\b", RegexOptions.IgnoreCase)]
    private static partial Regex ClaimWon();

    [GeneratedRegex(@"\bUPDATE\s+recipients\s+SET\s+next_attempt_at\s*=\s*\$\d+,\s*updated_at\s*=\s*\$\d+\s+WHERE\b", RegexOptions.IgnoreCase)]
    private static partial Regex MadeDue();

    // Any other change of a recipient is one of what became of it.
    [GeneratedRegex(
        @"\bUPDATE\s+recipients\b(?!\s+SET\s+(?:claim\s*=\s*\$\d+|next_attempt_at\s*=\s*\$\d+,\s*updated_at\s*=\s*\$\d+)\s+WHERE\b)|\bINSERT\s+INTO\s+attempts\b|\bDELETE\s+FROM\s+claims\b",
        RegexOptions.IgnoreCase)]
    private static partial Regex Outcome();

    [GeneratedRegex(@"\b(INSERT\s+INTO|UPDATE)\s+claims\b", RegexOptions.IgnoreCase)]
    private static partial Regex LivingClaim();

    [GeneratedRegex(@"\bSET\s+content_refs\b", RegexOptions.IgnoreCase)]
    private static partial Regex Reference();

    [GeneratedRegex(@"\bDELETE\s+FROM\s+(recipients|attempts|messages)\b", RegexOptions.IgnoreCase)]
    private static partial Regex Forgotten();
}
