using System.Text;

namespace MailPipeline.Smtp;

/// <summary>One parameter that an extension adds to MAIL or RCPT (RFC 5321 §4.1.2, esmtp-param).</summary>
/// <typeparam name="T">What the parameters of the command are read into.</typeparam>
internal sealed class SmtpParameter<T>(string keyword, SmtpParameter<T>.Reader read)
    where T : struct
{
    private readonly byte[] _keyword = Encoding.ASCII.GetBytes(keyword);

    /// <param name="value">What stands behind "=".</param>
    /// <param name="hasValue">There is an "=".</param>
    /// <returns>Null when all is well.</returns>
    public delegate SmtpReply? Reader(ref T parameters, ReadOnlySpan<byte> value, bool hasValue);

    public string Keyword => keyword;

    /// <summary>Reads what stands behind the path; null when all is well.</summary>
    /// <param name="known">The parameters of the extensions that are offered.</param>
    public static SmtpReply? ReadAll(SmtpParameter<T>[] known, ReadOnlySpan<byte> text, ref T parameters)
    {
        if (!text.IsEmpty && text[0] != ' ')
            return Replies.C501BadArgument;

        foreach (var range in text.Split((byte)' '))
        {
            var parameter = text[range];
            if (parameter.IsEmpty)
                continue;

            var equals = parameter.IndexOf((byte)'=');
            var keyword = equals < 0 ? parameter : parameter[..equals];
            // RFC 5321 §4.1.1.11
            if (Find(known, keyword) is not { } found)
                return Replies.C555BadParameter;
            if (found.Read(ref parameters, equals < 0 ? default : parameter[(equals + 1)..], equals >= 0) is { } refusal)
                return refusal;
        }

        return null;
    }

    private static SmtpParameter<T>? Find(SmtpParameter<T>[] known, ReadOnlySpan<byte> keyword)
    {
        foreach (var parameter in known)
        {
            if (Ascii.EqualsIgnoreCase(parameter._keyword, keyword))
                return parameter;
        }

        return null;
    }

    private SmtpReply? Read(ref T parameters, ReadOnlySpan<byte> value, bool hasValue) => read(ref parameters, value, hasValue);
}
