using System.Text;

namespace MailPipeline.Authentication;

/// <summary>Reads an Authentication-Results field by its grammar (RFC 8601 §2.2), in one pass and whatever is in it.</summary>
internal ref struct AuthenticationResultsReader(ReadOnlySpan<char> text)
{
    /// <summary>Comments within comments: far more than anybody writes.</summary>
    private const int MaxDepth = 20;

    private ReadOnlySpan<char> _rest = text;
    private bool _isBroken;

    public AuthenticationResults? Read()
    {
        if (ReadAuthServId() is not { } id)
            return null;
        SkipVersion();
        var results = new List<MethodResult>();
        while (!_isBroken && TryTake(';'))
        {
            SkipSpace();
            // RFC 8601 §2.2: some write a semicolon behind the last one.
            if (_rest.IsEmpty && results.Count > 0)
                break;
            var method = ReadKeyword();
            if (results.Count == 0 && method == "none" && SkipSpace().IsEmpty)
                return _isBroken ? null : new AuthenticationResults(id, []);
            if (ReadResult(method) is not { } result)
                return null;
            results.Add(result);
        }

        return _isBroken || !SkipSpace().IsEmpty || results.Count == 0 ? null : new AuthenticationResults(id, results);
    }

    public string? ReadAuthServId()
    {
        SkipSpace();
        var id = ReadValue(isProperty: false);
        return _isBroken || id.Length == 0 ? null : id;
    }

    private MethodResult? ReadResult(string method)
    {
        SkipSpace();
        if (TryTake('/'))
        {
            SkipSpace();
            ReadKeyword();
        }

        if (method.Length == 0 || !TryTake('='))
            return null;
        SkipSpace();
        var result = new MethodResult(method, ReadKeyword());
        if (result.Result.Length == 0)
            return null;
        var properties = new List<ResultProperty>();
        while (!SkipSpace().IsEmpty && _rest[0] != ';')
        {
            var type = ReadKeyword();
            SkipSpace();
            if (type == "reason" && properties.Count == 0 && TryTake('='))
            {
                SkipSpace();
                result = result with { Reason = ReadValue(isProperty: false) };
                continue;
            }

            if (type.Length == 0 || !TryTake('.'))
                return null;
            SkipSpace();
            var name = ReadKeyword();
            if (name.Length == 0 || !TryTake('='))
                return null;
            SkipSpace();
            properties.Add(new ResultProperty(type, name, ReadValue(isProperty: true)));
        }

        return _isBroken ? null : result with { Properties = properties };
    }

    private void SkipVersion()
    {
        SkipSpace();
        while (!_rest.IsEmpty && char.IsAsciiDigit(_rest[0]))
            _rest = _rest[1..];
    }

    /// <summary>Behind white space and comments (RFC 5322 §3.2.2).</summary>
    private ReadOnlySpan<char> SkipSpace()
    {
        while (!_rest.IsEmpty)
        {
            if (_rest[0] is ' ' or '\t' or '\r' or '\n')
                _rest = _rest[1..];
            else if (_rest[0] == '(')
                SkipComment();
            else
                break;
        }

        return _rest;
    }

    private void SkipComment()
    {
        var depth = 0;
        for (var i = 0; i < _rest.Length; i++)
        {
            switch (_rest[i])
            {
                case '\\':
                    i++;
                    break;
                case '(':
                    depth++;
                    break;
                case ')' when --depth == 0:
                    _rest = _rest[(i + 1)..];
                    return;
            }

            if (depth > MaxDepth)
                break;
        }

        Break();
    }

    private bool TryTake(char character)
    {
        SkipSpace();
        if (_rest.IsEmpty || _rest[0] != character)
            return false;
        _rest = _rest[1..];
        return true;
    }

    private string ReadKeyword()
    {
        var length = 0;
        while (length < _rest.Length && (char.IsAsciiLetterOrDigit(_rest[length]) || _rest[length] is '-' or '_'))
            length++;
        var keyword = _rest[..length].ToString().ToLowerInvariant();
        _rest = _rest[length..];
        return keyword;
    }

    /// <summary>A token or a quoted string; of a property also an address, whose local part may be quoted.</summary>
    private string ReadValue(bool isProperty)
    {
        var value = new StringBuilder();
        if (!_rest.IsEmpty && _rest[0] == '"')
        {
            ReadQuoted(value);
            if (!isProperty || _rest.IsEmpty || _rest[0] != '@')
                return value.ToString();
        }

        var length = 0;
        // Signatures and addresses are written without quotes, with characters that no token has.
        while (length < _rest.Length && _rest[length] is not (' ' or '\t' or '\r' or '\n' or ';' or '(' or '"'))
            length++;
        value.Append(_rest[..length]);
        _rest = _rest[length..];
        return value.ToString();
    }

    private void ReadQuoted(StringBuilder value)
    {
        for (var i = 1; i < _rest.Length; i++)
        {
            switch (_rest[i])
            {
                case '"':
                    _rest = _rest[(i + 1)..];
                    return;
                case '\\' when i + 1 < _rest.Length:
                    value.Append(_rest[++i]);
                    break;
                // Of a fold the white space behind it counts (RFC 5322 §3.2.4).
                case '\r' or '\n':
                    break;
                default:
                    value.Append(_rest[i]);
                    break;
            }
        }

        Break();
    }

    private void Break()
    {
        _isBroken = true;
        _rest = default;
    }
}
