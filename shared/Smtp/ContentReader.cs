using System.Buffers;

namespace MailPipeline.Smtp;

/// <summary>What content contained that no message may contain (RFC 5321 §2.3.8, §4.5.2).</summary>
[Flags]
public enum ContentFaults
{
    None = 0,

    /// <summary>A CR that no LF follows.</summary>
    BareCarriageReturn = 1,

    /// <summary>An LF without a CR before it.</summary>
    BareLineFeed = 2,

    /// <summary>A NUL octet (RFC 5322 §4.1 allowed it once, nobody does now).</summary>
    Nul = 4,
}

/// <summary>One step of <see cref="ContentReader"/>.</summary>
/// <param name="Start">Where the content of this step begins in the input.</param>
/// <param name="Length">Octets of content from there; may be 0.</param>
/// <param name="Consumed">Octets of the input this step has dealt with; never less than Start + Length.</param>
/// <param name="IsEnd">CRLF.CRLF was read; what follows in the input is the next command.</param>
/// <param name="IsBareLineEnd">A bare LF was read behind the slice and stands for a CRLF, which is the next content.</param>
public readonly record struct ContentSlice(int Start, int Length, int Consumed, bool IsEnd, bool IsBareLineEnd = false);

/// <summary>
/// The receiving side of DATA: finds the one end of data there is, CRLF.CRLF, and removes stuffed dots (RFC 5321 §4.5.2). Or, where
/// <see cref="IsCounted"/> says so, of BDAT, whose octets are content as they are, up to <see cref="End"/>.
/// Lines ended by a bare LF or CR neither end nor hide anything: they are content, and make the content faulty, so that the
/// host refuses the message after the end of data; or, where <see cref="RepairsLineEnds"/> says so, each bare LF is read as the end of
/// a line of content, and still as nothing else. It copies nothing: each step names a slice of the input. Ordinary text is
/// one slice per input. Mutable: one value for each message, kept in a variable or a field that is not readonly.
/// </summary>
public struct ContentReader()
{
    private static readonly SearchValues<byte> s_special = SearchValues.Create("\0\r\n"u8);

    // The CRLF of the DATA command has just been read: a dot right away ends an empty message.
    private State _state = State.LineStart;
    private bool _isInLine;

    private enum State : byte
    {
        LineStart,
        // A line of content whose start no CRLF vouches for: a dot there is stuffing, and begins no end of data.
        RepairedLineStart,
        Text,
        AfterCr,
        // The first dot of a line, which is never content.
        AfterDot,
        AfterDotCr,
        Ended,
    }

    /// <summary>A bare LF counts as CRLF and is no fault: for our own users' clients, never for other servers (RFC 5321 §2.3.8).</summary>
    public bool RepairsLineEnds { get; init; }

    /// <summary>The client says how many octets there are: no dot ends or means anything (RFC 3030 §2).</summary>
    public bool IsCounted { get; init; }

    /// <summary>What was wrong so far.</summary>
    public ContentFaults Faults { get; private set; }

    /// <summary>Octets of content so far, stuffed dots and the terminator excluded, repaired line ends counted as two.</summary>
    public long ContentBytes { get; private set; }

    /// <summary>Octets read so far, as they came over the wire.</summary>
    public long WireBytes { get; private set; }

    public readonly bool IsEnded => _state == State.Ended;

    /// <summary>
    /// Deals with some of <paramref name="input"/>, which must not be empty; call again with what was not consumed.
    /// </summary>
    public ContentSlice Read(ReadOnlySpan<byte> input)
    {
        if (IsEnded)
            throw new InvalidOperationException("The content has ended.");

        if (IsCounted && _state is State.LineStart or State.RepairedLineStart)
            _state = State.Text;
        // Start: a dot that opens a line, or the terminator it may belong to, is stepped over.
        var start = 0;
        while (start < input.Length && _state is State.LineStart or State.RepairedLineStart or State.AfterDot or State.AfterDotCr)
        {
            var octet = input[start];
            switch (_state)
            {
                case State.LineStart when octet == '.':
                    _state = State.AfterDot;
                    start++;
                    continue;
                case State.RepairedLineStart when octet == '.':
                    // RFC 5321 §4.5.2: clients that write lines with LF stuff them where they begin for them.
                    start++;
                    break;
                case State.AfterDot when octet == '\r':
                    _state = State.AfterDotCr;
                    start++;
                    continue;
                case State.AfterDotCr when octet == '\n':
                    _state = State.Ended;
                    return Step(0, 0, start + 1);
                case State.AfterDotCr:
                    // ".CR" and something else. The held CR is not handed on: the content is refused anyway.
                    Faults |= ContentFaults.BareCarriageReturn;
                    break;
            }

            _state = State.Text;
        }

        var length = TakeText(input[start..]);
        var consumed = start + length + (_state == State.RepairedLineStart ? "\n".Length : 0);
        _isInLine = input[consumed - 1] != '\n';
        return Step(start, length, consumed);
    }

    /// <summary>Counted content ends here.</summary>
    /// <returns>Its last line has no end, which is to be added: no other way to hand a message on can do without (RFC 5321 §4.1.1.4).</returns>
    public bool End()
    {
        if (!IsCounted || IsEnded)
            throw new InvalidOperationException("The content ends by itself, or has ended.");
        if (_state == State.AfterCr)
            Faults |= ContentFaults.BareCarriageReturn;
        _state = State.Ended;
        return _isInLine;
    }

    // Content up to the end of the input, up to a CRLF with a dot behind it, or up to a bare LF that is repaired.
    private int TakeText(ReadOnlySpan<byte> input)
    {
        var position = 0;
        if (_state == State.AfterCr && input.Length > 0)
        {
            _state = State.Text;
            if (input[0] == '\n')
            {
                position = 1;
                if (EndsLine(input, position))
                    return position;
            }
            else
            {
                Faults |= ContentFaults.BareCarriageReturn;
            }
        }

        while (position < input.Length)
        {
            var next = input[position..].IndexOfAny(s_special);
            if (next < 0)
                return input.Length;

            position += next + 1;
            switch (input[position - 1])
            {
                case (byte)'\r' when position == input.Length:
                    _state = State.AfterCr;
                    return position;
                case (byte)'\r' when input[position] == '\n':
                    position++;
                    if (EndsLine(input, position))
                        return position;
                    break;
                case (byte)'\r':
                    Faults |= ContentFaults.BareCarriageReturn;
                    break;
                case (byte)'\n' when RepairsLineEnds:
                    _state = State.RepairedLineStart;
                    return position - 1;
                case (byte)'\n':
                    Faults |= ContentFaults.BareLineFeed;
                    break;
                default:
                    Faults |= ContentFaults.Nul;
                    break;
            }
        }

        return position;
    }

    // Just behind a CRLF: true when the slice has to end here.
    private bool EndsLine(ReadOnlySpan<byte> input, int position)
    {
        if (IsCounted || (position < input.Length && input[position] != '.'))
            return false;

        _state = State.LineStart;
        return true;
    }

    private ContentSlice Step(int start, int length, int consumed)
    {
        var isBareLineEnd = _state == State.RepairedLineStart;
        ContentBytes += length + (isBareLineEnd ? "\r\n".Length : 0);
        WireBytes += consumed;
        return new ContentSlice(start, length, consumed, IsEnded, isBareLineEnd);
    }
}
