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
    // What stands behind the bound nobody sees: padding in front of a field would hide it from every rule.
    private static readonly Verdict s_tooLong = new(Replies.C552HeaderTooLong);

    // With what they look for as values are compared.
    private readonly (HeaderRule Rule, string Contains)[] _rules =
        [.. options.Value.Checks.HeaderRules.Rules.Select(rule => (rule, InSingleSpaces(rule.Contains)))];

    public bool ReadsHeader => _rules.Length > 0;

    public ValueTask<Verdict> CheckAsync(CheckContext context, CancellationToken cancellation)
    {
        if (context.Content.IsHeaderCut)
            return new(s_tooLong);
        MessageNote? note = null;
        foreach (var (rule, contains) in _rules)
        {
            if (!IsMet(rule, contains, context.Content.Header.Span))
                continue;
            if (rule.Verdict == HeaderVerdict.Refuse)
                return new(new Verdict(Replies.C550ContentRefused) { Rule = rule.Name });
            note = MessageNote.Join(note, new MessageNote
            {
                HoldReason = rule.Verdict == HeaderVerdict.Hold ? $"header rule {rule.Name}" : "",
                Tags = rule.Verdict == HeaderVerdict.Tag ? [rule.Name] : [],
                Fields = rule.Added is { } field ? [field] : [],
            });
        }

        return new(note is null ? Verdict.GoOn : Verdict.Noting(note));
    }

    private static bool IsMet(HeaderRule rule, string contains, ReadOnlySpan<byte> header)
    {
        while (!header.IsEmpty)
        {
            var field = header[..FieldLength(header)];
            header = header[field.Length..];
            var colon = field.IndexOf((byte)':');
            // RFC 5322 §4.5: there may be a space before the colon.
            if (colon < 0 || !Ascii.EqualsIgnoreCase(field[..colon].TrimEnd(" \t"u8), rule.Field))
                continue;
            if (contains.Length == 0 || Unfold(field[(colon + 1)..]).Contains(contains, StringComparison.OrdinalIgnoreCase))
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

    private static string Unfold(ReadOnlySpan<byte> value) =>
        InSingleSpaces(Encoding.UTF8.GetString(value).Replace("\r\n", "", StringComparison.Ordinal));

    /// <summary>Each run of white space as one space: where and with what a field is folded makes no difference to what it says.</summary>
    private static string InSingleSpaces(string text)
    {
        var result = new StringBuilder(text.Length);
        foreach (var letter in text)
        {
            if (letter is not (' ' or '\t'))
                result.Append(letter);
            else if (result.Length == 0 || result[^1] != ' ')
                result.Append(' ');
        }

        return result.ToString();
    }
}
