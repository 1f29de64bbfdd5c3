namespace MailPipeline.Mailbox.Pop3;

/// <summary>Finds where the header and the first lines of the body end (RFC 1939 §7 TOP), chunk by chunk.</summary>
internal struct MessageTop(long bodyLines)
{
    private long _linesLeft = bodyLines;
    private long _lineBytes;
    private bool _inBody;
    private bool _endsInCarriageReturn;

    /// <summary>All that was asked for has been seen.</summary>
    public bool IsComplete { get; private set; }

    /// <summary>How many octets at the front of this chunk still belong to the top.</summary>
    public int Take(ReadOnlySpan<byte> chunk)
    {
        var taken = 0;
        while (taken < chunk.Length && !IsComplete)
        {
            var rest = chunk[taken..];
            var lineFeed = rest.IndexOf((byte)'\n');
            if (lineFeed < 0)
            {
                _lineBytes += rest.Length;
                _endsInCarriageReturn = rest[^1] == '\r';
                return chunk.Length;
            }
            var endsLine = lineFeed > 0 ? rest[lineFeed - 1] == '\r' : _endsInCarriageReturn;
            _endsInCarriageReturn = false;
            _lineBytes += lineFeed + 1;
            taken += lineFeed + 1;
            if (endsLine)
                EndLine();
        }
        return taken;
    }

    private void EndLine()
    {
        var isEmpty = _lineBytes == 2;
        _lineBytes = 0;
        if (_inBody)
            _linesLeft--;
        else
            _inBody = isEmpty;
        IsComplete = _inBody && _linesLeft <= 0;
    }
}
