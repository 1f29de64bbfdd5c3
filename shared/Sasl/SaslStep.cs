namespace MailPipeline.Sasl;

/// <summary>What has to happen next in an exchange. The last four end it without a login.</summary>
public enum SaslAction
{
    /// <summary>Send <see cref="SaslStep.Challenge"/>; the next line is the client's response.</summary>
    Challenge,

    /// <summary>Find the keys of <see cref="SaslExchange.UserName"/> and give them to <see cref="SaslExchange.KeysFound"/>.</summary>
    FindKeys,

    /// <summary>Look at <see cref="SaslExchange.Claim"/>, and where it is true say so by <see cref="SaslExchange.Verified"/>.</summary>
    Verify,

    /// <summary>The client is who it said.</summary>
    Done,

    /// <summary>The client has given up.</summary>
    Cancelled,

    /// <summary>No response of this mechanism.</summary>
    Malformed,

    /// <summary>A response as it should be, that cannot lead to a login.</summary>
    Refused,

    /// <summary>The mechanism is not offered.</summary>
    UnknownMechanism,
}

/// <summary>The outcome of one line of an exchange.</summary>
/// <param name="Challenge">With <see cref="SaslAction.Challenge"/>: in base64, as it goes behind "334 " or "+ "; else empty.</param>
public readonly record struct SaslStep(SaslAction Action, string Challenge = "")
{
    internal static SaslStep Malformed => new(SaslAction.Malformed);

    internal static SaslStep Ask(ReadOnlySpan<byte> challenge) => new(SaslAction.Challenge, Convert.ToBase64String(challenge));
}
