using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>
/// How senders are named in policies, and compared: an address, "*@example.org" or "example.org" (all addresses of the domain), "*.example.org" (all
/// below it), "&lt;&gt;" (reports) or "*". A pattern is meant of the account that was logged in, and of the sender in the envelope.
/// </summary>
public static class SenderPattern
{
    /// <summary>What reports are sent from (RFC 5321 §4.5.5).</summary>
    public const string NullSender = "<>";

    public static bool IsOne(string pattern) => pattern is "*" or NullSender || IsAddress(Key(pattern)) || IsDomain(Key(pattern));

    /// <summary>In the form in which patterns are compared: "*@example.org" is the domain itself.</summary>
    public static string Key(string pattern)
    {
        ArgumentNullException.ThrowIfNull(pattern);
        if (pattern.StartsWith("*@", StringComparison.Ordinal))
            pattern = pattern[2..];
        if (pattern.LastIndexOf('@') is >= 0 and var at)
            return $"{pattern[..at].ToLowerInvariant()}@{DomainName.Key(pattern[(at + 1)..])}";
        return pattern.StartsWith("*.", StringComparison.Ordinal) ? $"*.{DomainName.Key(pattern[2..])}" : DomainName.Key(pattern);
    }

    /// <summary>All names by which a sender may be meant: the account and what the envelope says, each as an address and as its domain.</summary>
    /// <param name="flow">See <see cref="FlowKey"/>: an account, or a sender's domain.</param>
    /// <param name="sender">Reverse-path; empty for the null sender.</param>
    public static IReadOnlyList<string> NamesOf(string flow, string sender)
    {
        ArgumentNullException.ThrowIfNull(sender);
        var names = new List<string>(5);
        foreach (var name in (string[])[flow, sender])
        {
            var key = Key(name);
            if (key.Length == 0)
                continue;
            names.Add(key);
            if (key.LastIndexOf('@') is >= 0 and var at)
                names.Add(key[(at + 1)..]);
        }
        if (sender.Length == 0)
            names.Add(NullSender);
        return names;
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
