using System.Text;

namespace MailPipeline.Sasl;

/// <summary>PLAIN (RFC 4616): name and password in one response.</summary>
internal sealed class PlainDialogue : SaslDialogue
{
    // RFC 4616 §2: [authzid] NUL authcid NUL passwd
    public override SaslStep Take(ReadOnlySpan<byte> response)
    {
        var first = response.IndexOf((byte)0);
        if (first < 0)
            return SaslStep.Malformed;
        var authorization = response[..first];
        var rest = response[(first + 1)..];
        var second = rest.IndexOf((byte)0);
        if (second <= 0 || rest[(second + 1)..].Contains((byte)0))
            return SaslStep.Malformed;

        var name = Encoding.UTF8.GetString(rest[..second]);
        if (SaslPrep.HasControls(name))
            return SaslStep.Malformed;
        // Acting for somebody else is not offered.
        if (!authorization.IsEmpty && !Encoding.UTF8.GetString(authorization).Equals(name, StringComparison.OrdinalIgnoreCase))
            return new SaslStep(SaslAction.Refused);

        Claim = new PasswordClaim(name, Encoding.UTF8.GetString(rest[(second + 1)..]));
        return new SaslStep(SaslAction.Verify);
    }
}

/// <summary>LOGIN: name and password, each in a response of its own.</summary>
internal sealed class LoginDialogue : SaslDialogue
{
    private string? _name;

    public override SaslStep Start() => SaslStep.Ask("Username:"u8);

    public override SaslStep Take(ReadOnlySpan<byte> response)
    {
        var text = Encoding.UTF8.GetString(response);
        if (_name is null)
        {
            if (SaslPrep.HasControls(text))
                return SaslStep.Malformed;
            _name = text;
            return SaslStep.Ask("Password:"u8);
        }

        if (text.Contains('\0', StringComparison.Ordinal))
            return SaslStep.Malformed;
        Claim = new PasswordClaim(_name, text);
        return new SaslStep(SaslAction.Verify);
    }
}
