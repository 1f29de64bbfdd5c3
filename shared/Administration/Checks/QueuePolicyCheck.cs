using MailPipeline.Mail;
using MailPipeline.ServiceDefaults;

namespace MailPipeline.Administration;

/// <summary>A policy of the queue in a file (Queue:PolicyFile), looked at by the rules by which Queue takes it or does not.</summary>
public static class QueuePolicyCheck
{
    /// <returns><see cref="QueuePolicyChecked"/> or <see cref="QueuePolicyFaulty"/>.</returns>
    public static CheckResult Read(string file)
    {
        var failures = new List<string>();
        return PolicyFiles.Find(file, QueuePolicyOptions.Read, failures) is { } policy
            ? new QueuePolicyChecked(file, policy, [.. Idle(policy)]) : new QueuePolicyFaulty(file, failures);
    }

    private static IEnumerable<IdleEntry> Idle(QueuePolicyOptions policy) =>
        Idle(nameof(QueuePolicyOptions.Destinations), policy.Destinations, DestinationKey, entry => Said(entry).Concat(entry.HasLimits ? [nameof(entry.HasLimits)] : []))
            .Concat(Idle(nameof(QueuePolicyOptions.Senders), policy.Senders, entry => SenderPattern.Key(entry.From),
                entry => Said(entry).Concat(entry.Weight is null ? [] : [nameof(entry.Weight)]).Concat(entry.Rate is null ? [] : [nameof(entry.Rate)])));

    private static IEnumerable<IdleEntry> Idle<T>(string list, IList<T> entries, Func<T, string> keyOf, Func<T, IEnumerable<string>> saidBy)
    {
        // What an entry before says of a name, or of all below it, is looked up by the names above: a file may have thousands of entries.
        var before = new Dictionary<string, List<int>>(StringComparer.Ordinal);
        for (var i = 0; i < entries.Count; i++)
        {
            var key = keyOf(entries[i]);
            var said = saidBy(entries[i]).ToHashSet(StringComparer.Ordinal);
            foreach (var above in Covering(key))
            {
                if (before.TryGetValue(above, out var earlier) && earlier.FindIndex(other => said.IsSubsetOf(saidBy(entries[other]))) is >= 0 and var found)
                {
                    yield return new($"{QueuePolicyOptions.SectionName}:{list}:{i}", $"{QueuePolicyOptions.SectionName}:{list}:{earlier[found]}");
                    break;
                }
            }
            if (!before.TryAdd(key, [i]))
                before[key].Add(i);
        }
    }

    /// <summary>Patterns, other than itself, that fit whatever this one fits.</summary>
    private static IEnumerable<string> Covering(string key)
    {
        var prefix = key.StartsWith(DestinationOptions.HostPrefix, StringComparison.Ordinal) ? DestinationOptions.HostPrefix : "";
        var name = key[prefix.Length..];
        if (name == "*")
            yield break;
        yield return $"{prefix}*";
        if (name.LastIndexOf('@') is >= 0 and var at)
        {
            name = name[(at + 1)..];
            yield return name;
        }
        else if (name.StartsWith("*.", StringComparison.Ordinal))
        {
            name = name[2..];
        }
        for (var dot = name.IndexOf('.', StringComparison.Ordinal); dot >= 0; dot = name.IndexOf('.', dot + 1))
            yield return $"{prefix}*.{name[(dot + 1)..]}";
    }

    private static string DestinationKey(DestinationOptions entry) =>
        entry.IsOfHosts ? entry.For.ToLowerInvariant() : DestinationOptions.DomainKey(entry.For);

    private static IEnumerable<string> Said(ScheduleOptions entry)
    {
        if (entry.RetrySteps.Count > 0)
            yield return nameof(entry.RetrySteps);
        if (entry.MaxAge is not null)
            yield return nameof(entry.MaxAge);
        if (entry.DelayReportAfter is not null)
            yield return nameof(entry.DelayReportAfter);
        if (entry.Uncertain.Steps.Count > 0)
            yield return nameof(entry.Uncertain.Steps);
        if (entry.Uncertain.Most is not null)
            yield return nameof(entry.Uncertain.Most);
        if (entry.Uncertain.Then is not null)
            yield return nameof(entry.Uncertain.Then);
    }
}
