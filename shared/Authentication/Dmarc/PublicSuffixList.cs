using System.Collections.Frozen;
using System.Text;
using MailPipeline.Smtp;

namespace MailPipeline.Authentication.Dmarc;

/// <summary>
/// Which names registries give domains below (publicsuffix.org), with its wildcards and their exceptions, the private part included: who has
/// a name below github.io is an organisation of its own. The list that is built in is that of <see cref="BuiltInDate"/>.
/// </summary>
public sealed class PublicSuffixList
{
    /// <summary>Of the list that is built in: package publicsuffix 20230209.2326-1 of Debian.</summary>
    public static readonly DateOnly BuiltInDate = new(2023, 2, 9);

    /// <summary>A list of fewer rules is a piece of one, or something else.</summary>
    private const int LeastRules = 5_000;

    private static readonly Lazy<PublicSuffixList> s_builtIn = new(ReadBuiltIn);

    private readonly FrozenSet<string> _rules;
    private readonly FrozenSet<string> _wildcards;
    private readonly FrozenSet<string> _exceptions;

    private PublicSuffixList(HashSet<string> rules, HashSet<string> wildcards, HashSet<string> exceptions)
    {
        Count = rules.Count + wildcards.Count + exceptions.Count;
        _rules = rules.ToFrozenSet(StringComparer.Ordinal);
        _wildcards = wildcards.ToFrozenSet(StringComparer.Ordinal);
        _exceptions = exceptions.ToFrozenSet(StringComparer.Ordinal);
    }

    /// <summary>Read when it is first asked for.</summary>
    public static PublicSuffixList BuiltIn => s_builtIn.Value;

    /// <summary>Without a rule: the last label of each name is its suffix.</summary>
    public static PublicSuffixList None { get; } = new([], [], []);

    /// <summary>How many rules it has.</summary>
    public int Count { get; }

    /// <summary>Reads a list in the form of publicsuffix.org: a rule in a line, in U-labels, comments behind two slashes.</summary>
    public static PublicSuffixList Read(TextReader text)
    {
        ArgumentNullException.ThrowIfNull(text);
        HashSet<string> rules = [], wildcards = [], exceptions = [];
        while (text.ReadLine() is { } line)
        {
            // A rule ends at the first white space.
            var rule = line.AsSpan().Trim();
            if (rule.IndexOfAny(' ', '\t') is > 0 and var end)
                rule = rule[..end];
            if (rule.IsEmpty || rule.StartsWith("//"))
                continue;
            var (set, mark) = rule switch
            {
                ['!', ..] => (exceptions, 1),
                ['*', '.', ..] => (wildcards, 2),
                _ => (rules, 0),
            };
            if (DomainName.ToAscii(rule[mark..].ToString()) is { } ascii)
                set.Add(ascii);
        }

        return new PublicSuffixList(rules, wildcards, exceptions);
    }

    /// <summary>Null: the text is such a list. Else why it is none that could be used.</summary>
    public static string? FaultOf(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (!text.Contains("===BEGIN ICANN DOMAINS===", StringComparison.Ordinal) || !text.Contains("===END ICANN DOMAINS===", StringComparison.Ordinal))
            return "it has no lines '===BEGIN ICANN DOMAINS===' and '===END ICANN DOMAINS==='";
        using var reader = new StringReader(text);
        var list = Read(reader);
        if (list.Count < LeastRules)
            return $"it has {list.Count} rules, and a whole one has more than {LeastRules}";
        return list.OrganizationOf("a.b.com") == "b.com" && list.OrganizationOf("a.b.co.uk") == "b.co.uk" ? null : "it does not say that com and co.uk are suffixes";
    }

    /// <summary>
    /// The organisational domain (RFC 7489 §3.2): the public suffix of a name and one label more; the name itself where there is no more.
    /// </summary>
    /// <param name="domain">In A-labels and lower case.</param>
    public string OrganizationOf(string domain)
    {
        ArgumentNullException.ThrowIfNull(domain);
        // From the whole name to its last label: the longest suffix is found first.
        var below = "";
        for (var name = domain; ;)
        {
            var dot = name.IndexOf('.', StringComparison.Ordinal);
            var parent = dot < 0 ? "" : name[(dot + 1)..];
            // An exception is a name that somebody has, whatever the wildcard says.
            if (_exceptions.Contains(name))
                return name;
            // Names below no rule have "*" for one: their last label is the suffix.
            if (_rules.Contains(name) || (parent.Length > 0 && _wildcards.Contains(parent)) || parent.Length == 0)
                return below.Length > 0 ? below : name;
            below = name;
            name = parent;
        }
    }

    private static PublicSuffixList ReadBuiltIn()
    {
        using var reader = new StreamReader(typeof(PublicSuffixList).Assembly.GetManifestResourceStream("public_suffix_list.dat")!, Encoding.UTF8);
        return Read(reader);
    }
}
