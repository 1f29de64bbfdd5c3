namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// XML of a stranger on its way to a parser, which keeps names, attributes and texts as long as they come: so many octets in all, and so
/// many up to the next "&lt;", which no name, attribute or text has in it. So that this octet is that character, what takes two octets for one is refused.
/// </summary>
internal sealed class BoundedDocument(Stream inner) : Stream
{
    /// <summary>Decompressed; the largest reports of the world have a few.</summary>
    internal const int MaxBytes = 16 * 1024 * 1024;

    private const int MaxRun = 16 * 1024;

    private long _bytes;
    private int _run;

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    /// <exception cref="InvalidDataException">It is beyond a bound, or cannot be decompressed.</exception>
    public override int Read(Span<byte> buffer)
    {
        var length = inner.Read(buffer);
        _bytes += length;
        if (_bytes > MaxBytes)
            throw new InvalidDataException($"it has more than {MaxBytes} octets");
        var rest = buffer[..length];
        if (rest.Contains((byte)0))
            throw new InvalidDataException("it has an octet 0, as UTF-16 and UTF-32 have; a report is UTF-8");
        for (var end = rest.IndexOf((byte)'<'); end >= 0; end = rest.IndexOf((byte)'<'))
        {
            Count(end);
            _run = 0;
            rest = rest[(end + 1)..];
        }

        Count(rest.Length);
        return length;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    private void Count(int octets)
    {
        _run += octets;
        if (_run > MaxRun)
            throw new InvalidDataException($"it has a name, attributes or a text of more than {MaxRun} octets");
    }
}
