using System.Buffers;
using System.Text;

namespace MailPipeline.Ingress.Headers;

/// <summary>Of whom a submitted message says that it is.</summary>
/// <param name="From">What stands behind the colon of the first From field, as it came.</param>
/// <param name="FromCount">Fields of that name.</param>
/// <param name="IsCut">One of them is longer than <see cref="SubmittedFields.MaxAuthorBytes"/>, or its name is padded beyond <see cref="HeaderLines.MaxBytes"/>.</param>
internal readonly record struct AuthorFields(ReadOnlyMemory<byte> From, int FromCount, ReadOnlyMemory<byte> Sender, int SenderCount, bool IsCut);

/// <summary>
/// The header section of a submitted message while it streams by, however long it is: the fields of blind copies, which are for no recipient
/// (RFC 5322 §3.6.3, §3.6.6), are left out of it, and those that name its author are copied. It holds no more than the beginning of a line.
/// </summary>
/// <param name="isEndedByText">
/// A line that is no field ends the header, as long as <see cref="SubmittedHeader"/> holds it and puts an empty line there. Else only an empty line
/// does: what readers take for a field has to be taken for one here.
/// </param>
internal sealed class SubmittedFields(bool isEndedByText)
{
    /// <summary>Far more than a field needs that names an author or a few.</summary>
    public const int MaxAuthorBytes = 16 * 1024;

    private readonly ArrayBufferWriter<byte> _start = new();
    private readonly ArrayBufferWriter<byte> _kept = new();
    private readonly Author _from = new();
    private readonly Author _sender = new();
    private HeaderLine _line;
    private HeaderLine _previous;
    private long _keptBytes;

    // Of the field under way.
    private bool _isLeftOut;
    private Author? _author;

    /// <summary>What comes now is no header any more.</summary>
    public bool IsOver { get; private set; }

    public AuthorFields Authors => new(_from.Value, _from.Count, _sender.Value, _sender.Count, _from.IsCut || _sender.IsCut);

    /// <summary>Takes more of the content, and gives back what stays of it; valid until the next call.</summary>
    public ReadOnlyMemory<byte> Take(ReadOnlySpan<byte> content)
    {
        _kept.ResetWrittenCount();
        while (!content.IsEmpty && !IsOver)
        {
            var end = content.IndexOf((byte)'\n');
            var length = end < 0 ? content.Length : end + 1;
            if (_line != HeaderLine.Undecided)
            {
                Keep(content[..length]);
            }
            else
            {
                length = Math.Min(length, HeaderLines.MaxBytes - _start.WrittenCount);
                _start.Write(content[..length]);
                end = content[length - 1] == '\n' ? end : -1;
                Decide(isLine: end >= 0);
            }

            content = content[length..];
            if (end >= 0)
                (_previous, _line) = (_line, HeaderLine.Undecided);
        }

        _kept.Write(content);
        return _kept.WrittenMemory;
    }

    /// <summary>The content ends here; gives back what was held of its last line.</summary>
    public ReadOnlyMemory<byte> End()
    {
        IsOver = true;
        return _start.WrittenMemory;
    }

    private void Decide(bool isLine)
    {
        var line = _start.WrittenSpan;
        // What is left out is not there for SubmittedHeader: the first line that stays is the first of all, and both take it for the same.
        _line = HeaderLines.KindOf(line, isLine, _keptBytes == 0 && line[0] is not ((byte)' ' or (byte)'\t') ? HeaderLine.Undecided : _previous);
        if (_line == HeaderLine.Undecided)
            return;
        var isText = _line == HeaderLine.Text || (_previous == HeaderLine.MailboxLine && _line != HeaderLine.Field);
        IsOver = _line == HeaderLine.Empty || (isText && isEndedByText && _keptBytes + line.Length <= SubmittedHeader.MaxBytes);
        if (_line == HeaderLine.Field)
        {
            Begin(HeaderLines.FieldName(line));
            _author?.Add(line[(line.IndexOf((byte)':') + 1)..]);
        }
        else if (_line != HeaderLine.Continuation)
        {
            // Readers that know no bound may find the colon behind it.
            Begin(IsOver ? default : HeaderLines.PaddedName(line));
            _author?.Cut();
        }
        else
        {
            _author?.Add(line);
        }

        if (!_isLeftOut)
            Write(line);
        _start.ResetWrittenCount();
    }

    private void Begin(ReadOnlySpan<byte> name)
    {
        _isLeftOut = Ascii.EqualsIgnoreCase(name, "bcc") || Ascii.EqualsIgnoreCase(name, "resent-bcc");
        _author = Ascii.EqualsIgnoreCase(name, "from") ? _from : Ascii.EqualsIgnoreCase(name, "sender") ? _sender : null;
        _author?.Begin();
    }

    private void Keep(ReadOnlySpan<byte> more)
    {
        _author?.Add(more);
        if (!_isLeftOut)
            Write(more);
    }

    private void Write(ReadOnlySpan<byte> octets)
    {
        _kept.Write(octets);
        _keptBytes += octets.Length;
    }

    /// <summary>The fields of one name, and what the first of them says.</summary>
    private sealed class Author
    {
        private readonly ArrayBufferWriter<byte> _value = new();

        public ReadOnlyMemory<byte> Value => _value.WrittenMemory;

        public int Count { get; private set; }

        public bool IsCut { get; private set; }

        public void Begin() => Count++;

        /// <summary>Nobody knows where its value begins.</summary>
        public void Cut() => IsCut = true;

        public void Add(ReadOnlySpan<byte> octets)
        {
            if (Count > 1)
                return;
            IsCut |= octets.Length > MaxAuthorBytes - _value.WrittenCount;
            if (!IsCut)
                _value.Write(octets);
        }
    }
}
