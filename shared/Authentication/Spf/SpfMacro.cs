using System.Buffers;
using System.Globalization;
using System.Text;

namespace MailPipeline.Authentication.Spf;

/// <summary>Where a macro-string stands: what may be in it is not the same everywhere (RFC 7208 §7.1, §7.2).</summary>
internal enum SpfMacroPlace
{
    /// <summary>It names a domain: its end must look like one.</summary>
    Domain,

    /// <summary>The value of a modifier that nobody knows.</summary>
    Modifier,

    /// <summary>It is shown to people: it may have spaces, and the macros c, r and t.</summary>
    Explanation,
}

/// <summary>A text with macros in it (RFC 7208 §7), parsed once and expanded for one question.</summary>
internal sealed class SpfMacro
{
    private const int MaxNameChars = 253;

    private static readonly SearchValues<char> s_delimiters = SearchValues.Create(".-+,/_=");

    // RFC 7208 §7.1: the right-hand labels that stay are counted with at most three digits where anything sensible is meant.
    private const int MaxDigits = 3;

    private readonly Part[] _parts;

    private SpfMacro(Part[] parts) => _parts = parts;

    /// <summary>RFC 8616 §4: with a local part beyond ASCII the term matches nothing.</summary>
    public bool UsesLocalPart => Array.Exists(_parts, part => part.Letter is 'l' or 's');

    /// <summary>The names of the client have to be looked up before it can be expanded.</summary>
    public bool UsesClientName => Array.Exists(_parts, part => part.Letter == 'p');

    /// <summary>Null: it is none by the grammar.</summary>
    public static SpfMacro? Parse(ReadOnlySpan<char> text, SpfMacroPlace place)
    {
        var parts = new List<Part>();
        var literal = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i];
            if (character != '%')
            {
                if (!(character is > ' ' and <= '~' || (character == ' ' && place == SpfMacroPlace.Explanation)))
                    return null;
                literal.Append(character);
                continue;
            }

            if (++i == text.Length)
                return null;
            if (text[i] is '%' or '_' or '-')
            {
                // What stands for itself ends a domain-spec as a macro does (RFC 7208 §7.1), so that it is a part of its own.
                Flush();
                parts.Add(new Part('\0', text[i] switch { '%' => "%", '_' => " ", _ => "%20" }) { IsExpanded = true });
                continue;
            }

            var end = text[i..].IndexOf('}');
            if (text[i] != '{' || end < 0 || ReadMacro(text.Slice(i + 1, end - 1), place) is not { } macro)
                return null;
            Flush();
            parts.Add(macro);
            i += end;
        }

        Flush();
        var result = new SpfMacro([.. parts]);
        return place != SpfMacroPlace.Domain || result.EndsAsDomain() ? result : null;

        void Flush()
        {
            if (literal.Length > 0)
                parts.Add(new Part('\0', literal.ToString()));
            literal.Clear();
        }
    }

    /// <summary>Expands it to a name for DNS: what is too long loses labels at its left (RFC 7208 §7.3).</summary>
    public string ToName(Func<char, string> valueOf)
    {
        var name = ToText(valueOf);
        if (name.EndsWith('.'))
            name = name[..^1];
        while (name.Length > MaxNameChars)
        {
            var dot = name.IndexOf('.', name.Length - MaxNameChars - 1);
            // One label that is too long is no name, and DNS will say so.
            if (dot < 0)
                return name[^MaxNameChars..];
            name = name[(dot + 1)..];
        }

        return name;
    }

    /// <param name="valueOf">Of each letter, in lower case.</param>
    public string ToText(Func<char, string> valueOf)
    {
        if (_parts is [{ Letter: '\0' } only])
            return only.Text;
        var text = new StringBuilder();
        foreach (var part in _parts)
            text.Append(part.Letter == '\0' ? part.Text : part.Transform(valueOf(part.Letter)));
        return text.ToString();
    }

    // RFC 7208 §7.1: macro-letter, transformers, delimiters.
    private static Part? ReadMacro(ReadOnlySpan<char> text, SpfMacroPlace place)
    {
        if (text.IsEmpty)
            return null;
        var letter = char.ToLowerInvariant(text[0]);
        if (!"slodiphvcrt".Contains(letter) || (letter is 'c' or 'r' or 't' && place == SpfMacroPlace.Domain))
            return null;
        var rest = text[1..];
        var digits = rest.IndexOfAnyExceptInRange('0', '9') is >= 0 and var length ? length : rest.Length;
        var labels = 0;
        if (digits > 0)
        {
            labels = digits > MaxDigits ? int.MaxValue : int.Parse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
            if (labels == 0 || (digits > MaxDigits && !rest[..digits].ContainsAnyExcept('0')))
                return null;
        }

        rest = rest[digits..];
        var isReversed = rest is ['r' or 'R', ..];
        rest = isReversed ? rest[1..] : rest;
        if (rest.ContainsAnyExcept(s_delimiters))
            return null;
        return new Part(letter, "")
        {
            IsExpanded = true, Labels = labels, IsReversed = isReversed, IsEscaped = char.IsAsciiLetterUpper(text[0]),
            Delimiters = rest.IsEmpty ? "." : rest.ToString(),
        };
    }

    // RFC 7208 §7.1, domain-end: a macro, or a dot and a label that is no number.
    private bool EndsAsDomain()
    {
        if (_parts.Length == 0)
            return false;
        if (_parts[^1].IsExpanded)
            return true;
        var text = _parts[^1].Text.AsSpan();
        if (text.EndsWith('.'))
            text = text[..^1];
        var dot = text.LastIndexOf('.');
        if (dot < 0)
            return false;
        var label = text[(dot + 1)..];
        var isNumber = true;
        foreach (var character in label)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character != '-')
                return false;
            isNumber &= char.IsAsciiDigit(character);
        }

        return !isNumber && label[0] != '-' && label[^1] != '-';
    }

    /// <param name="Letter">0 for what stands for itself.</param>
    private sealed record Part(char Letter, string Text)
    {
        public bool IsExpanded { get; init; }

        /// <summary>So many at the right stay; 0: all.</summary>
        public int Labels { get; init; }

        public bool IsReversed { get; init; }

        /// <summary>Written in upper case: what a URL cannot have is escaped.</summary>
        public bool IsEscaped { get; init; }

        public string Delimiters { get; init; } = ".";

        public string Transform(string value)
        {
            if (IsReversed || Labels > 0 || Delimiters != ".")
            {
                var labels = value.Split(Delimiters.ToCharArray());
                if (IsReversed)
                    Array.Reverse(labels);
                value = string.Join('.', Labels > 0 && Labels < labels.Length ? labels[^Labels..] : labels);
            }

            return IsEscaped ? Uri.EscapeDataString(value) : value;
        }
    }
}
