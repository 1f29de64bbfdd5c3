using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using MailPipeline.Mail;

namespace MailPipeline.Ingress.Headers;

/// <summary>A change of a field that came with a message.</summary>
/// <param name="Place">Which of those with the name, from 1 on.</param>
/// <param name="Value">Folded with CRLF; empty: the field is removed.</param>
internal readonly record struct FieldChange(string Name, uint Place, string Value)
{
    // RFC 5322 §3.6, RFC 2045 §3.
    private static readonly FrozenSet<string> s_onceOnly = FrozenSet.ToFrozenSet(
        [
            "date", "from", "sender", "reply-to", "to", "cc", "bcc", "message-id", "in-reply-to", "references", "subject", "mime-version", "content-type",
            "content-transfer-encoding", "content-id", "content-description",
        ],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>A message has one such field at most: a second one in front would be another message to some of its readers.</summary>
    public bool IsOnceOnly => s_onceOnly.Contains(Name);
}

/// <summary>
/// The header section of a message, kept back from storage so that it may be changed: it becomes part of what stands in front of the content. One
/// that is long, or is not all whole fields, is given up, and stays as it came.
/// </summary>
internal sealed class HeldHeader
{
    /// <summary>With what else stands in front of a message it has room there.</summary>
    public const int MaxBytes = MessagePrefix.MaxBytes / 4;

    private readonly ArrayBufferWriter<byte> _held = new();
    private bool _isOver;
    private bool _isGivenUp;

    /// <summary>What was kept back, as it was changed; empty where it was given up.</summary>
    public ReadOnlyMemory<byte> Bytes => _isGivenUp || !_isOver ? default : _changed ?? _held.WrittenMemory;

    /// <summary>It has ended, and is there to be changed.</summary>
    public bool IsHeld => _isOver && !_isGivenUp;

    private byte[]? _changed;

    /// <summary>Takes of the content what belongs to the header. What it gives is to be kept: what is behind the header, or all, once it is given up.</summary>
    public ReadOnlyMemory<byte> Take(ReadOnlyMemory<byte> content)
    {
        if (_isOver)
            return content;
        var before = _held.WrittenCount;
        _held.Write(content.Span);
        var end = EndOf(_held.WrittenSpan, Math.Max(0, before - 3));
        if (end < 0 && _held.WrittenCount <= MaxBytes)
            return default;
        _isOver = true;
        // The empty line is the content's first.
        if (end < 0 || end > MaxBytes || !MessagePrefix.AreWhole(_held.WrittenSpan[..end]))
        {
            _isGivenUp = true;
            return _held.WrittenMemory;
        }

        var rest = _held.WrittenSpan[end..].ToArray();
        var header = _held.WrittenSpan[..end].ToArray();
        _held.ResetWrittenCount();
        _held.Write(header);
        return rest;
    }

    /// <summary>The content ends here, within the header: it is given up.</summary>
    public ReadOnlyMemory<byte> End()
    {
        if (_isOver)
            return default;
        (_isOver, _isGivenUp) = (true, true);
        return _held.WrittenMemory;
    }

    /// <summary>Makes the changes, one after the other. Returns those of fields that are not there.</summary>
    public IEnumerable<FieldChange> Change(IReadOnlyCollection<FieldChange> changes)
    {
        if (!IsHeld)
            return changes;
        var missing = new List<FieldChange>();
        var fields = Fields(_held.WrittenSpan);
        foreach (var change in changes)
        {
            var (name, place, value) = change;
            var count = 0u;
            var at = fields.FindIndex(field => NameOf(field).Equals(name, StringComparison.OrdinalIgnoreCase) && ++count == Math.Max(1, place));
            if (at < 0)
                missing.Add(change);
            else if (value.Length == 0)
                fields.RemoveAt(at);
            else
                fields[at] = Encoding.UTF8.GetBytes($"{NameOf(fields[at])}: {value}\r\n");
        }

        _changed = [.. fields.SelectMany(field => field)];
        return missing;
    }

    private static int EndOf(ReadOnlySpan<byte> held, int from)
    {
        if (held.StartsWith("\r\n"u8))
            return 0;
        var end = held[from..].IndexOf("\r\n\r\n"u8);
        return end < 0 ? -1 : from + end + 2;
    }

    private static List<byte[]> Fields(ReadOnlySpan<byte> header)
    {
        var fields = new List<byte[]>();
        while (!header.IsEmpty)
        {
            var end = 0;
            do
                end += header[end..].IndexOf((byte)'\n') + 1;
            while (end < header.Length && header[end] is (byte)' ' or (byte)'\t');
            fields.Add(header[..end].ToArray());
            header = header[end..];
        }

        return fields;
    }

    private static string NameOf(byte[] field) => Encoding.Latin1.GetString(field, 0, Array.IndexOf(field, (byte)':'));
}
