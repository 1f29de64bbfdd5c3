using System.Text;
using System.Text.Unicode;

namespace MailPipeline.Ingress.Headers;

/// <summary>
/// What is told of any header while it comes in pieces: how many Received fields it has (RFC 5321 §6.3), whether it says "TLS-Required: No"
/// (RFC 8689 §3), by which its sender would rather have the message arrive in clear text than not at all, and its Message-ID. Mutable: kept in a field
/// that is not readonly.
/// </summary>
internal struct HeaderFacts()
{
    /// <summary>Octets of a Message-ID by which a message can be found again; of a longer one nobody remembers more.</summary>
    public const int MaxMessageIdBytes = 250;

    private const int RestOfLine = -1;
    private const int AfterCr = -2;
    private const int Value = -3;

    /// <summary>Behind a line of the value: it may go on in the next.</summary>
    private const int AfterValue = -4;

    // How much of a name has been seen at the start of the line, or one of the above; and which of the names it may be.
    private int _position;
    private Field _field;
    private int _tlsRequiredFields;
    private int _letters;
    private bool _isNo = true;
    private byte[]? _messageId;
    private int _messageIdBytes;
    private int _messageIdFields;

    private enum Field
    {
        Received,
        TlsRequired,
        MessageId,
    }

    /// <summary>Received fields so far.</summary>
    public int Hops { get; private set; }

    /// <summary>TLS-Required stands there once, and says No.</summary>
    public readonly bool SaysTlsIsOptional => _tlsRequiredFields == 1 && _isNo && _letters == No.Length;

    /// <summary>
    /// The first Message-ID (RFC 5322 §3.6.4), without brackets, white space and what stands behind the bracket; empty: there is none, or none that is text of up to
    /// <see cref="MaxMessageIdBytes"/> octets.
    /// </summary>
    public readonly string MessageId
    {
        get
        {
            var id = _messageId.AsSpan(0, Math.Min(_messageIdBytes, MaxMessageIdBytes));
            var isWhole = _messageIdBytes <= MaxMessageIdBytes;
            // Behind the brackets there may be a comment.
            if (id is [(byte)'<', ..] && id.IndexOf((byte)'>') is > 0 and var end)
            {
                id = id[1..end];
                isWhole = true;
            }

            if (!isWhole || id.ContainsAnyInRange((byte)0, (byte)' ') || id.Contains((byte)0x7F))
                return "";
            return Utf8.IsValid(id) ? Encoding.UTF8.GetString(id) : "";
        }
    }

    /// <summary>The header has ended; nothing more is read.</summary>
    public bool IsBody { get; private set; }

    private static ReadOnlySpan<byte> No => "no"u8;

    private readonly ReadOnlySpan<byte> Name => _field switch
    {
        Field.TlsRequired => "tls-required:"u8,
        Field.MessageId => "message-id:"u8,
        _ => "received:"u8,
    };

    public void Read(ReadOnlySpan<byte> content)
    {
        while (!IsBody && !content.IsEmpty)
        {
            if (_position == RestOfLine)
            {
                var end = content.IndexOf((byte)'\n');
                if (end < 0)
                    return;
                content = content[(end + 1)..];
                _position = 0;
                continue;
            }

            Step(content[0]);
            content = content[1..];
        }
    }

    private void Step(byte octet)
    {
        // RFC 5322 §2.2.3
        if (_position == AfterValue)
            _position = octet is (byte)' ' or (byte)'\t' ? Value : 0;
        if (_position == AfterCr)
        {
            // An empty line.
            IsBody = octet == '\n';
            _position = RestOfLine;
        }
        else if (_position == Value)
        {
            StepValue(octet);
        }
        else if (_position == 0 && octet == '\r')
        {
            _position = AfterCr;
        }
        // RFC 5322 §4.5: older writers put a space before the colon.
        else if (_position == 0 || _position != Name.Length - 1 || octet is not ((byte)' ' or (byte)'\t'))
        {
            StepName(octet);
        }
    }

    private void StepName(byte octet)
    {
        octet = ToLower(octet);
        if (_position == 0)
            _field = octet switch { (byte)'t' => Field.TlsRequired, (byte)'m' => Field.MessageId, _ => Field.Received };
        if (octet != Name[_position])
            _position = octet == '\n' ? 0 : RestOfLine;
        else if (++_position == Name.Length)
            _position = Begin();
    }

    /// <summary>Behind the colon. Says whether the value is read.</summary>
    private int Begin()
    {
        switch (_field)
        {
            case Field.TlsRequired:
                _tlsRequiredFields++;
                return Value;
            case Field.MessageId when _messageIdFields++ == 0:
                _messageId = new byte[MaxMessageIdBytes];
                return Value;
            case Field.Received:
                Hops++;
                return RestOfLine;
            default:
                return RestOfLine;
        }
    }

    private void StepValue(byte octet)
    {
        if (octet == '\n')
        {
            _position = AfterValue;
        }
        else if (octet is not ((byte)' ' or (byte)'\t' or (byte)'\r'))
        {
            if (_field == Field.TlsRequired)
                _isNo &= _letters < No.Length && ToLower(octet) == No[_letters++];
            else if (_messageIdBytes++ < MaxMessageIdBytes)
                _messageId![_messageIdBytes - 1] = octet;
        }
    }

    private static byte ToLower(byte octet) => octet is >= (byte)'A' and <= (byte)'Z' ? (byte)(octet | 0x20) : octet;
}
