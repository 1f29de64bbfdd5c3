namespace MailPipeline.Mail;

/// <summary>
/// Entries by name, of which the first that fits counts: a name, "*." and a name (all below it), or "*". However many there are, a look costs what the
/// name has labels.
/// </summary>
public sealed class NameTable<T>
    where T : notnull
{
    private readonly Dictionary<string, (int Index, T Value)> _exact = new(StringComparer.Ordinal);

    /// <summary>By the name above; empty for all.</summary>
    private readonly Dictionary<string, (int Index, T Value)> _below = new(StringComparer.Ordinal);

    public bool IsEmpty => _exact.Count + _below.Count == 0;

    /// <param name="index">Its place in the list.</param>
    public void Add(string pattern, int index, T value)
    {
        if (pattern == "*")
            _below.TryAdd("", (index, value));
        else if (pattern.StartsWith("*.", StringComparison.Ordinal))
            _below.TryAdd(pattern[2..], (index, value));
        else
            _exact.TryAdd(pattern, (index, value));
    }

    public (int Index, T Value)? Find(string name)
    {
        (int Index, T Value)? first = null;
        if (_exact.TryGetValue(name, out var found))
            first = found;
        if (_below.Count == 0)
            return first;
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
            Consider(name[(dot + 1)..]);
        Consider("");
        return first;

        void Consider(string above)
        {
            if (_below.TryGetValue(above, out var other) && (first is null || other.Index < first.Value.Index))
                first = other;
        }
    }
}
