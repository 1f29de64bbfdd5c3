using System.Buffers;
using System.Buffers.Text;
using System.Text.Unicode;

namespace MailPipeline.Sasl;

/// <summary>
/// One login by AUTH, as SMTP (RFC 4954 §4) and POP3 (RFC 5034 §4) have it: the mechanism and perhaps an initial response in the command,
/// then base64 lines, and "*" from who gives up. Each line leads to one step; without sockets, clock or storage.
/// </summary>
public sealed class SaslExchange
{
    /// <summary>Longest line of an exchange, in octets without its CRLF (RFC 4954 §4).</summary>
    public const int MaxLineBytes = 12288;

    /// <summary>
    /// Longest command with an initial response, its CRLF included, where tokens are taken: clients send them there, although RFC 4954 §4
    /// and RFC 5034 §4 would have what is longer than a command in a line of its own.
    /// </summary>
    public const int MaxCommandBytes = MaxLineBytes + 32;

    private readonly SaslDialogue _dialogue;
    private bool _isRejected;

    private SaslExchange(SaslDialogue dialogue) => _dialogue = dialogue;

    /// <summary>The name of the mechanism, such as "PLAIN".</summary>
    public string Mechanism { get; private init; } = "";

    /// <summary>With <see cref="SaslAction.FindKeys"/>: whose.</summary>
    public string? UserName => _dialogue.UserName;

    /// <summary>With <see cref="SaslAction.Verify"/>, and behind it: what the host looks at.</summary>
    public SaslClaim? Claim => _dialogue.Claim;

    /// <summary>The claim was found not to be true, or the client to be one that cannot make any: whatever it says now, it is not logged in.</summary>
    public bool IsRejected => _isRejected || _dialogue.HasFailed;

    /// <summary>Begins with the argument of AUTH: a mechanism and perhaps, behind a space, an initial response.</summary>
    /// <param name="offered">The mechanisms that may be had here.</param>
    /// <param name="channel">What a login may be bound to; null or nothing: no mechanism that needs it may be had.</param>
    public static (SaslExchange? Exchange, SaslStep Step) Begin(
        ReadOnlySpan<byte> argument, IReadOnlyList<SaslMechanism> offered, IReadOnlyList<ChannelBinding>? channel = null)
    {
        ArgumentNullException.ThrowIfNull(offered);
        channel ??= [];
        offered = SaslMechanism.On(offered, channel.Count > 0);
        var end = argument.IndexOf((byte)' ');
        if (SaslMechanism.Find(end < 0 ? argument : argument[..end], offered) is not { } mechanism)
            return (null, new SaslStep(SaslAction.UnknownMechanism));
        var exchange = new SaslExchange(mechanism.Begin(offered.Any(other => other.BindsChannel) ? channel : [])) { Mechanism = mechanism.Name };
        if (end < 0)
            return (exchange, exchange._dialogue.Start());

        // RFC 4954 §4, RFC 5034 §4: "=" is an initial response of no octets.
        var initial = argument[(end + 1)..];
        return (exchange, initial.SequenceEqual("="u8) ? exchange._dialogue.Take([]) : exchange.Decode(initial));
    }

    /// <summary>Takes one line of the client without its CRLF.</summary>
    public SaslStep Read(ReadOnlySpan<byte> line) => line.SequenceEqual("*"u8) ? new SaslStep(SaslAction.Cancelled) : Decode(line);

    /// <summary>These are the keys that were asked for.</summary>
    public SaslStep KeysFound(ScramKeys keys) => _dialogue.KeysFound(keys);

    /// <summary>The claim is true. Where a challenge comes of it, the client's answer to that one is awaited.</summary>
    public SaslStep Verified() => _dialogue.Verified();

    /// <summary>
    /// The claim is not true. Refused, or a challenge that says why (RFC 7628 §3.2.2): what the client answers to that is refused as well.
    /// </summary>
    /// <param name="issuer">Whose tokens would be taken.</param>
    public SaslStep Rejected(TokenIssuer? issuer)
    {
        _isRejected = true;
        return _dialogue.Rejected(issuer);
    }

    private SaslStep Decode(ReadOnlySpan<byte> line)
    {
        var decoded = new byte[Base64.GetMaxDecodedFromUtf8Length(line.Length)];
        // The decoder would pass over white space.
        if (line.ContainsAny(" \t\r"u8) || Base64.DecodeFromUtf8(line, decoded, out _, out var length) != OperationStatus.Done)
            return SaslStep.Malformed;
        var response = decoded.AsSpan(0, length);
        return Utf8.IsValid(response) ? _dialogue.Take(response) : SaslStep.Malformed;
    }
}
