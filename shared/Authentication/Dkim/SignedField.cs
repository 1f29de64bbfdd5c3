using System.Buffers;
using System.Text;

namespace MailPipeline.Authentication.Dkim;

/// <summary>Writes a field with a signature in it: its tags in lines of common length, and b= behind them.</summary>
internal static class SignedField
{
    /// <summary>RFC 5322 §2.1.1 wants no line to be longer.</summary>
    private const int MaxLine = 78;

    private const int SignatureLine = 72;

    /// <param name="tags">Without b=; each may be broken behind a colon.</param>
    /// <param name="signed">What is signed before the field itself, in its canonical form.</param>
    /// <param name="key">Signs all of it, relaxed.</param>
    public static byte[] Write(string name, IEnumerable<string> tags, ArrayBufferWriter<byte> signed, DkimSigningKey key)
    {
        var text = new StringBuilder($"{name}:");
        var line = text.Length;
        foreach (var tag in tags.Append("b="))
        {
            var isFirst = true;
            foreach (var part in Parts(tag == "b=" ? tag : $"{tag};"))
            {
                if (line + part.Length + 1 > MaxLine)
                {
                    text.Append("\r\n\t");
                    line = 1;
                }
                else if (isFirst)
                {
                    text.Append(' ');
                    line++;
                }

                text.Append(part);
                line += part.Length;
                isFirst = false;
            }
        }

        var unsigned = Encoding.ASCII.GetBytes(text.ToString());
        CanonicalField.Write(signed, Canonicalization.Relaxed, new MessageField(unsigned, name.Length), hasLineEnd: false);
        var signature = Convert.ToBase64String(key.Sign(System.Security.Cryptography.SHA256.HashData(signed.WrittenSpan)));
        for (var at = 0; at < signature.Length; at += SignatureLine)
            text.Append("\r\n\t").Append(signature, at, Math.Min(SignatureLine, signature.Length - at));
        return Encoding.ASCII.GetBytes(text.Append("\r\n").ToString());
    }

    private static IEnumerable<string> Parts(string tag)
    {
        for (var at = 0; at < tag.Length;)
        {
            var colon = tag.IndexOf(':', at);
            var end = colon < 0 ? tag.Length : colon + 1;
            yield return tag[at..end];
            at = end;
        }
    }
}
