using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>How senders are named in policies, and compared: an address, a domain, "*@" or "*." and a domain, "&lt;&gt;" (reports) or "*".</summary>
public static class SenderPattern
{
    /// <summary>What reports are sent from (RFC 5321 §4.5.5).</summary>
    public const string NullSender = "<>";

    public static bool IsOne(string pattern) => pattern is "*" or NullSender || IsAddress(Key(pattern)) || IsDomain(Key(pattern));

    /// <summary>In the form in which patterns are compared: "*@example.org" is the domain itself.</summary>
    public static string Key(string pattern)
    {
        if (pattern.StartsWith("*@", StringComparison.Ordinal))
            pattern = pattern[2..];
        if (pattern.LastIndexOf('@') is >= 0 and var at)
            return $"{pattern[..at].ToLowerInvariant()}@{DomainName.Key(pattern[(at + 1)..])}";
        return pattern.StartsWith("*.", StringComparison.Ordinal) ? $"*.{DomainName.Key(pattern[2..])}" : DomainName.Key(pattern);
    }

    /// <summary>The names by which an entry may mean those whose mail takes turns together: an account and its domain, or a domain.</summary>
    /// <param name="flow">See <see cref="FlowKey"/>.</param>
    public static IReadOnlyList<string> KeysOf(string flow)
    {
        if (flow.Length == 0)
            return [NullSender];
        var key = Key(flow);
        return key.LastIndexOf('@') is >= 0 and var at ? [key, key[(at + 1)..]] : [key];
    }

    /// <summary>The first entry that means them; null where none does.</summary>
    /// <param name="flow">See <see cref="FlowKey"/>.</param>
    public static T? Find<T>(NameTable<T> entries, string flow)
        where T : struct
    {
        (int Index, T Value)? first = null;
        foreach (var name in entries.IsEmpty ? [] : KeysOf(flow))
        {
            if (entries.Find(name) is { } found && (first is null || found.Index < first.Value.Index))
                first = found;
        }
        return first?.Value;
    }

    private static bool IsAddress(string pattern) => pattern.Contains('@', StringComparison.Ordinal) && !pattern.Contains('*', StringComparison.Ordinal)
        && SmtpAddress.TryParse(pattern, out _, allowUtf8: true);

    private static bool IsDomain(string pattern)
    {
        var name = pattern.StartsWith("*.", StringComparison.Ordinal) ? pattern[2..] : pattern;
        return name.Length is > 0 and <= 255 && !name.StartsWith('.') && name.All(c => !char.IsWhiteSpace(c) && c is not ('*' or '@' or ',' or '<' or '>'));
    }
}
