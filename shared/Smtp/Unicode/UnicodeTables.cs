using System.Collections.Frozen;
using System.Globalization;

namespace MailPipeline.Smtp;

/// <summary>
/// What the runtime does not know without ICU, read once, when the first text that is not ASCII comes: how characters are put together
/// (Unicode Standard Annex #15), and which may stand in a domain (RFC 5892). The files say of which version of Unicode they are, and
/// <c>make-tables.py</c> makes them.
/// </summary>
internal sealed class UnicodeTables
{
    private static readonly Lazy<UnicodeTables> s_all = new(() => new UnicodeTables());

    private readonly FrozenDictionary<int, int[]> _parts;
    private readonly FrozenDictionary<(int First, int Second), int> _pairs;
    private readonly FrozenDictionary<int, byte> _classes;

    // Ascending, first and last character of each range.
    private readonly (int First, int Last)[] _valid;

    private UnicodeTables()
    {
        var (parts, pairs, classes) = (new Dictionary<int, int[]>(), new Dictionary<(int, int), int>(), new Dictionary<int, byte>());
        foreach (var line in Lines("normalization.txt"))
        {
            if (line.StartsWith('~'))
            {
                var space = line.IndexOf(' ', StringComparison.Ordinal);
                var (first, last) = Range(line[(space + 1)..]);
                for (var character = first; character <= last; character++)
                    classes.Add(character, byte.Parse(line.AsSpan(1, space - 1), CultureInfo.InvariantCulture));
                continue;
            }

            var mark = line.AsSpan().IndexOfAny('=', ':');
            var whole = Hex(line[..mark]);
            parts.Add(whole, Array.ConvertAll(line[(mark + 1)..].Split(' '), Hex));
            if (line[mark] == '=')
                pairs.Add((parts[whole][0], parts[whole][1]), whole);
        }

        (_parts, _pairs, _classes) = (parts.ToFrozenDictionary(), pairs.ToFrozenDictionary(), classes.ToFrozenDictionary());
        _valid = [.. Lines("idna.txt").Select(Range)];
    }

    public static UnicodeTables All => s_all.Value;

    /// <summary>One or two characters that it is made of; null where it is made of nothing else.</summary>
    public int[]? PartsOf(int character) => _parts.GetValueOrDefault(character);

    /// <summary>The character that both are put together to; null where there is none.</summary>
    public int? WholeOf(int first, int second) => _pairs.TryGetValue((first, second), out var whole) ? whole : null;

    /// <summary>Canonical combining class: 0 for what is no mark that can change places with another.</summary>
    public int ClassOf(int character) => _classes.GetValueOrDefault(character);

    /// <summary>PVALID (RFC 5892 §3): it may stand in a label whatever its neighbours are.</summary>
    public bool IsDomainCharacter(int character)
    {
        var index = Array.BinarySearch(_valid, (character, int.MaxValue));
        return index >= 0 || (~index > 0 && character <= _valid[~index - 1].Last);
    }

    private static IEnumerable<string> Lines(string file)
    {
        using var reader = new StreamReader(typeof(UnicodeTables).Assembly.GetManifestResourceStream(file)!);
        while (reader.ReadLine() is { } line)
        {
            if (!line.StartsWith('#'))
                yield return line;
        }
    }

    private static (int First, int Last) Range(string text)
    {
        var hyphen = text.IndexOf('-', StringComparison.Ordinal);
        return hyphen < 0 ? (Hex(text), Hex(text)) : (Hex(text[..hyphen]), Hex(text[(hyphen + 1)..]));
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
