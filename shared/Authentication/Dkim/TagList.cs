using System.Text;

namespace MailPipeline.Authentication.Dkim;

/// <summary>A list of tags and their values (RFC 6376 §3.2), as signatures and keys have it: "v=1; a=rsa-sha256".</summary>
internal sealed class TagList
{
    // A field or record of another meaning is not read to its end, however long it is.
    private const int MaxTags = 100;

    private static readonly char[] s_space = [' ', '\t', '\r', '\n'];

    private readonly Dictionary<string, string> _values = new(StringComparer.Ordinal);

    private TagList(string text) => Text = text;

    /// <summary>All of it, a character for each octet.</summary>
    public string Text { get; }

    /// <summary>The name that stands first.</summary>
    public string First { get; private set; } = "";

    /// <summary>Where the value of b= stands in <see cref="Text"/>, with the white space around it.</summary>
    public Range Signature { get; private set; } = 0..0;

    /// <summary>Without white space around it; null where there is no such tag.</summary>
    public string? this[string name] => _values.GetValueOrDefault(name);

    /// <param name="text">A character for each octet.</param>
    /// <returns>Null where it is none, or where a tag stands there twice, which makes all of it invalid.</returns>
    public static TagList? Parse(string text)
    {
        var tags = new TagList(text);
        for (var at = 0; at < text.Length;)
        {
            var end = text.IndexOf(';', at);
            if (end < 0)
                end = text.Length;
            if (text.AsSpan(at, end - at).Trim(s_space).Length > 0 && !tags.TryAdd(at, end))
                return null;
            at = end + 1;
        }

        return tags;
    }

    /// <summary>The value without any white space, for numbers and base64 are folded anywhere; null where there is no such tag.</summary>
    public string? Compact(string name) => this[name] is { } value ? WithoutSpace(value) : null;

    /// <summary>Parts of the value between colons; null where there is no such tag.</summary>
    public string[]? Parts(string name) => this[name]?.Split(':', StringSplitOptions.TrimEntries);

    /// <summary>Octets of the base64 that the value is; null where it is none, or is not there.</summary>
    public byte[]? Octets(string name)
    {
        if (Compact(name) is not { } compact)
            return null;
        var octets = new byte[compact.Length];
        return Convert.TryFromBase64String(compact, octets, out var length) ? octets[..length] : null;
    }

    /// <summary>A value that may be UTF-8 (RFC 8616 §5); null where there is no such tag, or where it is no UTF-8.</summary>
    public string? Unicode(string name)
    {
        if (this[name] is not { } value || Ascii.IsValid(value))
            return this[name];
        var octets = Encoding.Latin1.GetBytes(value);
        return System.Text.Unicode.Utf8.IsValid(octets) ? Encoding.UTF8.GetString(octets) : null;
    }

    private static string WithoutSpace(string value) =>
        value.AsSpan().IndexOfAny(s_space) < 0 ? value : string.Concat(value.Split(s_space, StringSplitOptions.RemoveEmptyEntries));

    private bool TryAdd(int at, int end)
    {
        var equals = Text.IndexOf('=', at, end - at);
        if (equals < 0 || _values.Count == MaxTags)
            return false;
        var name = Text[at..equals].Trim(s_space);
        if (name.Length == 0 || !char.IsAsciiLetter(name[0]) || !name.All(letter => char.IsAsciiLetterOrDigit(letter) || letter == '_'))
            return false;
        if (name == "b")
            Signature = (equals + 1)..end;
        if (_values.Count == 0)
            First = name;
        return _values.TryAdd(name, Text[(equals + 1)..end].Trim(s_space));
    }
}
