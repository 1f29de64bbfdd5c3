using System.Text.RegularExpressions;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>A label that an expression asks for; without a value where it only groups by it.</summary>
internal sealed record LabelUse(string Name, string Operator, string Value);

/// <summary>A metric in an expression, with the labels of its selector.</summary>
internal sealed record MetricUse(string Name, IReadOnlyList<LabelUse> Labels);

/// <summary>
/// What a PromQL expression asks for: metrics with their selectors, and labels it groups by. Not a parser of all of PromQL: what
/// it does not understand counts as a metric, and is then not found.
/// </summary>
internal sealed record PromQl(IReadOnlyList<MetricUse> Metrics, IReadOnlyList<string> GroupedBy)
{
    private static readonly HashSet<string> s_words = ["on", "ignoring", "group_left", "group_right", "by", "without", "bool", "and", "or", "unless", "offset"];

    public static PromQl Read(string expression)
    {
        var grouped = new List<string>();
        var text = PromQlPatterns.Grouping().Replace(PromQlPatterns.Range().Replace(expression, " "), match =>
        {
            grouped.AddRange(match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));
            return " ";
        });
        var metrics = new List<MetricUse>();
        foreach (Match match in PromQlPatterns.Metric().Matches(text))
        {
            var isFunction = match.Groups["call"].Success;
            if (isFunction || s_words.Contains(match.Groups["name"].Value))
                continue;
            metrics.Add(new MetricUse(
                match.Groups["name"].Value,
                [.. PromQlPatterns.Label().Matches(match.Groups["labels"].Value)
                    .Select(label => new LabelUse(label.Groups[1].Value, label.Groups[2].Value, label.Groups[3].Value))]));
        }
        return new PromQl(metrics, grouped);
    }
}

internal static partial class PromQlPatterns
{
    [GeneratedRegex(@"\[[^\]]*\]")]
    internal static partial Regex Range();

    [GeneratedRegex(@"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")]
    internal static partial Regex Grouping();

    [GeneratedRegex(@"(?<![\w:.""])(?<name>[a-zA-Z_:][\w:]*)(?:\s*(?<call>\()|\s*\{(?<labels>[^}]*)\})?")]
    internal static partial Regex Metric();

    [GeneratedRegex(@"(\w+)\s*(=~|!~|!=|=)\s*""([^""]*)""")]
    internal static partial Regex Label();
}
