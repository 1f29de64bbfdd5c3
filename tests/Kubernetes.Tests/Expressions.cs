using System.Text.Json;
using System.Text.RegularExpressions;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>An expression that somebody evaluates, and who.</summary>
internal sealed record Expression(string Source, string Text, string Legend = "")
{
    public PromQl Query { get; } = PromQl.Read(Text);
}

/// <summary>Every expression of dashboards, alerts, recording rules and scalers.</summary>
internal static partial class Expressions
{
    public static IReadOnlyList<Expression> All { get; } = [.. Rules(), .. Scalers(), .. Dashboards()];

    /// <summary>Names that recording rules make.</summary>
    public static IReadOnlySet<string> Recorded { get; } =
        RuleList().Select(rule => rule.Record).OfType<string>().ToHashSet(StringComparer.Ordinal);

    public static IEnumerable<string> DashboardFiles =>
        Directory.GetFiles(Path.Combine(Manifests.Folder, "observability", "dashboards"), "*.json");

    private static IEnumerable<PrometheusRule.Rule> RuleList() =>
        Manifests.Files.SelectMany(Manifests.Read).Select(manifest => manifest.Model).OfType<PrometheusRule>()
            .SelectMany(rules => rules.Spec.Groups).SelectMany(group => group.Rules);

    private static IEnumerable<Expression> Rules() => RuleList().Select(rule => new Expression(
        $"rule {rule.Alert ?? rule.Record}", rule.Expr,
        string.Join(' ', rule.Annotations.Values.SelectMany(text => Template().Matches(text).Select(match => $"{{{{{match.Groups[1].Value}}}}}")))));

    private static IEnumerable<Expression> Scalers() =>
        from file in Manifests.Files
        from manifest in Manifests.Read(file)
        let scaled = manifest.Model as ScaledObject
        where scaled is not null
        from trigger in scaled.Spec.Triggers
        select new Expression($"scaler {manifest.Name} {trigger.Name}", trigger.Metadata.Query);

    private static IEnumerable<Expression> Dashboards()
    {
        foreach (var file in DashboardFiles)
        {
            using var dashboard = JsonDocument.Parse(File.ReadAllText(file));
            foreach (var panel in dashboard.RootElement.GetProperty("panels").EnumerateArray())
            {
                foreach (var target in panel.GetProperty("targets").EnumerateArray())
                {
                    yield return new Expression(
                        $"{Path.GetFileName(file)}: {panel.GetProperty("title").GetString()}", target.GetProperty("expr").GetString()!,
                        target.GetProperty("legendFormat").GetString()!);
                }
            }
        }
    }

    [GeneratedRegex(@"\{\{ \$labels\.(\w+) \}\}")]
    private static partial Regex Template();
}
