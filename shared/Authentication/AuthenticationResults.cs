using System.Buffers;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication;

/// <summary>One property of a result: "smtp.mailfrom=example.net" (RFC 8601 §2.3).</summary>
/// <param name="Type">smtp, header, body or policy.</param>
public readonly record struct ResultProperty(string Type, string Name, string Value);

/// <summary>What one method found (RFC 8601 §2.2, resinfo).</summary>
/// <param name="Method">As in the registry of methods: "spf".</param>
/// <param name="Result">In its word: "pass".</param>
public sealed record MethodResult(string Method, string Result)
{
    /// <summary>In words, for programs too; empty: none.</summary>
    public string Reason { get; init; } = "";

    /// <summary>For people who look; empty: none.</summary>
    public string Comment { get; init; } = "";

    public IReadOnlyList<ResultProperty> Properties { get; init; } = [];
}

/// <summary>
/// The Authentication-Results field (RFC 8601): who judged a message, and what each method found. It is written in ASCII, whatever is in its
/// values, so that it keeps no message from hosts without SMTPUTF8.
/// </summary>
/// <param name="AuthServId">Who judged: readers believe those alone that they know.</param>
/// <param name="Results">None: nothing was judged, which the field says too.</param>
public sealed record AuthenticationResults(string AuthServId, IReadOnlyList<MethodResult> Results)
{
    public const string FieldName = "Authentication-Results";

    /// <summary>RFC 5322 §2.1.1: a line has no more, if it can be helped.</summary>
    private const int PreferredLineChars = 78;

    /// <summary>Longest value, comment or reason: what is longer is cut.</summary>
    private const int MaxTextChars = 320;

    private const string Fold = "\r\n\t";

    private const string TokenCharacters = "!#$%&'*+-.0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ^_`abcdefghijklmnopqrstuvwxyz{|}~";

    private static readonly SearchValues<char> s_token = SearchValues.Create(TokenCharacters);

    // As RFC 8601 §2.2 has an address: no more than RFC 5322 takes without quotes.
    private static readonly SearchValues<char> s_address = SearchValues.Create(TokenCharacters + "/=?@");

    /// <summary>Null: it is no such field by the grammar.</summary>
    /// <param name="value">What stands behind the colon, folded or not.</param>
    public static AuthenticationResults? Parse(string value) => new AuthenticationResultsReader(value).Read();

    /// <summary>Who says that he judged, as far as the field can be read; null: nobody.</summary>
    /// <param name="value">What stands behind the colon, folded or not.</param>
    public static string? FindAuthServId(string value) => new AuthenticationResultsReader(value).ReadAuthServId();

    /// <summary>The characters, at most, that a result takes in a field.</summary>
    public static int LengthOf(MethodResult result) => new AuthenticationResults("", [result]).ToValue().Length;

    /// <summary>The whole field with its line ends.</summary>
    public override string ToString() => $"{FieldName}: {ToValue(FieldName.Length + 2)}\r\n";

    /// <summary>What stands behind the colon, folded, without the last line end.</summary>
    /// <param name="column">Where it begins in its line.</param>
    public string ToValue(int column = 0)
    {
        var text = new StringBuilder();
        Append(Quoted(AuthServId));
        if (Results.Count == 0)
            Append("; none");
        foreach (var result in Results)
        {
            text.Append(';').Append(Fold);
            column = 1;
            Append($"{result.Method}={result.Result}");
            if (result.Comment.Length > 0)
                AppendWord(Comment(result.Comment));
            if (result.Reason.Length > 0)
                AppendWord($"reason={Quoted(result.Reason)}");
            foreach (var property in result.Properties)
                AppendWord($"{property.Type}.{property.Name}={Value(property.Value)}");
        }

        return text.ToString();

        void AppendWord(string word)
        {
            if (column + 1 + word.Length > PreferredLineChars)
            {
                text.Append(Fold);
                column = 1;
            }
            else
            {
                text.Append(' ');
                column++;
            }

            Append(word);
        }

        void Append(string word)
        {
            text.Append(word);
            column += word.Length;
        }
    }

    private static string Value(string value) =>
        value.Length is > 0 and <= MaxTextChars && !value.AsSpan().ContainsAnyExcept(s_address) && IsAddressOrToken(value) ? value : Quoted(value);

    // Beyond a token only what has the form of an address stands without quotes.
    private static bool IsAddressOrToken(string value) =>
        !value.AsSpan().ContainsAnyExcept(s_token)
        || (value.IndexOf('@', StringComparison.Ordinal) is >= 0 and var at && value.LastIndexOf('@') == at && at < value.Length - 1
            && !value.AsSpan(at + 1).ContainsAnyExcept(s_token) && !value.Contains("..", StringComparison.Ordinal) && value[0] != '.');

    private static string Quoted(string value)
    {
        value = Ascii(value);
        if (value.Length > 0 && !value.AsSpan().ContainsAnyExcept(s_token))
            return value;
        return $"\"{value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)}\"";
    }

    private static string Comment(string text)
    {
        var comment = new StringBuilder("(");
        foreach (var character in Ascii(text))
        {
            if (character is '(' or ')' or '\\')
                comment.Append('\\');
            comment.Append(character);
        }

        return comment.Append(')').ToString();
    }

    private static string Ascii(string text) => PlainText.Ascii(PlainText.Cut(text, MaxTextChars));
}
