using System.Buffers.Text;
using System.Text;

namespace MailPipeline.Console.Api;

/// <summary>Some of many.</summary>
/// <param name="Next">What to give as <c>cursor</c> for those that follow; null: these were the last.</param>
internal sealed record Page<T>(IReadOnlyList<T> Items, string? Next)
{
    public const int Default = 100;
    public const int Most = 1000;
}

/// <summary>Pages of lists that are in memory as a whole, in the order of their names: a page begins behind a name, whether it is there still or not.</summary>
internal static class Page
{
    public static string CursorOf(string name) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(name));

    /// <summary>The name of a cursor; empty where there is none, null where it was never given out.</summary>
    public static string? NameOf(string? cursor)
    {
        if (string.IsNullOrEmpty(cursor))
            return "";
        try
        {
            return Encoding.UTF8.GetString(Base64Url.DecodeFromChars(cursor));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    public static IResult Of<T>(IEnumerable<T> all, Func<T, string> name, string? cursor, int? limit)
    {
        if (Refuse(limit) is { } refused)
            return refused;
        if (NameOf(cursor) is not { } after)
            return BadCursor();
        var most = limit ?? Page<T>.Default;
        var page = all.Select(item => (Name: name(item), Item: item)).Where(one => string.CompareOrdinal(one.Name, after) > 0).OrderBy(one => one.Name, StringComparer.Ordinal).Take(most + 1).ToList();
        return TypedResults.Ok(new Page<T>([.. page.Take(most).Select(one => one.Item)], page.Count > most ? CursorOf(page[most - 1].Name) : null));
    }

    /// <summary>Null: it is what is allowed.</summary>
    public static IResult? Refuse(int? limit) =>
        limit is < 1 or > Page<object>.Most ? Problem.Invalid("badLimit", $"It is {limit}; it must be 1 to {Page<object>.Most}", "limit") : null;

    public static IResult BadCursor() => Problem.Invalid("badCursor", "It must be the 'next' of a page before", "cursor");
}
