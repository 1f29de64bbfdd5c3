using System.Buffers;

namespace MailPipeline.Storage;

/// <summary>
/// What text both engines can hold: whole Unicode characters and no NUL. PostgreSQL refuses what is none, at the cost of the connection
/// it came on, and SQLite keeps it in a form that does not come back as it was.
/// </summary>
internal static class StoredText
{
    /// <summary>Longest text that is kept for people to read, in UTF-16 units: a reply, a reason, a name of a host.</summary>
    public const int MaxNoteLength = 1000;

    private const char Replacement = '\uFFFD';

    private static readonly SearchValues<char> s_suspects =
        SearchValues.Create([.. Enumerable.Range(0xD800, 0x800).Select(code => (char)code).Prepend('\0')]);

    public static bool IsStorable(ReadOnlySpan<char> text)
    {
        for (var at = text.IndexOfAny(s_suspects); at >= 0;)
        {
            if (!IsPair(text, at))
                return false;
            var next = text[(at + 2)..].IndexOfAny(s_suspects);
            at = next < 0 ? -1 : at + 2 + next;
        }

        return true;
    }

    /// <summary>Keys are never rewritten: what cannot be stored is nobody's name, and must not become somebody else's.</summary>
    /// <exception cref="StorageUnavailableException">It cannot be stored.</exception>
    public static string Require(string text) => IsStorable(text)
        ? text
        : throw new StorageUnavailableException(StorageFault.Refused, "A text with NUL or half a character cannot be stored.");

    /// <summary>
    /// What is noted of a text that strangers wrote: the text itself where it can be stored and is short enough, otherwise its beginning,
    /// cut between characters, with U+FFFD in the place of what is no character.
    /// </summary>
    public static string Note(string text, int length = MaxNoteLength)
    {
        if (text.Length > length)
            text = text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)];
        if (IsStorable(text))
            return text;
        return string.Create(text.Length, text, static (note, source) =>
        {
            for (var i = 0; i < note.Length; i++)
            {
                if (IsPair(source, i))
                {
                    note[i] = source[i];
                    note[++i] = source[i];
                }
                else
                {
                    note[i] = source[i] == '\0' || char.IsSurrogate(source[i]) ? Replacement : source[i];
                }
            }
        });
    }

    private static bool IsPair(ReadOnlySpan<char> text, int at) =>
        char.IsHighSurrogate(text[at]) && at + 1 < text.Length && char.IsLowSurrogate(text[at + 1]);
}
