using System.Buffers;

namespace MailPipeline.Authentication;

/// <summary>The header section of a message that comes in pieces, held up to a bound. What comes behind the empty line is the body.</summary>
/// <param name="maxBytes">A longer one is given up, and what was held of it with it.</param>
internal sealed class HeaderCollector(int maxBytes)
{
    private const int FirstBytes = 4096;

    private readonly ArrayBufferWriter<byte> _held = new(FirstBytes);

    // Up to where its end was looked for.
    private int _searched;

    /// <summary>What comes now is the body, or is of no interest.</summary>
    public bool IsOver { get; private set; }

    /// <summary>It is longer than the bound.</summary>
    public bool IsTooLong { get; private set; }

    /// <summary>Its fields, without the empty line that ends them; once it is over.</summary>
    public ReadOnlyMemory<byte> Section { get; private set; }

    /// <summary>Takes what belongs to it and says how much of the content that was.</summary>
    public int Take(ReadOnlySpan<byte> content)
    {
        var taken = 0;
        while (!IsOver && taken < content.Length)
        {
            var end = content[taken..].IndexOf((byte)'\n');
            var length = end < 0 ? content.Length - taken : end + 1;
            if (length > maxBytes - _held.WrittenCount)
            {
                (IsOver, IsTooLong) = (true, true);
                _held.Clear();
                break;
            }

            _held.Write(content.Slice(taken, length));
            taken += length;
            if (end >= 0)
                EndLine();
        }

        return taken;
    }

    /// <summary>The content ends here. RFC 5322 §3.5: a message may be all header.</summary>
    public void End()
    {
        if (IsOver)
            return;
        Section = _held.WrittenMemory;
        IsOver = true;
    }

    private void EndLine()
    {
        if (_held.WrittenSpan[_searched..].SequenceEqual("\r\n"u8))
        {
            Section = _held.WrittenMemory[.._searched];
            IsOver = true;
        }

        _searched = _held.WrittenCount;
    }
}
