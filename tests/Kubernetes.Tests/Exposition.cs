using System.Text.RegularExpressions;

namespace MailPipeline.Kubernetes.Tests;

/// <summary>What a process shows on /metrics: series by name, with the values seen of each label.</summary>
internal sealed partial class Exposition
{
    private readonly Dictionary<string, Dictionary<string, HashSet<string>>> _series = new(StringComparer.Ordinal);

    public IEnumerable<string> Names => _series.Keys;

    public void Add(string text)
    {
        foreach (var line in text.Split('\n').Where(line => line.Length > 0 && line[0] != '#'))
        {
            var series = Series().Match(line);
            if (!_series.TryGetValue(series.Groups[1].Value, out var labels))
                _series[series.Groups[1].Value] = labels = new(StringComparer.Ordinal);
            foreach (Match label in PromQlPatterns.Label().Matches(series.Groups[2].Value))
            {
                if (!labels.TryGetValue(label.Groups[1].Value, out var values))
                    labels[label.Groups[1].Value] = values = new(StringComparer.Ordinal);
                values.Add(label.Groups[3].Value);
            }
        }
    }

    public bool Has(string name) => _series.ContainsKey(name);

    /// <summary>Values seen of a label of a series; null when it has no such label.</summary>
    public IReadOnlySet<string>? Values(string name, string label) =>
        _series.TryGetValue(name, out var labels) && labels.TryGetValue(label, out var values) ? values : null;

    [GeneratedRegex(@"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s")]
    private static partial Regex Series();
}
