namespace MailPipeline.Authentication.Dkim;

/// <summary>What was found of one signature of a message (RFC 6376 §6).</summary>
/// <param name="Status">Pass, fail, neutral, policy, temporary or permanent error; never none, which is the absence of signatures.</param>
/// <param name="Domain">The signing domain, d=, in A-labels and lower case; empty where the field names none.</param>
/// <param name="Selector">s=.</param>
/// <param name="Identity">i=, or what stands for it (RFC 6376 §3.5).</param>
/// <param name="Algorithm">a=, as "rsa-sha256" or "ed25519-sha256".</param>
/// <param name="SignatureStart">The first octets of b=, by which a reader tells signatures of one domain apart (header.b, RFC 6008).</param>
/// <param name="Reason">In words, why it is not a pass, or what is to be said of one (that l= leaves text uncovered, that t=y is set); empty otherwise.</param>
public sealed record DkimResult(
    AuthenticationStatus Status, string Domain, string Selector, string Identity, string Algorithm, string SignatureStart, string Reason)
{
    /// <summary>
    /// l= ends before the body does: anybody may have added the rest. It does not count for DMARC, whose reader takes the whole message for the
    /// author's (RFC 6376 §8.2).
    /// </summary>
    public bool LeavesBodyUncovered { get; init; }
}
