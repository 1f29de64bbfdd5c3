using System.Buffers;
using System.Buffers.Text;
using System.Text;

namespace MailPipeline.Smtp;

/// <summary>What a client proves itself with. Never logged.</summary>
public sealed record SmtpCredentials(string UserName, string Password)
{
    public override string ToString() => $"{nameof(SmtpCredentials)} {{ {PlainText.Of(UserName)}, *** }}";
}

/// <summary>
/// One authentication exchange (RFC 4954 §4): PLAIN (RFC 4616) and LOGIN, with and without an initial response. Each line
/// leads to a challenge, a refusal, or credentials for the host to verify.
/// </summary>
internal sealed class SaslExchange
{
    private static readonly SmtpReply s_c334Empty = new(334, "");
    private static readonly SmtpReply s_c334UserName = new(334, Convert.ToBase64String("Username:"u8));
    private static readonly SmtpReply s_c334Password = new(334, Convert.ToBase64String("Password:"u8));

    private readonly bool _isLogin;
    private string? _userName;

    private SaslExchange(bool isLogin) => _isLogin = isLogin;

    /// <summary>Set once the exchange is complete.</summary>
    public SmtpCredentials? Credentials { get; private set; }

    /// <summary>The argument of AUTH: a mechanism and perhaps an initial response.</summary>
    public static (SaslExchange? Exchange, SmtpReply? Reply) Begin(ReadOnlySpan<byte> argument)
    {
        var end = argument.IndexOf((byte)' ');
        var mechanism = end < 0 ? argument : argument[..end];
        var initial = end < 0 ? default : argument[(end + 1)..];
        if (mechanism.IsEmpty)
            return (null, Replies.C501BadArgument);

        var isLogin = Ascii.EqualsIgnoreCase(mechanism, "LOGIN"u8);
        if (!isLogin && !Ascii.EqualsIgnoreCase(mechanism, "PLAIN"u8))
            return (null, Replies.C504UnknownMechanism);

        var exchange = new SaslExchange(isLogin);
        if (end < 0)
            return (exchange, isLogin ? s_c334UserName : s_c334Empty);

        // RFC 4954 §4: "=" is an initial response of no octets.
        var reply = initial.SequenceEqual("="u8) ? exchange.Take([]) : exchange.Read(initial);
        return (exchange, reply);
    }

    /// <summary>A line of the client; null when the credentials are complete.</summary>
    public SmtpReply? Read(ReadOnlySpan<byte> line)
    {
        if (line.SequenceEqual("*"u8))
            return Replies.C501AuthCancelled;

        var decoded = new byte[Base64.GetMaxDecodedFromUtf8Length(line.Length)];
        // The decoder would pass over white space.
        if (line.ContainsAny(" \t\r"u8) || Base64.DecodeFromUtf8(line, decoded, out _, out var length) != OperationStatus.Done)
            return Replies.C501BadAuth;
        return Take(decoded.AsSpan(0, length));
    }

    private SmtpReply? Take(ReadOnlySpan<byte> response)
    {
        if (!System.Text.Unicode.Utf8.IsValid(response))
            return Replies.C501BadAuth;
        if (!_isLogin)
            return TakePlain(response);

        if (_userName is null ? HasControls(response) : response.Contains((byte)0))
            return Replies.C501BadAuth;
        if (_userName is null)
        {
            _userName = Encoding.UTF8.GetString(response);
            return s_c334Password;
        }

        Credentials = new SmtpCredentials(_userName, Encoding.UTF8.GetString(response));
        return null;
    }

    // RFC 4013 §2.3 prohibits controls in names; in passwords they are passed on, but for NUL, which RFC 4616 §2 excludes.
    private static bool HasControls(ReadOnlySpan<byte> name)
    {
        while (!name.IsEmpty)
        {
            _ = Rune.DecodeFromUtf8(name, out var rune, out var length);
            // U+0080 to U+009F are controls, too.
            if (Rune.IsControl(rune))
                return true;
            name = name[length..];
        }

        return false;
    }

    // RFC 4616 §2: [authzid] NUL authcid NUL passwd
    private SmtpReply? TakePlain(ReadOnlySpan<byte> response)
    {
        var first = response.IndexOf((byte)0);
        if (first < 0)
            return Replies.C501BadAuth;
        var authorization = response[..first];
        var rest = response[(first + 1)..];
        var second = rest.IndexOf((byte)0);
        if (second <= 0 || rest[(second + 1)..].Contains((byte)0))
            return Replies.C501BadAuth;

        var user = rest[..second];
        if (HasControls(user))
            return Replies.C501BadAuth;
        // Acting for somebody else is not offered.
        if (!authorization.IsEmpty && !Ascii.EqualsIgnoreCase(authorization, user))
            return Replies.C535BadCredentials;

        Credentials = new SmtpCredentials(Encoding.UTF8.GetString(user), Encoding.UTF8.GetString(rest[(second + 1)..]));
        return null;
    }
}
