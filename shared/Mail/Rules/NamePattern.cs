using System.Diagnostics.CodeAnalysis;
using MailPipeline.Smtp;

namespace MailPipeline.Mail;

/// <summary>
/// Names of domains, hosts or addresses as an operator's rule asks for them: a name, "*." and a name (all below it), "*@" and a domain (all addresses there), "&lt;&gt;" (the null sender)
/// or "*". Compared by <see cref="MailName.Key"/>: neither case counts, nor whether it was written in A-labels.
/// </summary>
/// <param name="Text">In the form in which it is kept.</param>
public sealed record NamePattern(string Text)
{
    private const string Below = "*.";
    private const string AllOf = "*@";
    private const int MaxLength = 255;

    /// <summary>What reports are sent from (RFC 5321 §4.5.5).</summary>
    public const string NullSender = "<>";

    public const string DomainForm = "a domain, '*.' and a domain (all below it), or '*'";

    public const string AddressForm = "an address, a domain, '*@' or '*.' and a domain, or '*'";

    public const string SenderForm = "an address, a domain, '*@' or '*.' and a domain, '<>' for reports, or '*'";

    /// <summary>One name, and no others.</summary>
    public bool IsExact => !Text.Contains('*', StringComparison.Ordinal);

    /// <summary>An address, and not all of a domain.</summary>
    public bool IsAddress => Text.Contains('@', StringComparison.Ordinal);

    /// <summary>All below this name; empty: it asks for something else.</summary>
    public string Parent => Text.StartsWith(Below, StringComparison.Ordinal) ? Text[Below.Length..] : "";

    public static bool TryParseDomain(string typed, [NotNullWhen(true)] out NamePattern? pattern)
    {
        pattern = null;
        var name = typed;
        if (name != "*")
        {
            // The full stop of the root.
            if (name is [.., not '.', '.'])
                name = name[..^1];
            var (prefix, rest) = name.StartsWith(Below, StringComparison.Ordinal) ? (Below, name[Below.Length..]) : ("", name);
            if (rest.Length is 0 or > MaxLength || rest.StartsWith('.') || rest.EndsWith('.') || rest.Contains("..", StringComparison.Ordinal) || rest.Any(c => char.IsWhiteSpace(c) || char.IsControl(c) || c is '*' or '@' or ',' or '<' or '>'))
                return false;
            name = prefix + DomainName.Key(rest);
        }
        pattern = new NamePattern(name);
        return true;
    }

    /// <summary>An address or, as a sender, the null one; else domains of addresses.</summary>
    public static bool TryParseAddress(string typed, [NotNullWhen(true)] out NamePattern? pattern, bool allowsNull = false)
    {
        pattern = typed == NullSender && allowsNull ? new NamePattern(typed) : null;
        if (pattern is not null)
            return true;
        // As mail and logs write it.
        if (typed is ['<', .., '>'])
            typed = typed[1..^1];
        if (typed.StartsWith(AllOf, StringComparison.Ordinal))
            return TryParseDomain(typed[AllOf.Length..], out pattern) && pattern.IsExact;
        if (!typed.Contains('@', StringComparison.Ordinal))
            return TryParseDomain(typed, out pattern);
        if (!typed.Contains('*', StringComparison.Ordinal) && SmtpAddress.TryParse(typed, out _, allowUtf8: true))
            pattern = new NamePattern(MailName.Key(typed));
        return pattern is not null;
    }

    /// <param name="domain">In the form in which names are kept.</param>
    public bool FitsDomain(string domain) => Text == "*" ? domain.Length > 0
        : Parent is { Length: > 0 } parent ? domain.Length > parent.Length && domain.EndsWith(parent, StringComparison.Ordinal) && domain[^(parent.Length + 1)] == '.'
        : domain == Text;

    /// <param name="address">In any form; empty: the null sender.</param>
    public bool FitsAddress(string address)
    {
        if (address.Length == 0)
            return Text == NullSender;
        if (Text == NullSender)
            return false;
        var key = MailName.Key(address);
        return IsAddress ? key == Text : FitsDomain(key[(key.LastIndexOf('@') + 1)..]);
    }

    /// <summary>An account, which is an address; mail of those who did not log in has none.</summary>
    public bool FitsAccount(string flow) => flow.Contains('@', StringComparison.Ordinal) && FitsAddress(flow);

    /// <summary>Any of the hosts by which a site is known, or all of them together.</summary>
    /// <param name="site">Hosts, separated by commas, with a port where it is not that of SMTP; empty: it is not known.</param>
    public bool FitsSite(string site)
    {
        if (site.Length == 0)
            return false;
        foreach (var host in site.Split(','))
        {
            if (FitsDomain(host) || FitsDomain(WithoutPort(host)))
                return true;
        }
        return false;
    }

    public override string ToString() => Text;

    private static string WithoutPort(string host)
    {
        if (host.StartsWith('['))
            return host[1..].Split(']')[0];
        var colon = host.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && colon == host.LastIndexOf(':') ? host[..colon] : host;
    }
}
