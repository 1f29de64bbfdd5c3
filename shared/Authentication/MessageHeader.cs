using System.Text;

namespace MailPipeline.Authentication;

/// <summary>One field of a header section, as it stands there.</summary>
/// <param name="Octets">All of it: name, colon, value with its folds, and the line end where there is one.</param>
/// <param name="Colon">Where the colon stands.</param>
public readonly record struct MessageField(ReadOnlyMemory<byte> Octets, int Colon)
{
    /// <summary>RFC 5322 §4.5: there may be white space before the colon.</summary>
    public ReadOnlySpan<byte> Name => Octets.Span[..Colon].TrimEnd(" \t"u8);

    /// <summary>All behind the colon, the line end included.</summary>
    public ReadOnlyMemory<byte> Value => Octets[(Colon + 1)..];

    public bool IsNamed(string name) => Ascii.EqualsIgnoreCase(Name, name);
}

/// <summary>
/// The fields of a header section, from the top down. Lines that belong to no field are passed over: what cannot be named cannot be signed.
/// </summary>
public sealed class MessageHeader
{
    private readonly List<MessageField> _fields = [];
    private Dictionary<string, List<MessageField>>? _named;

    private MessageHeader()
    {
    }

    public IReadOnlyList<MessageField> Fields => _fields;

    /// <param name="sections">Lines that end in CRLF, without the empty one that ends the header; several, where the second goes on below the first.</param>
    public static MessageHeader Parse(params ReadOnlySpan<ReadOnlyMemory<byte>> sections)
    {
        var header = new MessageHeader();
        foreach (var section in sections)
            header.Read(section);
        return header;
    }

    /// <summary>Those of one name, from the top down; its case does not count.</summary>
    /// <param name="name">In lower case.</param>
    public IReadOnlyList<MessageField> Named(string name)
    {
        if (_named is null)
        {
            _named = new(StringComparer.OrdinalIgnoreCase);
            foreach (var field in _fields)
            {
                var key = Encoding.Latin1.GetString(field.Name);
                if (_named.TryGetValue(key, out var same))
                    same.Add(field);
                else
                    _named[key] = [field];
            }
        }

        return _named.TryGetValue(name, out var found) ? found : [];
    }

    private void Read(ReadOnlyMemory<byte> section)
    {
        while (!section.IsEmpty)
        {
            var field = section[..FieldLength(section.Span)];
            section = section[field.Length..];
            var span = field.Span;
            var colon = span.IndexOf((byte)':');
            if (colon > 0 && span[0] is not ((byte)' ' or (byte)'\t') && !span[..colon].TrimEnd(" \t"u8).ContainsAnyExceptInRange((byte)'!', (byte)'~'))
                _fields.Add(new MessageField(field, colon));
        }
    }

    /// <summary>RFC 5322 §2.2.3: a line that begins with white space goes on with the field before it.</summary>
    private static int FieldLength(ReadOnlySpan<byte> section)
    {
        for (var end = 0; ;)
        {
            var next = section[end..].IndexOf((byte)'\n');
            if (next < 0)
                return section.Length;
            end += next + 1;
            if (end == section.Length || section[end] is not ((byte)' ' or (byte)'\t'))
                return end;
        }
    }
}
