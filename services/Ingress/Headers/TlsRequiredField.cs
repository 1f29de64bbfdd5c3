namespace MailPipeline.Ingress.Headers;

/// <summary>
/// Looks in a header that comes in pieces for "TLS-Required: No" (RFC 8689 §3): its sender would rather have the message arrive in clear text than not at all.
/// Mutable: kept in a field that is not readonly.
/// </summary>
internal struct TlsRequiredField()
{
    private const int RestOfLine = -1;
    private const int AfterCr = -2;
    private const int Value = -3;

    /// <summary>Behind a line of the value: it may go on in the next.</summary>
    private const int AfterValue = -4;

    // How much of the name has been seen at the start of the line, or one of the above.
    private int _position;
    private int _fields;
    private int _letters;
    private bool _isNo = true;
    private bool _isBody;

    /// <summary>The field stands there once, and says so.</summary>
    public readonly bool IsNo => _fields == 1 && _isNo && _letters == No.Length;

    private static ReadOnlySpan<byte> Name => "tls-required:"u8;

    private static ReadOnlySpan<byte> No => "no"u8;

    public void Read(ReadOnlySpan<byte> content)
    {
        while (!_isBody && !content.IsEmpty)
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
            _isBody = octet == '\n';
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
        else if (_position != Name.Length - 1 || octet is not ((byte)' ' or (byte)'\t'))
        {
            StepName(octet);
        }
    }

    private void StepName(byte octet)
    {
        if (ToLower(octet) != Name[_position])
        {
            _position = octet == '\n' ? 0 : RestOfLine;
        }
        else if (++_position == Name.Length)
        {
            _fields++;
            _position = Value;
        }
    }

    private void StepValue(byte octet)
    {
        if (octet == '\n')
            _position = AfterValue;
        else if (octet is not ((byte)' ' or (byte)'\t' or (byte)'\r'))
            _isNo &= _letters < No.Length && ToLower(octet) == No[_letters++];
    }

    private static byte ToLower(byte octet) => octet is >= (byte)'A' and <= (byte)'Z' ? (byte)(octet | 0x20) : octet;
}
