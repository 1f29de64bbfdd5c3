using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>What <see cref="ReplyParser.TryRead"/> found.</summary>
public enum ReplyStatus
{
    /// <summary>The reply is not whole yet: read more.</summary>
    Incomplete,

    /// <summary>A whole reply.</summary>
    Reply,

    /// <summary>A reply whose last line has no end within the bound: it counts, but nothing more can be read from the connection.</summary>
    Unended,

    /// <summary>
    /// No last line within the bound: nothing more can be read from the connection. <see cref="ReplyParser.TryEndBegun"/> knows what the
    /// lines say that were read.
    /// </summary>
    Endless,

    /// <summary>Not SMTP, or over a bound: the connection cannot be used any further. In doubt, temporary.</summary>
    Malformed,
}

/// <summary>
/// Reads the replies of a server, multi-line ones and enhanced codes included (RFC 5321 §4.2.1, RFC 2034 §4), in bounded
/// memory: neither an endless line nor a reply without a last line can grow it.
/// <para>
/// Three digits and what stands behind them decide, the rest is text for people. Behind them a hyphen says that more lines follow; a
/// space, a tab or the end of the line that this is the last one; anything else, in the first line, that this is not SMTP. The last line
/// has the code of the whole, be it another than that of the lines before it (RFC 5321 §4.2.1 has one code on all), whose text then keeps
/// its own. A line between that has no code is text. Lines and octets beyond what is kept are read past, and a note stands for the lines.
/// </para>
/// </summary>
public sealed class ReplyParser
{
    /// <summary>
    /// Octets kept of one line. Four times RFC 5321 §4.5.3.1.5: servers do exceed 512 octets (long policy texts with a URL).
    /// </summary>
    private const int LineBytes = 4 * SmtpLimits.ReplyLineBytes;

    /// <summary>Lines kept beside the last one. The longest EHLO replies in the field have some 30.</summary>
    private const int KeptLines = 127;

    /// <summary>
    /// Octets read of one reply, kept or not: far more than any server has to say, so that a wordy one still reaches its last line.
    /// </summary>
    private const int ReplyBytes = 1024 * 1024;

    private const string CutMark = "...";
    private const string NoLastLine = "(the reply has no last line)";

    private readonly List<Line> _lines = [];
    private LineReader _reader = new(LineBytes, LineBytes - 2);
    private int _leftOut;
    private long _octets;

    /// <summary>A line behind the first has no code, or another.</summary>
    private bool _disagrees;

    /// <summary>Takes lines from the front of <paramref name="buffer"/> until one reply is whole.</summary>
    public ReplyStatus TryRead(ref ReadOnlySequence<byte> buffer, out SmtpReply? reply)
    {
        reply = null;
        while (true)
        {
            var before = buffer.Length;
            var found = _reader.TryRead(ref buffer, out var octets);
            _octets += before - buffer.Length;
            if (found == LineStatus.Incomplete)
            {
                // A first line that has no code is nothing to be read to its end.
                if (_lines.Count == 0 && _reader.IsDiscarding && Line.Parse(_reader.Start, isCut: true).Code is null)
                    return ReplyStatus.Malformed;
                if (_octets <= ReplyBytes)
                    return ReplyStatus.Incomplete;
                return TryEnd(buffer, out reply) ? ReplyStatus.Unended : ReplyStatus.Endless;
            }

            var line = Line.Parse(octets.IsSingleSegment ? octets.FirstSpan : octets.ToArray(), isCut: found == LineStatus.TooLong);
            if (line.Code is null && _lines.Count == 0)
                return ReplyStatus.Malformed;
            if (line is { Code: { } code, IsLast: true })
            {
                if (code is < 200 or > 599)
                    return ReplyStatus.Malformed;
                reply = Take(line);
                return ReplyStatus.Reply;
            }

            Keep(line);
            if (_octets > ReplyBytes && !HasLine(buffer))
                return TryEnd(buffer, out reply) ? ReplyStatus.Unended : ReplyStatus.Endless;
        }
    }

    /// <summary>
    /// Nothing more comes, or nothing more is waited for: a last line counts without its end when its code and what stands behind it
    /// have come.
    /// </summary>
    /// <param name="rest">What <see cref="TryRead"/> has left of the input.</param>
    public bool TryEnd(in ReadOnlySequence<byte> rest, [NotNullWhen(true)] out SmtpReply? reply)
    {
        reply = null;
        var line = Unfinished(rest);
        if (line is not { Code: >= 200 and <= 599, IsLast: true, HasSeparator: true })
            return false;
        reply = Take(line);
        return true;
    }

    /// <summary>
    /// A reply that is <see cref="ReplyStatus.Endless"/>, as far as it has come: without a last line the code counts that all lines have which were
    /// read, as RFC 5321 §4.2.1 has one code on all of them. Not for one that was only cut off: its last line may have been another.
    /// </summary>
    /// <param name="rest">What <see cref="TryRead"/> has left of the input.</param>
    public bool TryEndBegun(in ReadOnlySequence<byte> rest, [NotNullWhen(true)] out SmtpReply? reply)
    {
        if (TryEnd(rest, out reply))
            return true;
        var line = Unfinished(rest);
        var isKnown = line.HasSeparator || _reader.IsDiscarding;
        if (isKnown)
            Keep(line);
        if (_lines.Count == 0 || _disagrees || _lines[0].Code is not (>= 200 and <= 599 and var code))
            return false;
        // Less than a code has come of the line: it may become the same.
        if (!isKnown && !code.ToString(CultureInfo.InvariantCulture).StartsWith(Encoding.Latin1.GetString(rest), StringComparison.Ordinal))
            return false;
        reply = Take(new Line(code, IsLast: true, HasSeparator: true, NoLastLine));
        return true;
    }

    /// <summary>
    /// What has come of a reply that has no end, in one line, as people read it: "250 Taken, but". Null when nothing has. It decides nothing,
    /// and is as the far end sent it: controls and length are up to whoever shows it.
    /// </summary>
    /// <param name="rest">What <see cref="TryRead"/> has left of the input.</param>
    public string? Begun(in ReadOnlySequence<byte> rest)
    {
        var unfinished = Unfinished(rest);
        IEnumerable<Line> lines = unfinished.Whole.Length == 0 ? _lines : _lines.Append(unfinished);
        int? code = null;
        var words = new List<string>(_lines.Count + 1);
        foreach (var line in lines)
        {
            words.Add(words.Count > 0 && line.Code == code && code is not null ? line.Split().Text : line.Whole.Trim());
            code ??= line.Code;
        }

        return words.Count == 0 ? null : string.Join(' ', words);
    }

    /// <summary>What has come already is read to its end: the last line may be there.</summary>
    private static bool HasLine(in ReadOnlySequence<byte> rest) => rest.PositionOf((byte)'\n') is not null;

    /// <summary>The line whose end has not come.</summary>
    private Line Unfinished(in ReadOnlySequence<byte> rest) =>
        _reader.IsDiscarding ? Line.Parse(_reader.Start, isCut: true) : Line.Parse(rest.ToArray(), isCut: false);

    private void Keep(Line line)
    {
        _disagrees |= _lines.Count > 0 && line.Code != _lines[0].Code;
        if (_lines.Count < KeptLines)
            _lines.Add(line);
        else
            _leftOut++;
    }

    private SmtpReply Take(Line last)
    {
        var (status, text) = last.Split();
        var lines = new List<string>(_lines.Count + 2);
        foreach (var line in _lines)
        {
            var (ownStatus, ownText) = line.Split();
            if (line.Code == last.Code)
                status ??= ownStatus;
            lines.Add(line.Code == last.Code ? ownText : line.Whole);
        }

        if (_leftOut > 0)
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"({_leftOut} lines left out)"));
        lines.Add(text);
        _lines.Clear();
        _leftOut = 0;
        _octets = 0;
        _disagrees = false;
        return new SmtpReply(last.Code!.Value, status, lines);
    }

    /// <summary>One line of a reply.</summary>
    /// <param name="Code">The three digits; null when there are none, or nothing that may stand behind them.</param>
    /// <param name="HasSeparator">Something stands behind them.</param>
    /// <param name="Text">What stands behind the separator; the whole line when it has no code.</param>
    private readonly record struct Line(int? Code, bool IsLast, bool HasSeparator, string Text)
    {
        /// <summary>With its code, in a reply that has another.</summary>
        public string Whole => Code is { } code ? string.Create(CultureInfo.InvariantCulture, $"{code} {Text}") : Text;

        public static Line Parse(ReadOnlySpan<byte> octets, bool isCut)
        {
            if (octets is [.., (byte)'\r'])
                octets = octets[..^1];
            if (octets.Length < 3 || !IsDigit(octets[0]) || !IsDigit(octets[1]) || !IsDigit(octets[2]))
                return new Line(null, false, false, Decode(octets, isCut));
            var code = (octets[0] - '0') * 100 + (octets[1] - '0') * 10 + (octets[2] - '0');
            // A number alone ends a reply (RFC 5321 §4.2: clients should take it so).
            if (octets.Length == 3)
                return new Line(code, true, false, "");
            return octets[3] is (byte)' ' or (byte)'-' or (byte)'\t'
                ? new Line(code, octets[3] != '-', true, Decode(octets[4..], isCut))
                : new Line(null, false, false, Decode(octets, isCut));
        }

        /// <summary>RFC 2034 §4: the status stands first on each line, and its class is the first digit of the number.</summary>
        public (EnhancedStatus? Status, string Text) Split()
        {
            var end = Text.IndexOf(' ', StringComparison.Ordinal);
            var word = end < 0 ? Text.AsSpan() : Text.AsSpan(0, end);
            if (!EnhancedStatus.TryParse(word, out var status) || status.Class != Code / 100)
                return (null, Text);
            return (status, end < 0 ? "" : Text[(end + 1)..]);
        }

        private static string Decode(ReadOnlySpan<byte> octets, bool isCut)
        {
            if (!isCut)
                return Encoding.UTF8.GetString(octets);
            // Without the character that the cut went through.
            var text = new char[octets.Length];
            return string.Concat(text.AsSpan(0, Encoding.UTF8.GetDecoder().GetChars(octets, text, flush: false)), CutMark);
        }

        private static bool IsDigit(byte octet) => octet is >= (byte)'0' and <= (byte)'9';
    }
}
