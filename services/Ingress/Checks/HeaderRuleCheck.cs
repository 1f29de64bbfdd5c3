using System.Text;
using MailPipeline.Smtp;
using Microsoft.Extensions.Options;

namespace MailPipeline.Ingress.Checks;

/// <summary>
/// The operator's rules about header fields: the first that refuses decides; all others that are about the message hold it, tag it and add
/// their fields.
/// </summary>
internal sealed class HeaderRuleCheck(IOptions<IngressOptions> options) : ICheck
{
    private static readonly Verdict s_refused = new(Replies.C550ContentRefused);

    private readonly HeaderRule[] _rules = [.. options.Value.Checks.HeaderRules.Rules];

    public bool ReadsHeader => _rules.Length > 0;

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        MessageNote? note = null;
        foreach (var rule in _rules)
        {
            if (!IsMet(rule, context.Content.Header.Span))
                continue;
            if (rule.Verdict == HeaderVerdict.Refuse)
                return new(s_refused);
            note = MessageNote.Join(note, new MessageNote
            {
                HoldReason = rule.Verdict == HeaderVerdict.Hold ? $"header rule {rule.Name}" : "",
                Tags = rule.Verdict == HeaderVerdict.Tag ? [rule.Name] : [],
                Fields = rule.Added is { } field ? [field] : [],
            });
        }

        return new(note is null ? Verdict.GoOn : Verdict.Noting(note));
    }

    private static bool IsMet(HeaderRule rule, ReadOnlySpan<byte> header)
    {
        while (!header.IsEmpty)
        {
            var field = header[..FieldLength(header)];
            header = header[field.Length..];
            var colon = field.IndexOf((byte)':');
            // RFC 5322 §4.5: there may be a space before the colon.
            if (colon < 0 || !Ascii.EqualsIgnoreCase(field[..colon].TrimEnd(" \t"u8), rule.Field))
                continue;
            if (rule.Contains.Length == 0 || Unfold(field[(colon + 1)..]).Contains(rule.Contains, StringComparison.OrdinalIgnoreCase))
                return true;
        }

        return false;
    }

    /// <summary>RFC 5322 §2.2.3: a line that begins with white space goes on with the field before it.</summary>
    private static int FieldLength(ReadOnlySpan<byte> header)
    {
        for (var end = 0; ;)
        {
            var next = header[end..].IndexOf((byte)'\n');
            if (next < 0)
                return header.Length;
            end += next + 1;
            if (end == header.Length || header[end] is not ((byte)' ' or (byte)'\t'))
                return end;
        }
    }

    private static string Unfold(ReadOnlySpan<byte> value) => Encoding.UTF8.GetString(value).Replace("\r\n", "", StringComparison.Ordinal);
}
