namespace MailPipeline.Sasl;

/// <summary>The server's side of one mechanism: octets of the client in, steps out; of the protocol around it, it knows nothing.</summary>
internal abstract class SaslDialogue
{
    /// <summary>With <see cref="SaslAction.FindKeys"/>: whose.</summary>
    public string? UserName { get; protected set; }

    /// <summary>With <see cref="SaslAction.Verify"/>: what the host looks at.</summary>
    public SaslClaim? Claim { get; protected set; }

    /// <summary>The client was told that it cannot lead to a login; whatever it answers, the exchange has failed.</summary>
    public virtual bool HasFailed => false;

    /// <summary>What is said where the client has not begun by itself (RFC 4422 §3.3); none where it is the client that begins.</summary>
    public virtual SaslStep Start() => SaslStep.Ask([]);

    /// <summary>A response of the client, valid UTF-8.</summary>
    public abstract SaslStep Take(ReadOnlySpan<byte> response);

    /// <summary>The host found the keys that were asked for.</summary>
    public virtual SaslStep KeysFound(ScramKeys keys) => throw new InvalidOperationException("No keys were asked for.");

    /// <summary>The host found the claim to be true.</summary>
    public virtual SaslStep Verified() => new(SaslAction.Done);

    /// <summary>The host found it not to be. A challenge tells the client why, and the exchange fails with its answer.</summary>
    public virtual SaslStep Rejected(TokenIssuer? issuer) => new(SaslAction.Refused);
}
