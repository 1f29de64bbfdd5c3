using MailPipeline.Authentication;
using MailPipeline.Authentication.Dkim;

namespace MailPipeline.Queue.Reports;

/// <summary>Signs what the queue itself writes, as Ingress signs what it takes (RFC 6376 §5).</summary>
internal sealed class OwnSignature(SigningKeys keys, TimeProvider time)
{
    /// <summary>By the keys of the domain of its author, or of the nearest above it that has some; unchanged where none has.</summary>
    public byte[] Sign(byte[] message, string domain)
    {
        if (keys.AtOrAbove(domain) is not { Count: > 0 } own)
            return message;
        using var content = new SignableContent();
        content.Take(message);
        content.End();
        return content.IsHeaderTooLong ? message : [.. content.Sign(content.HeaderBelow(default), own, time.GetUtcNow()), .. message];
    }
}
