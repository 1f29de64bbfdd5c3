using System.Buffers;
using System.Security.Cryptography;
using System.Text;

namespace MailPipeline.Sasl;

/// <summary>
/// SCRAM-SHA-256 (RFC 5802, RFC 7677): the client proves that it knows the password without sending it, and the server that it knew it.
/// Where SCRAM-SHA-256-PLUS is spoken, it proves that for this connection alone.
/// </summary>
/// <param name="nonce">The server's part, never the same twice: printable ASCII without a comma.</param>
/// <param name="channel">What the connection can be bound by; nothing: that is not offered.</param>
/// <param name="isBound">The mechanism is SCRAM-SHA-256-PLUS.</param>
internal sealed class ScramDialogue(string nonce, IReadOnlyList<ChannelBinding> channel, bool isBound) : SaslDialogue
{
    private const int MaxNonceLength = 512;
    private const int NonceBytes = 18;

    private static readonly SearchValues<char> s_bindingNames = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-");

    private Awaited _awaited = Awaited.ClientFirst;
    private string _gs2Header = "";
    private string _clientFirst = "";
    private string _serverFirst = "";
    private string _nonce = "";
    private string _exchange = "";
    private ChannelBinding? _binding;
    private ScramKeys? _keys;

    /// <summary>With a nonce of its own.</summary>
    public ScramDialogue(IReadOnlyList<ChannelBinding> channel, bool isBound)
        : this(Convert.ToBase64String(RandomNumberGenerator.GetBytes(NonceBytes)), channel, isBound)
    {
    }

    /// <summary>What the next input is.</summary>
    private enum Awaited
    {
        ClientFirst,
        Keys,
        ClientFinal,
        Verification,

        /// <summary>The client's word that it has heard the server's proof: no octets.</summary>
        Acknowledgement,

        /// <summary>Whatever the client says to an error: nothing comes of it.</summary>
        AnswerToError,
    }

    public override bool HasFailed => _awaited == Awaited.AnswerToError;

    public override SaslStep Take(ReadOnlySpan<byte> response) => _awaited switch
    {
        Awaited.ClientFirst => TakeFirst(Encoding.UTF8.GetString(response)),
        Awaited.ClientFinal => TakeFinal(Encoding.UTF8.GetString(response)),
        Awaited.Acknowledgement when response.IsEmpty => new SaslStep(SaslAction.Done),
        Awaited.Acknowledgement => SaslStep.Malformed,
        Awaited.AnswerToError => new SaslStep(SaslAction.Refused),
        _ => throw new InvalidOperationException("The host owes an answer."),
    };

    public override SaslStep KeysFound(ScramKeys keys)
    {
        if (_awaited != Awaited.Keys)
            throw new InvalidOperationException("No keys were asked for.");
        (_awaited, _keys) = (Awaited.ClientFinal, keys);
        _serverFirst = $"r={_nonce},s={Convert.ToBase64String(keys.Salt)},i={keys.Iterations}";
        return SaslStep.Ask(Encoding.UTF8.GetBytes(_serverFirst));
    }

    public override SaslStep Verified()
    {
        if (_awaited != Awaited.Verification || Claim is not ScramClaim { IsProven: true })
            throw new InvalidOperationException("Nothing was proven.");
        _awaited = Awaited.Acknowledgement;
        return SaslStep.Ask(Encoding.UTF8.GetBytes($"v={Convert.ToBase64String(_keys!.Sign(_exchange))}"));
    }

    // RFC 5802 §7: gs2-cbind-flag "," [authzid] "," username "," nonce ["," extensions]
    private SaslStep TakeFirst(string message)
    {
        var parts = message.Split(',');
        if (parts.Length < 4 || !IsFlag(parts[0]) || !parts[2].StartsWith("n=", StringComparison.Ordinal)
            || !parts[3].StartsWith("r=", StringComparison.Ordinal) || !parts.Skip(4).All(IsExtension))
        {
            return SaslStep.Malformed;
        }

        var clientNonce = parts[3][2..];
        if (clientNonce.Length is 0 or > MaxNonceLength || clientNonce.AsSpan().ContainsAnyExceptInRange('!', '~'))
            return SaslStep.Malformed;
        if (ReadName(parts[2][2..]) is not { } name)
            return SaslStep.Malformed;
        if (parts[1].Length > 0)
        {
            if (!parts[1].StartsWith("a=", StringComparison.Ordinal) || ReadName(parts[1][2..]) is not { } other)
                return SaslStep.Malformed;
            // Acting for somebody else is not offered.
            if (!other.Equals(name, StringComparison.OrdinalIgnoreCase))
                return new SaslStep(SaslAction.Refused);
        }

        // RFC 5802 §6: a client that could bind, and has not been told that it may, was told so by somebody else; and one that binds by what
        // this server does not know fails.
        if (parts[0] == "y" && channel.Count > 0)
            return Fail("server-does-support-channel-binding");
        if (isBound && (_binding = channel.FirstOrDefault(binding => binding.Type == parts[0][2..])) is null)
            return Fail("unsupported-channel-binding-type");

        UserName = name;
        _gs2Header = $"{parts[0]},{parts[1]},";
        _clientFirst = message[_gs2Header.Length..];
        _nonce = clientNonce + nonce;
        _awaited = Awaited.Keys;
        return new SaslStep(SaslAction.FindKeys);
    }

    // RFC 5802 §7: channel-binding "," nonce ["," extensions] "," proof
    private SaslStep TakeFinal(string message)
    {
        var parts = message.Split(',');
        if (parts.Length < 3 || !parts[0].StartsWith("c=", StringComparison.Ordinal) || !parts[1].StartsWith("r=", StringComparison.Ordinal)
            || !parts[^1].StartsWith("p=", StringComparison.Ordinal) || !parts[2..^1].All(IsExtension)
            || Base64Text.Decode(parts[^1][2..]) is not { Length: SHA256.HashSizeInBytes } proof)
        {
            return SaslStep.Malformed;
        }

        // RFC 5802 §5.1: the nonce of this exchange, whole; the header as it was, and behind it what the channel is bound by, or nothing.
        if (parts[1][2..] != _nonce)
            return new SaslStep(SaslAction.Refused);
        if (parts[0][2..] != Convert.ToBase64String([.. Encoding.UTF8.GetBytes(_gs2Header), .. _binding is { } bound ? bound.Octets.Span : []]))
            return Fail("channel-bindings-dont-match");

        _exchange = $"{_clientFirst},{_serverFirst},{message[..^(parts[^1].Length + 1)]}";
        _awaited = Awaited.Verification;
        Claim = new ScramClaim(UserName!, _keys!, _keys!.IsProof(proof, _exchange));
        return new SaslStep(SaslAction.Verify);
    }

    // RFC 5802 §7: said of the channel alone, where a client can do something about it, and its user should know; a wrong proof is just refused.
    private SaslStep Fail(string error)
    {
        _awaited = Awaited.AnswerToError;
        return SaslStep.Ask(Encoding.ASCII.GetBytes($"e={error}"));
    }

    // RFC 5802 §7: a channel is bound by the mechanism's name and by the flag, or by neither.
    private bool IsFlag(string flag) =>
        isBound ? flag.StartsWith("p=", StringComparison.Ordinal) && flag.Length > 2 && !flag.AsSpan(2).ContainsAnyExcept(s_bindingNames) : flag is "n" or "y";

    // RFC 5802 §5.1: "," and "=" are written "=2C" and "=3D", and no other "=" is allowed.
    internal static string? ReadName(string text)
    {
        var rest = text.Replace("=2C", "", StringComparison.Ordinal).Replace("=3D", "", StringComparison.Ordinal);
        if (rest.Contains('=', StringComparison.Ordinal))
            return null;
        var name = SaslPrep.Prepare(text.Replace("=2C", ",", StringComparison.Ordinal).Replace("=3D", "=", StringComparison.Ordinal));
        return name is { Length: > 0 } ? name : null;
    }

    // RFC 5802 §5.1: what is not known is passed over, but for "m", which says that it must not be.
    private static bool IsExtension(string part) =>
        part.Length > 2 && char.IsAsciiLetter(part[0]) && part[0] != 'm' && part[1] == '=' && !part.Contains('\0', StringComparison.Ordinal);
}
