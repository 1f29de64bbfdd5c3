using System.Buffers;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Ingress.Headers;

/// <summary>
/// Leaves Authentication-Results fields out of a header while it streams that say they are ours, and that we have not put there (RFC 8601 §5): whoever
/// reads the message would believe them. All else stays as it came, octet by octet. It holds such a field no longer than until it names its author,
/// which stands first in it; one that does not within <see cref="MaxHeldBytes"/> is left out as well, because nobody knows what readers make of it.
/// </summary>
/// <param name="own">Our name in such fields, as <see cref="Key"/> has it.</param>
internal sealed class ForgedResults(string own)
{
    /// <summary>Comments may stand before the name. Far more than anybody writes there.</summary>
    public const int MaxHeldBytes = 8 * 1024;

    private readonly ArrayBufferWriter<byte> _held = new();
    private readonly ArrayBufferWriter<byte> _kept = new();
    private AuthservIdReader _author;
    private Place _place = Place.LineStart;
    private Field _field = Field.Kept;

    private enum Place : byte
    {
        LineStart,

        /// <summary>Behind a CR with which a line begins: an empty line, or not.</summary>
        AfterCr,
        Name,

        /// <summary>Behind the name, where spaces may stand before the colon.</summary>
        AfterName,
        RestOfLine,
    }

    /// <summary>What becomes of the field under way.</summary>
    private enum Field : byte
    {
        Kept,
        LeftOut,
        Undecided,
    }

    /// <summary>What comes now is no header any more.</summary>
    public bool IsOver { get; private set; }

    /// <summary>Fields that were left out.</summary>
    public int Count { get; private set; }

    private static ReadOnlySpan<byte> Name => "authentication-results"u8;

    /// <summary>Takes more of the content, and gives back what stays of it; valid until the next call.</summary>
    public ReadOnlyMemory<byte> Take(ReadOnlyMemory<byte> content)
    {
        var passed = PassOthers(content.Span);
        if (passed == content.Length)
            return content;
        _kept.ResetWrittenCount();
        _kept.Write(content.Span[..passed]);
        var rest = content.Span[passed..];
        while (!rest.IsEmpty && !IsOver)
        {
            var length = _place == Place.RestOfLine ? TakeRest(rest) : TakeStart(rest);
            rest = rest[length..];
        }

        _kept.Write(rest);
        return _kept.WrittenMemory;
    }

    /// <summary>The content ends here; gives back what stays of what was held.</summary>
    public ReadOnlyMemory<byte> End()
    {
        _kept.ResetWrittenCount();
        EndField();
        LetGo();
        IsOver = true;
        return _kept.WrittenMemory;
    }

    /// <summary>The form by which names are compared: case does not count, nor whether a domain is in A-labels or U-labels.</summary>
    public static string Key(string authservId) => DomainName.Key(authservId.TrimEnd('.'));

    /// <summary>Whole lines that are none of such a field, up to one that may be: of most messages all, and nothing is copied.</summary>
    private int PassOthers(ReadOnlySpan<byte> content)
    {
        var passed = 0;
        while (passed < content.Length && _field == Field.Kept && _held.WrittenCount == 0 && _place is Place.LineStart or Place.RestOfLine)
        {
            var line = content[passed..];
            if (_place == Place.LineStart && line.StartsWith("\r\n"u8))
            {
                IsOver = true;
                return content.Length;
            }

            if (_place == Place.LineStart && (line.Length <= Name.Length || Ascii.EqualsIgnoreCase(line[..Name.Length], Name)))
                break;
            var end = line.IndexOf((byte)'\n');
            _place = end < 0 ? Place.RestOfLine : Place.LineStart;
            passed += end < 0 ? line.Length : end + 1;
        }

        return passed;
    }

    /// <summary>Of a line whose field is known, all up to its end at once.</summary>
    private int TakeRest(ReadOnlySpan<byte> content)
    {
        var end = content.IndexOf((byte)'\n');
        var length = end < 0 ? content.Length : end + 1;
        if (end >= 0)
            _place = Place.LineStart;
        for (var at = 0; at < length; at++)
        {
            if (_field == Field.Undecided)
            {
                ReadAuthor(content[at]);
                continue;
            }

            if (_field == Field.Kept)
                _kept.Write(content[at..length]);
            break;
        }

        return length;
    }

    private int TakeStart(ReadOnlySpan<byte> content)
    {
        var octet = content[0];
        switch (_place)
        {
            case Place.LineStart when octet is (byte)' ' or (byte)'\t':
                _place = Place.RestOfLine;
                return 0;
            case Place.LineStart:
                EndField();
                _place = octet == '\r' ? Place.AfterCr : Place.Name;
                break;
            case Place.AfterCr when octet == '\n':
                IsOver = true;
                break;
        }

        return _place switch
        {
            Place.AfterCr when IsOver || _held.WrittenCount == 0 => Hold(octet),
            Place.Name when _held.WrittenCount < Name.Length && (octet | 0x20) == Name[_held.WrittenCount] => Hold(octet),
            Place.Name when _held.WrittenCount == Name.Length && octet == ':' => BeginAuthor(octet),
            Place.Name or Place.AfterName when _held.WrittenCount >= Name.Length && octet is (byte)' ' or (byte)'\t' => Hold(octet, Place.AfterName),
            Place.AfterName when octet == ':' => BeginAuthor(octet),
            _ => Pass(),
        };
    }

    private int Hold(byte octet, Place? place = null)
    {
        _place = place ?? _place;
        _held.GetSpan(1)[0] = octet;
        _held.Advance(1);
        if (IsOver)
            LetGo();
        else if (_held.WrittenCount == MaxHeldBytes)
            _place = LeaveOut();
        return 1;
    }

    /// <summary>It is some other line: what was held of it goes on, and the rest of it behind that.</summary>
    private int Pass()
    {
        LetGo();
        (_place, _field) = (Place.RestOfLine, Field.Kept);
        return 0;
    }

    private int BeginAuthor(byte colon)
    {
        Hold(colon, Place.RestOfLine);
        // Unless the colon was one octet too many: the field is left out already, and what is behind it is no other one.
        if (_field != Field.LeftOut)
            (_field, _author) = (Field.Undecided, new AuthservIdReader());
        return 1;
    }

    private void ReadAuthor(byte octet)
    {
        _held.GetSpan(1)[0] = octet;
        _held.Advance(1);
        if (_author.Read(octet))
            Decide(IsOurs(_author.Id));
        else if (_held.WrittenCount >= MaxHeldBytes)
            Decide(isOurs: true);
    }

    /// <summary>The field before is over: if it has not named its author by now, its last word was its name.</summary>
    private void EndField()
    {
        if (_field == Field.Undecided)
            Decide(IsOurs(_author.Id));
        _field = Field.Kept;
    }

    private void Decide(bool isOurs)
    {
        if (isOurs)
        {
            LeaveOut();
            return;
        }

        _field = Field.Kept;
        LetGo();
    }

    private Place LeaveOut()
    {
        _field = Field.LeftOut;
        Count++;
        _held.ResetWrittenCount();
        return Place.RestOfLine;
    }

    private void LetGo()
    {
        _kept.Write(_held.WrittenSpan);
        _held.ResetWrittenCount();
    }

    private bool IsOurs(string id) => id.Length > 0 && Key(id) == own;
}

/// <summary>
/// Reads the name with which the value of an Authentication-Results field begins, octet by octet (RFC 8601 §2.2): white space and comments before
/// it, and it itself as a token or in quotes (RFC 2045 §5.1). Mutable: kept in a field that is not readonly.
/// </summary>
internal struct AuthservIdReader()
{
    /// <summary>No name of ours is longer.</summary>
    private const int MaxIdBytes = 1024;

    private static readonly SearchValues<byte> s_notOfTokens = SearchValues.Create("()<>@,;:\\\"/[]?= \t\r\n"u8);

    private readonly List<byte> _id = [];
    private int _comments;
    private bool _isQuoted;
    private bool _isEscaped;

    /// <summary>As far as it was read; empty where it is too long.</summary>
    public readonly string Id => _id.Count > MaxIdBytes ? "" : Encoding.UTF8.GetString([.. _id]);

    /// <summary>Takes the next octet, and says whether the name has ended before it.</summary>
    public bool Read(byte octet)
    {
        if (_isEscaped)
        {
            _isEscaped = false;
            if (_isQuoted)
                Add(octet);
        }
        else if (octet == '\\' && (_isQuoted || _comments > 0))
        {
            _isEscaped = true;
        }
        else if (_comments > 0)
        {
            _comments += octet == '(' ? 1 : octet == ')' ? -1 : 0;
        }
        else if (_isQuoted)
        {
            if (octet == '"')
                return true;
            Add(octet);
        }
        else if (!s_notOfTokens.Contains(octet))
        {
            Add(octet);
        }
        else if (_id.Count > 0)
        {
            return true;
        }
        else if (octet is (byte)'(' or (byte)'"')
        {
            (_comments, _isQuoted) = octet == '(' ? (1, false) : (0, true);
        }
        else
        {
            return octet is not ((byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n');
        }

        return false;
    }

    private readonly void Add(byte octet)
    {
        if (_id.Count <= MaxIdBytes && !(_isQuoted && octet is (byte)'\r' or (byte)'\n'))
            _id.Add(octet);
    }
}
