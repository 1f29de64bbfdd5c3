using System.Text;

namespace MailPipeline.Sasl;

/// <summary>
/// A login by a token that an issuer gave the client. Who comes without a right one is told so in a challenge, whose answer means nothing
/// (RFC 7628 §3.2.3): only then has the exchange failed.
/// </summary>
internal abstract class TokenDialogue : SaslDialogue
{
    private const char Separator = '\x01';

    private bool _isRejected;

    public sealed override SaslStep Take(ReadOnlySpan<byte> response)
    {
        if (_isRejected)
            return new SaslStep(SaslAction.Refused);
        var message = Encoding.UTF8.GetString(response);
        var end = message.IndexOf(Separator, StringComparison.Ordinal);
        if (end < 0 || !message.EndsWith("\x01\x01", StringComparison.Ordinal) || ReadName(message[..end]) is not { } name || SaslPrep.HasControls(name))
            return SaslStep.Malformed;
        // One pair is "auth"; of the others (host, port, and what may come to be) nothing is needed here.
        string? token = null;
        foreach (var pair in message[(end + 1)..^1].Split(Separator, StringSplitOptions.RemoveEmptyEntries))
        {
            if (!pair.StartsWith("auth=", StringComparison.Ordinal))
                continue;
            if (token is not null || (token = ReadToken(pair["auth=".Length..])) is null)
                return SaslStep.Malformed;
        }

        if (token is null)
            return SaslStep.Malformed;
        Claim = new TokenClaim(name, token);
        return new SaslStep(SaslAction.Verify);
    }

    public sealed override SaslStep Rejected(TokenIssuer? issuer)
    {
        _isRejected = true;
        return issuer is null ? new SaslStep(SaslAction.Refused) : SaslStep.Ask(Failure(issuer));
    }

    /// <summary>Whom the client wants to be, by what stands before the first separator: empty, whom the token names; null, it is malformed.</summary>
    protected abstract string? ReadName(string start);

    protected abstract byte[] Failure(TokenIssuer issuer);

    /// <summary>RFC 6750 §2.1; empty for a client that has none and asks for the challenge. Null: no bearer token.</summary>
    private static string? ReadToken(string authorization)
    {
        const string Scheme = "Bearer ";
        if (authorization.Length == 0)
            return "";
        if (!authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
            return null;
        var token = authorization[Scheme.Length..].TrimStart(' ');
        return token.TrimEnd('=').All(letter => char.IsAsciiLetterOrDigit(letter) || "-._~+/".Contains(letter, StringComparison.Ordinal)) ? token : null;
    }
}

/// <summary>OAUTHBEARER (RFC 7628): "n,a=name," and the token as HTTP has it. The name may be left out.</summary>
internal sealed class OAuthBearerDialogue : TokenDialogue
{
    // RFC 7628 §3.1, RFC 5801 §4: no channel is bound.
    protected override string? ReadName(string start) => start.Split(',') switch
    {
        ["n" or "y", "", ""] => "",
        ["n" or "y", ['a', '=', .. var name], ""] => ScramDialogue.ReadName(name),
        _ => null,
    };

    protected override byte[] Failure(TokenIssuer issuer) => issuer.BearerFailure();
}

/// <summary>XOAUTH2, as Google and Microsoft document it: the form of before RFC 7628, which many clients speak alone.</summary>
internal sealed class XOAuth2Dialogue : TokenDialogue
{
    protected override string? ReadName(string start) => start.StartsWith("user=", StringComparison.Ordinal) && start.Length > 5 ? start[5..] : null;

    protected override byte[] Failure(TokenIssuer issuer) => issuer.XOAuth2Failure();
}
