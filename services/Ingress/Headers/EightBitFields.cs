using System.Text;

namespace MailPipeline.Ingress.Headers;

/// <summary>
/// Whether a message that comes in pieces has fields that are not ASCII (RFC 6532 §3): in its header, or in that of a part, which begins
/// with "Content-" on whatever line it stands (RFC 2045 §3). Parts are not told apart from text that looks like one. Mutable: kept in a
/// field that is not readonly.
/// </summary>
internal struct EightBitFields()
{
    private readonly byte[] _start = new byte[PartField.Length];
    private int _length;
    private bool _isBody;
    private bool _isFieldBefore;
    private bool _isEightBit;
    private bool _areFound;

    /// <summary>In what has been read.</summary>
    public readonly bool AreFound => _areFound || IsFound;

    private static ReadOnlySpan<byte> PartField => "content-"u8;

    /// <summary>Of the line that is read: it belongs to a field, and is not ASCII.</summary>
    private readonly bool IsFound => _isEightBit && (!_isBody || IsField);

    private readonly bool IsField =>
        _length > 0 && (_start[0] is (byte)' ' or (byte)'\t' ? _isFieldBefore : _length >= PartField.Length && Ascii.EqualsIgnoreCase(_start, PartField));

    public void Read(ReadOnlySpan<byte> content)
    {
        while (!_areFound && !content.IsEmpty)
        {
            var end = content.IndexOf((byte)'\n');
            var piece = end < 0 ? content : content[..(end + 1)];
            if (_length < _start.Length)
                piece[..Math.Min(piece.Length, _start.Length - _length)].CopyTo(_start.AsSpan(_length));
            // Longer than any name is enough.
            _length = Math.Min(_length + piece.Length, _start.Length);
            _isEightBit |= !Ascii.IsValid(piece);
            if (end >= 0)
                EndLine();
            content = content[piece.Length..];
        }
    }

    private void EndLine()
    {
        _areFound = IsFound;
        _isBody |= _length == 2 && _start[0] == '\r';
        _isFieldBefore = IsField;
        (_length, _isEightBit) = (0, false);
    }
}
