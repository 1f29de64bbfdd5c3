namespace MailPipeline.Mail;

/// <summary>
/// Under which TLS an attempt was made, and why under that: words of closed lists, but for the names of protocol and cipher, so that a
/// timeline can be searched for them.
/// </summary>
/// <param name="Policy">What was asked of the host: none, opportunistic, required, verified, dane, sts, sts-testing.</param>
/// <param name="Source">Who asked for it: default, table, route, published, sender.</param>
/// <param name="Certificate">What its certificate was worth: verified, tlsa, untrusted, expired, wrong-name, mismatch, unreadable; "-" where none was seen.</param>
/// <param name="Protocol">For example "TLSv1.3"; "-" for clear text.</param>
/// <param name="Cipher">For example "TLS_AES_256_GCM_SHA384"; "-" for clear text.</param>
public sealed record AttemptTls(string Policy, string Source, string Certificate = AttemptTls.None, string Protocol = AttemptTls.None, string Cipher = AttemptTls.None)
{
    public const string None = "-";

    private const int Words = 5;

    public bool IsEncrypted => Protocol != None;

    /// <summary>The text that storage keeps.</summary>
    public string ToText() => $"{Policy} {Source} {Certificate} {Protocol} {Cipher}";

    /// <summary>Reads what <see cref="ToText"/> wrote; null where nothing was noted, or more words than this program knows.</summary>
    public static AttemptTls? Parse(string? text) =>
        (text ?? "").Split(' ') is { Length: Words } words ? new(words[0], words[1], words[2], words[3], words[4]) : null;
}
