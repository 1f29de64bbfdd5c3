using System.Buffers;

namespace MailPipeline.Authentication.Dkim;

/// <summary>
/// A body as it is signed (RFC 6376 §3.4.3, §3.4.4), while it streams: empty lines are held back, as a count, until it is known that they are not
/// the last; the relaxed form has no white space at the end of a line, and one space for each run of it elsewhere.
/// </summary>
internal sealed class BodyCanonicalizer(Canonicalization canonicalization) : IDisposable
{
    private const int BufferBytes = 4096;

    private static readonly SearchValues<byte> s_lineEnds = SearchValues.Create("\r\n"u8);
    private static readonly SearchValues<byte> s_spaces = SearchValues.Create(" \t\r\n"u8);

    private readonly SearchValues<byte> _special = canonicalization == Canonicalization.Relaxed ? s_spaces : s_lineEnds;
    private readonly List<BodyHash> _hashes = [];
    private readonly byte[] _buffer = new byte[BufferBytes];
    private int _length;
    private bool _isEmpty = true;

    // Held back, in this order: line ends, a space, and a CR that may begin a line end.
    private long _lineEnds;
    private bool _hasSpace;
    private bool _hasCr;

    public Canonicalization Canonicalization => canonicalization;

    /// <summary>The hash of its first octets, or of all of it; the same one for whoever asks for the same.</summary>
    /// <param name="maxBytes">l=; null where it is not said.</param>
    public BodyHash HashOf(long? maxBytes)
    {
        if (_hashes.Find(hash => hash.MaxBytes == maxBytes) is { } same)
            return same;
        var added = new BodyHash(maxBytes);
        _hashes.Add(added);
        return added;
    }

    public void Take(ReadOnlySpan<byte> body)
    {
        while (!body.IsEmpty)
        {
            var next = body.IndexOfAny(_special);
            if (next != 0)
            {
                var text = next < 0 ? body : body[..next];
                LetGo();
                Write(text);
                body = body[text.Length..];
                continue;
            }

            Step(body[0]);
            body = body[1..];
        }
    }

    /// <summary>The body has ended: its last line gets its end, and the simple form has a line end even where there is nothing else.</summary>
    public void End()
    {
        if (_hasCr)
            LetGo();
        if (!_isEmpty || canonicalization == Canonicalization.Simple)
            Write("\r\n"u8);
        Flush();
        foreach (var hash in _hashes)
            hash.End();
    }

    public void Dispose()
    {
        foreach (var hash in _hashes)
            hash.Dispose();
    }

    private void Step(byte octet)
    {
        switch (octet)
        {
            case (byte)'\n' when _hasCr:
                (_hasCr, _hasSpace) = (false, false);
                _lineEnds++;
                break;
            case (byte)'\n':
                LetGo();
                Write("\n"u8);
                break;
            case (byte)'\r':
                if (_hasCr)
                    LetGo();
                _hasCr = true;
                break;
            default:
                if (_hasCr)
                    LetGo();
                _hasSpace = true;
                break;
        }
    }

    private void LetGo()
    {
        for (; _lineEnds > 0; _lineEnds--)
            Write("\r\n"u8);
        if (_hasSpace)
            Write(" "u8);
        if (_hasCr)
            Write("\r"u8);
        (_hasSpace, _hasCr) = (false, false);
    }

    private void Write(ReadOnlySpan<byte> octets)
    {
        _isEmpty = false;
        while (octets.Length > BufferBytes - _length)
        {
            var part = octets[..(BufferBytes - _length)];
            part.CopyTo(_buffer.AsSpan(_length));
            _length += part.Length;
            octets = octets[part.Length..];
            Flush();
        }

        octets.CopyTo(_buffer.AsSpan(_length));
        _length += octets.Length;
    }

    private void Flush()
    {
        foreach (var hash in _hashes)
            hash.Take(_buffer.AsSpan(0, _length));
        _length = 0;
    }
}
